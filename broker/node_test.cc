// Whole nodes in a simulated world.

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"
#include "common/crc32c.h"
#include "wire/kafka/list_offsets.h"
#include "wire/kafka/offset_for_leader_epoch.h"

namespace qlab::broker {
namespace {

using namespace testing;
using std::chrono::seconds;
using wire::KafkaError;

using Values = std::vector<std::string>;
constexpr NodeId one{1};

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

BOOST_FIXTURE_TEST_SUITE(node, Fixture)

BOOST_DATA_TEST_CASE(what_one_node_acknowledged_is_there_after_the_power_failed,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  cluster.produce(one, "b");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b"}));
  cluster.crash(one);
  cluster.boot(one);
  cluster.wait_ready(one);
  cluster.produce(one, "c");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b", "c"}));
}

BOOST_DATA_TEST_CASE(a_leader_that_dies_takes_nothing_acknowledged_with_it_and_comes_back_in_sync,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  cluster.crash(old);
  cluster.produce(other, "b");
  const auto now = cluster.partition(other);
  BOOST_TEST((now.leader_id != old));
  BOOST_TEST((cluster.consume(now.leader_id) == Values{"a", "b"}));

  cluster.boot(old);
  cluster.wait_ready(old);
  for (int i = 0; i < 100 && cluster.partition(other).isr_nodes.size() < 3; ++i) {
    cluster.world().run_for(std::chrono::milliseconds(100));
  }
  BOOST_TEST(cluster.partition(other).isr_nodes.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_broker_that_restarts_opens_no_replica_before_its_registration_is_known) {
  Cluster cluster(1, 3,
                  [](NodeId) { return "metadata.log.max.record.bytes.between.snapshots=1000"; });
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  wire::CreateTopicsRequest more;  // For a snapshot.
  auto& wide = more.topics.emplace_back();
  wide.name = "wide";
  wide.num_partitions = 60;
  wide.replication_factor = 1;
  cluster.must(one, more, 5);
  cluster.world().run_for(seconds(5));
  for (int id = 1; id <= 3; ++id) cluster.crash(NodeId{id});
  cluster.boot(one);
  cluster.world().run_for(seconds(20));
  // Its snapshot tells of the topic, and nobody has told it whether that is so still.
  BOOST_REQUIRE((cluster.node(one).image()->topic(topic) != nullptr));
  BOOST_TEST(cluster.node(one).partitions().at_home().empty());
  for (int id = 2; id <= 3; ++id) cluster.boot(NodeId{id});
  for (int id = 1; id <= 3; ++id) cluster.wait_ready(NodeId{id});
  BOOST_TEST(cluster.node(one).partitions().at_home().size() >= 1u);
  cluster.produce(one, "b");
  BOOST_TEST((cluster.consume(cluster.partition(one).leader_id) == Values{"a", "b"}));
}

// A broker restarts, is let in, and is paused for longer than its session `wait` later.
void pause_while_replicas_open(Duration wait) {
  Cluster cluster(1, 3);
  wire::CreateTopicsRequest wide;
  auto& many = wide.topics.emplace_back();
  many.name = topic;
  many.num_partitions = 300;
  many.replication_factor = 3;
  cluster.must(one, wide, 5);
  const Bytes batch = batch_of("a");
  wire::ProduceRequest everywhere = produce_request(batch);
  everywhere.topics[0].partitions.clear();
  for (int index = 0; index < 300; ++index) {
    auto& partition = everywhere.topics[0].partitions.emplace_back();
    partition.index = PartitionIndex{index};
    partition.records = batch;
  }
  for (int id = 1; id <= 3; ++id) cluster.must(NodeId{id}, everywhere, 9);
  const NodeId late{3};
  const Duration session = seconds(12);  // More than broker.session.timeout.ms.
  const BrokerEpoch before = cluster.node(one).image()->broker(late)->epoch;
  cluster.crash(late);
  cluster.world().run_for(session);
  cluster.boot(late);
  cluster.wait("node 3 to be let in", [&] {
    const metadata::Broker* self = cluster.node(late).image()->broker(late);
    return self != nullptr && self->epoch > before && self->is_active();
  });
  cluster.world().run_for(wait);
  cluster.world().pause(late);
  cluster.world().run_for(session);
  cluster.world().resume(late);
  cluster.wait_ready(late);
}

BOOST_AUTO_TEST_CASE(a_broker_that_was_fenced_before_it_served_serves_once_it_is_let_in_again) {
  // Its replicas take some 190 ms to open. Its image has it fenced for 20 ms after the pause, and
  // in one of these the last replica opens meanwhile.
  for (int wait_ms = 130; wait_ms <= 200; wait_ms += 10) {
    pause_while_replicas_open(std::chrono::milliseconds(wait_ms));
  }
}

BOOST_AUTO_TEST_CASE(a_node_that_is_stopped_hands_over_what_it_leads_first) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  const Time before = cluster.world().now();
  cluster.stop(old);
  cluster.produce(other, "b");
  // Far less than broker.session.timeout.ms, by which a dead leader is found out.
  BOOST_TEST((cluster.world().now() - before < seconds(6)));
  BOOST_TEST((cluster.consume(cluster.partition(other).leader_id) == Values{"a", "b"}));
}

BOOST_AUTO_TEST_CASE(a_consumer_with_a_session_names_what_is_new_and_hears_what_is_new) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::FetchRequest request;
  request.session_epoch = 0;
  request.min_bytes = 1;
  request.max_wait_ms = 100;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const auto first = cluster.must(one, request, 12);
  const std::int32_t session = first.message.session_id;
  BOOST_REQUIRE(session > 0);
  BOOST_TEST(first.message.topics.size() == 1u);

  const auto next = [&](std::int32_t epoch) {
    request.session_id = session;
    request.session_epoch = epoch;
    return cluster.must(one, request, 12);
  };
  request.topics.clear();
  BOOST_TEST(next(1).message.topics.empty());
  cluster.produce(one, "a");
  const auto news = next(2);
  BOOST_REQUIRE(news.message.topics.size() == 1u);
  BOOST_TEST(!news.message.topics[0].partitions.at(0).records->empty());
  BOOST_TEST(news.message.session_id == session);
  BOOST_TEST((next(2).message.error_code == KafkaError::invalid_fetch_session_epoch));
  request.session_id = session + 1;
  BOOST_TEST((cluster.must(one, request, 12).message.error_code ==
              KafkaError::fetch_session_id_not_found));
}

BOOST_AUTO_TEST_CASE(a_consumer_names_topics_by_their_ids) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  wire::MetadataRequest which;
  which.topics.emplace().emplace_back().name = topic;
  const TopicId id = cluster.must(one, which, 12).message.topics.at(0).topic_id;
  wire::FetchRequest request;
  for (const TopicId& wanted : {id, TopicId{1, 1}}) {
    request.topics.emplace_back().topic_id = wanted;
    request.topics.back().partitions.emplace_back().partition_max_bytes = 1 << 20;
  }
  const auto answer = cluster.must(one, request, 17);
  BOOST_REQUIRE(answer.message.topics.size() == 2u);
  BOOST_TEST((answer.message.topics[0].topic_id == id));
  BOOST_TEST(!answer.message.topics[0].partitions.at(0).records->empty());
  BOOST_TEST(
      (answer.message.topics[1].partitions.at(0).error_code == KafkaError::unknown_topic_id));
}

BOOST_AUTO_TEST_CASE(a_fetch_with_nothing_to_read_waits_for_a_record_or_its_time) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::FetchRequest request;
  request.min_bytes = 1;
  request.max_wait_ms = 3000;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const Time begun = cluster.world().now();
  const auto in_vain = cluster.must(one, request, 11);
  BOOST_TEST(in_vain.message.topics.at(0).partitions.at(0).records->empty());
  BOOST_TEST((cluster.world().now() - begun >= seconds(3)));

  request.max_wait_ms = 60'000;
  const Time again = cluster.world().now();
  const auto waiting =
      runtime::begin(cluster.world(), client, call(cluster.world().node(client), one, request, 11));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(!waiting->value.has_value());
  cluster.produce(one, "news");
  cluster.wait("the fetch", [&] { return waiting->value.has_value(); });
  BOOST_TEST((cluster.world().now() - again < seconds(3)));
  BOOST_TEST(!(*waiting->value)->message.topics.at(0).partitions.at(0).records->empty());
}

BOOST_AUTO_TEST_CASE(records_that_may_not_be_appended_are_refused_each_with_its_own_error) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  const Bytes good = batch_of("good");
  Bytes damaged = good;
  damaged.back() ^= std::byte{1};
  Bytes two = good;
  two.insert(two.end(), good.begin(), good.end());
  const Bytes large = batch_of(std::string(1'048'588, 'x'));
  Bytes leaping = good;  // Its one record would take many offsets.
  store_big<std::int32_t>(leaping.data() + 23, 1'000'000);
  store_big(leaping.data() + 17, crc32c(ByteView(leaping).subspan(batch_crc_start)));

  BOOST_TEST((cluster.append(one, damaged).error_code == KafkaError::corrupt_message));
  BOOST_TEST((cluster.append(one, two).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, {}).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, leaping).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, large).error_code == KafkaError::message_too_large));
  BOOST_TEST((cluster.append(one, good, 2).error_code == KafkaError::invalid_required_acks));

  auto request = produce_request(good);
  request.topics[0].name = "nowhere";
  auto answer = cluster.must(one, request, 8);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::unknown_topic_or_partition));
  request.topics[0].name = topic;
  request.topics[0].partitions[0].index = PartitionIndex{1};
  answer = cluster.must(one, request, 8);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::unknown_topic_or_partition));

  BOOST_TEST((cluster.append(one, good).error_code == KafkaError::none));
  BOOST_TEST((cluster.consume(one) == Values{"good"}));
}

BOOST_AUTO_TEST_CASE(a_follower_sends_producers_and_consumers_away) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId leader = cluster.partition(one).leader_id;
  const NodeId follower = leader == one ? NodeId{2} : one;
  const Bytes batch = batch_of("b");
  BOOST_TEST((cluster.append(follower, batch).error_code == KafkaError::not_leader_or_follower));
  wire::FetchRequest request;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const auto answer = cluster.must(follower, request, 11);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::not_leader_or_follower));
}

BOOST_AUTO_TEST_CASE(a_leader_that_was_frozen_past_its_session_ends_no_producer) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  const auto batch_at = [](std::int32_t sequence) {
    BatchHeader header;
    header.producer_id = ProducerId{7};
    header.producer_epoch = 0;
    header.base_sequence = sequence;
    Record record;
    record.timestamp = 1'700'000'000'000;
    return encode_batch(std::vector<Record>(1, record), header);
  };
  const NodeId leader = cluster.partition(one).leader_id;
  BOOST_TEST((cluster.append(leader, batch_at(0)).error_code == KafkaError::none));
  // Nothing of its fencing reaches it, and the producer has gone on elsewhere.
  cluster.world().pause(leader);
  cluster.world().run_for(seconds(20));
  for (int id = 1; id <= 3; ++id) {
    if (NodeId{id} != leader) cluster.world().fabric().block(NodeId{id}, leader);
  }
  cluster.world().resume(leader);
  BOOST_TEST(
      (cluster.append(leader, batch_at(9)).error_code == KafkaError::not_leader_or_follower));
}

BOOST_DATA_TEST_CASE(the_end_that_a_new_leader_tells_is_not_before_what_was_acknowledged,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  cluster.crash(old);
  // The one who does not lead takes long to tell the one who does what it has.
  const NodeId next{1 + old.value() % 3};
  const NodeId last{1 + next.value() % 3};
  cluster.world().fabric().slow_down(next, last, std::chrono::milliseconds(100));
  cluster.world().fabric().slow_down(last, next, std::chrono::milliseconds(100));
  cluster.world().run_for(seconds(6));
  wire::ListOffsetsRequest request;
  request.topics.emplace_back().name = topic;
  request.topics[0].partitions.emplace_back().timestamp = -1;
  std::optional<std::int64_t> end;
  for (int tries = 0; tries < 20'000 && !end; ++tries) {
    const auto answer = cluster.ask(tries % 2 == 0 ? next : last, request, 5);
    if (!answer) continue;
    const auto& got = answer->message.topics.at(0).partitions.at(0);
    if (got.error_code == KafkaError::none) end = got.offset.value();
  }
  BOOST_REQUIRE(end.has_value());
  BOOST_TEST(*end == 1);
}

BOOST_AUTO_TEST_CASE(offsets_are_found_by_their_ends_and_by_time) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  for (const std::int64_t timestamp : {1000, 3000, 2000, 3000}) {
    BOOST_TEST((cluster.append(one, batch_of("x", timestamp)).error_code == KafkaError::none));
  }
  const auto offset_at = [&](std::int64_t timestamp) {
    wire::ListOffsetsRequest request;
    request.topics.emplace_back().name = topic;
    request.topics[0].partitions.emplace_back().timestamp = timestamp;
    const auto answer = cluster.must(one, request, 7);
    return answer.message.topics.at(0).partitions.at(0).offset.value();
  };
  BOOST_TEST(offset_at(-1) == 4);
  BOOST_TEST(offset_at(-2) == 0);
  BOOST_TEST(offset_at(-3) == 1);  // The first of those with the largest timestamp.
  BOOST_TEST(offset_at(1000) == 0);
  BOOST_TEST(offset_at(1001) == 1);
  BOOST_TEST(offset_at(3000) == 1);
  BOOST_TEST(offset_at(3001) == -1);
}

BOOST_AUTO_TEST_CASE(an_epoch_ends_where_the_log_does_until_the_next_one_begins) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  const LeaderEpoch current = cluster.partition(one).leader_epoch;
  const auto end_of = [&](LeaderEpoch epoch) {
    wire::OffsetForLeaderEpochRequest request;
    request.topics.emplace_back().topic = topic;
    request.topics[0].partitions.emplace_back().leader_epoch = epoch;
    const auto answer = cluster.must(one, request, 3);
    return answer.message.topics.at(0).partitions.at(0).end_offset.value();
  };
  BOOST_TEST(end_of(current) == 1);
  BOOST_TEST(end_of(current.next()) == -1);
}

BOOST_AUTO_TEST_CASE(metadata_tells_all_topics_from_none_as_each_version_says_it) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::MetadataRequest request;
  BOOST_TEST(cluster.must(one, request, 9).message.topics.size() == 1u);  // Null: all.
  request.topics.emplace();
  BOOST_TEST(cluster.must(one, request, 9).message.topics.empty());       // Empty: none, but
  BOOST_TEST(cluster.must(one, request, 0).message.topics.size() == 1u);  // all in version 0.
  request.topics->emplace_back().name = "nowhere";
  const auto unknown = cluster.must(one, request, 9);
  BOOST_TEST((unknown.message.topics.at(0).error_code == KafkaError::unknown_topic_or_partition));
  BOOST_TEST((unknown.message.controller_id == one));
}

BOOST_AUTO_TEST_CASE(
    a_bad_produce_without_acks_closes_the_connection_and_a_good_one_has_no_answer) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  const Bytes good = batch_of("good");
  Bytes damaged = good;
  damaged.back() ^= std::byte{1};
  set_log_level(LogLevel::error);
  const auto closed = cluster.ask(one, produce_request(damaged, 0), 8);
  BOOST_REQUIRE(!closed.has_value());
  BOOST_TEST((closed.error().code == Errc::closed));
  const auto unanswered =
      runtime::begin(cluster.world(), client,
                     call(cluster.world().node(client), one, produce_request(good, 0), 8));
  cluster.world().run_for(seconds(5));
  BOOST_TEST(!unanswered->value.has_value());
  BOOST_TEST((cluster.consume(one) == Values{"good"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
