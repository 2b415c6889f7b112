#include <boost/test/unit_test.hpp>

#include "replication/fetch_reader.h"
#include "replication/fetch_sessions.h"
#include "runtime/simulated/run.h"

namespace qlab::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::KafkaError;

constexpr NodeId node{1};
const TopicId topic{7, 7};

wire::FetchRequest request_for(std::int32_t partitions, std::int32_t id = 0, std::int32_t epoch = 0,
                               NodeId follower = no_node) {
  wire::FetchRequest request;
  request.session_id = id;
  request.session_epoch = epoch;
  request.replica_state.replica_id = follower;
  if (partitions == 0) return request;
  request.topics.emplace_back().topic_id = topic;
  for (std::int32_t p = 0; p < partitions; ++p) {
    auto& wanted = request.topics[0].partitions.emplace_back();
    wanted.partition = PartitionIndex{p};
    wanted.partition_max_bytes = 1000;
  }
  return request;
}

wire::FetchRequest request_that_forgets(std::int32_t partition, std::int32_t id,
                                        std::int32_t epoch) {
  wire::FetchRequest request = request_for(0, id, epoch);
  auto& gone = request.forgotten_topics.emplace_back();
  gone.topic_id = topic;
  gone.partitions.push_back(PartitionIndex{partition});
  return request;
}

struct Fixture {
  runtime::SimulatedWorld world{1};
  runtime::Runtime& runtime{world.node(node)};
  SessionLimits limits;
  std::unique_ptr<FetchSessions> sessions;
  // What is to be read of each partition, and how often each was looked at.
  std::map<FetchSession::Slot, std::size_t> bytes;
  std::map<FetchSession::Slot, int> looks;

  Fixture() { open(1000); }
  void open(std::size_t slots) {
    limits.slots_max = slots;
    sessions = std::make_unique<FetchSessions>(std::vector<runtime::Runtime*>{&runtime}, limits);
  }

  // A request of which only the bookkeeping matters.
  FetchSessions::Use pass(const wire::FetchRequest& request) {
    const auto use = sessions->begin(request, true, runtime.now());
    BOOST_REQUIRE(use.has_value());
    while (use->session->feed().next()) continue;
    sessions->end(*use);
    return *use;
  }
  KafkaError refused(const wire::FetchRequest& request, bool by_id = true) {
    const auto use = sessions->begin(request, by_id, runtime.now());
    return use ? KafkaError::none : use.error();
  }

  Task<Result<FetchOutcome>> look(FetchSession::Slot slot, std::size_t bytes_max) {
    ++looks[slot];
    FetchOutcome outcome;
    if (bytes_max > 0) outcome.batches.resize(bytes[slot]);
    co_return outcome;
  }
  // Carries a request out; returns which slots had records, and of how many bytes.
  std::map<FetchSession::Slot, std::size_t> fetch(const wire::FetchRequest& request,
                                                  std::size_t bytes_max, Duration wait) {
    const auto use = sessions->begin(request, true, runtime.now());
    BOOST_REQUIRE(use.has_value());
    FetchReader reader(
        runtime, *use->session, {bytes_max, 1, runtime.now() + wait},
        [this](FetchSession::Slot slot, std::size_t most, bool) { return look(slot, most); },
        use->is_full, use->id != 0);
    runtime::run(world, node, reader.read([this] { return sessions->is_closed(); }), seconds(60));
    std::map<FetchSession::Slot, std::size_t> brought;
    for (const auto& [slot, found] : reader.found()) {
      if (!found.outcome->batches.empty()) brought[slot] = found.outcome->batches.size();
    }
    reader.mark_unsettled();
    sessions->end(*use);
    return brought;
  }
};

using Brought = std::map<FetchSession::Slot, std::size_t>;

BOOST_FIXTURE_TEST_SUITE(fetch_session, Fixture)

BOOST_AUTO_TEST_CASE(a_session_goes_on_with_the_next_epoch_and_no_other) {
  const auto use = pass(request_for(2));
  BOOST_TEST(use.id > 0);
  BOOST_TEST(use.is_full);
  BOOST_TEST(!pass(request_for(0, use.id, 1)).is_full);
  BOOST_TEST((refused(request_for(0, use.id, 1)) == KafkaError::invalid_fetch_session_epoch));
  BOOST_TEST((refused(request_for(0, use.id, 3)) == KafkaError::invalid_fetch_session_epoch));
  BOOST_TEST((refused(request_for(0, use.id + 1, 2)) == KafkaError::fetch_session_id_not_found));
  BOOST_TEST(
      (refused(request_for(0, use.id, 2), false) == KafkaError::fetch_session_topic_id_error));
  BOOST_TEST(!pass(request_for(0, use.id, 2)).is_full);
}

BOOST_AUTO_TEST_CASE(two_requests_of_a_session_are_not_at_work_at_a_time) {
  const auto use = pass(request_for(1));
  const auto at_work = sessions->begin(request_for(0, use.id, 1), true, runtime.now());
  BOOST_TEST((refused(request_for(0, use.id, 2)) == KafkaError::invalid_fetch_session_epoch));
  sessions->end(*at_work);
  BOOST_TEST((refused(request_for(0, use.id, 2)) == KafkaError::none));
}

BOOST_AUTO_TEST_CASE(a_request_without_a_session_leaves_none_and_one_that_begins_anew_one) {
  BOOST_TEST(pass(request_for(2, 0, -1)).id == 0);
  BOOST_TEST(sessions->kept() == 0u);
  const auto first = pass(request_for(2));
  const auto second = pass(request_for(2, first.id, 0));
  BOOST_TEST(second.id != first.id);
  BOOST_TEST(sessions->kept() == 1u);
  BOOST_TEST(pass(request_for(2, second.id, -1)).id == 0);
  BOOST_TEST(sessions->kept() == 0u);
}

BOOST_AUTO_TEST_CASE(a_session_that_has_forgotten_all_it_had_ends) {
  const auto use = pass(request_for(2));
  BOOST_TEST(pass(request_that_forgets(0, use.id, 1)).session->size() == 1u);
  BOOST_TEST(pass(request_that_forgets(1, use.id, 2)).id == 0);
  BOOST_TEST(sessions->kept() == 0u);
}

BOOST_AUTO_TEST_CASE(a_full_cache_gives_way_to_followers_and_to_what_is_larger_than_settled_ones) {
  open(2);
  const auto small = pass(request_for(1));
  const auto large = pass(request_for(5));
  BOOST_TEST(pass(request_for(9)).id == 0, "both are too young for another consumer");
  const auto follower = pass(request_for(1, 0, 0, NodeId{2}));
  BOOST_TEST(follower.id != 0);
  BOOST_TEST((refused(request_for(0, small.id, 1)) == KafkaError::fetch_session_id_not_found));
  world.run_for(limits.settled_after + seconds(1));
  pass(request_for(0, large.id, 1));
  pass(request_for(0, follower.id, 1));
  BOOST_TEST(pass(request_for(4)).id == 0, "smaller than all that are settled");
  BOOST_TEST(pass(request_for(6)).id != 0);
  BOOST_TEST((refused(request_for(0, large.id, 2)) == KafkaError::fetch_session_id_not_found));
}

BOOST_AUTO_TEST_CASE(a_session_that_nobody_uses_gives_way_to_any) {
  open(2);
  const auto follower = pass(request_for(9, 0, 0, NodeId{2}));
  world.run_for(limits.settled_after + seconds(1));
  const auto other = pass(request_for(9));
  BOOST_TEST(pass(request_for(1)).id != 0);
  BOOST_TEST((refused(request_for(0, follower.id, 1)) == KafkaError::fetch_session_id_not_found));
  BOOST_TEST((refused(request_for(0, other.id, 1)) == KafkaError::none));
}

BOOST_AUTO_TEST_CASE(an_idle_partition_is_looked_at_once_and_never_again) {
  constexpr std::int32_t many = 10'000;
  const auto first = sessions->begin(request_for(many), true, runtime.now());
  const std::int32_t id = first->id;
  sessions->end(*first);
  fetch(request_for(0, id, 1), 1000, milliseconds(10));
  std::int32_t epoch = 2;
  for (int round = 0; round < 100; ++round) {
    first->session->feed().mark(3);
    bytes[3] = 10;
    BOOST_TEST((fetch(request_for(0, id, epoch++), 1000, seconds(1)) == Brought{{3, 10}}));
  }
  int others = 0;
  for (const auto& [slot, times] : looks) others += slot == 3 ? 0 : times;
  BOOST_TEST(others == many - 1);
  BOOST_TEST(looks[3] == 101);
}

BOOST_AUTO_TEST_CASE(what_finds_no_room_comes_first_next_time) {
  const auto first = sessions->begin(request_for(3), true, runtime.now());
  sessions->end(*first);
  for (FetchSession::Slot slot : {0u, 1u, 2u}) bytes[slot] = 60;
  BOOST_TEST((fetch(request_for(0, first->id, 1), 100, seconds(1)) == Brought{{0, 60}}));
  // Nobody has said how 0 goes on, so it comes again, after the others.
  BOOST_TEST((fetch(request_for(0, first->id, 2), 100, seconds(1)) == Brought{{1, 60}}));
  BOOST_TEST((fetch(request_for(0, first->id, 3), 100, seconds(1)) == Brought{{2, 60}}));
  BOOST_TEST((fetch(request_for(0, first->id, 4), 100, seconds(1)) == Brought{{0, 60}}));
}

BOOST_AUTO_TEST_CASE(a_fetch_waits_for_a_change_or_its_time) {
  const auto first = sessions->begin(request_for(3), true, runtime.now());
  sessions->end(*first);
  const Time begun = runtime.now();
  BOOST_TEST(fetch(request_for(0, first->id, 1), 100, milliseconds(70)).empty());
  BOOST_TEST((runtime.now() - begun >= milliseconds(70)));
  world.after(milliseconds(20), [&] {
    bytes[1] = 5;
    first->session->feed().mark(1);
  });
  const Time again = runtime.now();
  BOOST_TEST((fetch(request_for(0, first->id, 2), 100, seconds(10)) == Brought{{1, 5}}));
  BOOST_TEST((runtime.now() - again < milliseconds(100)));
}

BOOST_AUTO_TEST_CASE(a_follower_that_was_registered_anew_shows_itself_in_all_partitions) {
  wire::FetchRequest request = request_for(3, 0, 0, NodeId{2});
  request.replica_state.replica_epoch = BrokerEpoch{5};
  const auto use = pass(request);
  request = request_for(0, use.id, 1, NodeId{2});
  request.replica_state.replica_epoch = BrokerEpoch{6};
  const auto next = sessions->begin(request, true, runtime.now());
  int marked = 0;
  while (next->session->feed().next()) ++marked;
  BOOST_TEST(marked == 3);
  sessions->end(*next);
}

BOOST_AUTO_TEST_CASE(a_follower_of_another_leader_epoch_hears_the_watermark_again) {
  const auto use = pass(request_for(1));
  wire::FetchResponse::Partition answer;
  answer.high_watermark = Offset{5};
  BOOST_TEST(use.session->at(0).tell(answer));
  pass(request_for(1, use.id, 1));
  BOOST_TEST(!use.session->at(0).tell(answer));
  wire::FetchRequest request = request_for(1, use.id, 2);
  request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch{8};
  pass(request);
  BOOST_TEST(use.session->at(0).tell(answer));
}

BOOST_AUTO_TEST_CASE(a_reader_hears_what_is_new_to_it) {
  FetchSession::Entry entry;
  wire::FetchResponse::Partition answer;
  answer.high_watermark = Offset{5};
  answer.log_start_offset = Offset{0};
  BOOST_TEST(entry.tell(answer));
  BOOST_TEST(!entry.tell(answer));
  answer.high_watermark = Offset{6};
  BOOST_TEST(entry.tell(answer));
  answer.log_start_offset = Offset{1};
  BOOST_TEST(entry.tell(answer));
  BOOST_TEST(!entry.tell(answer));
  answer.error_code = KafkaError::not_leader_or_follower;
  BOOST_TEST(entry.tell(answer));
  BOOST_TEST(entry.tell(answer), "an error is told each time");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
