// What must hold at the end, each shown red once by an image that breaks it, and green beside it.

#include "sim/cluster_end.h"

#include <boost/test/unit_test.hpp>

namespace qlab::sim {
namespace {

constexpr NodeId one{1}, two{2}, three{3};
const TopicId topic_id{3, 4};
const PartitionIndex first{0};

Time at(int ms) {
  return Time{} + std::chrono::milliseconds(ms);
}

// A topic of one partition on brokers 1 and 2, and what clients know of it.
struct End {
  End() {
    metadata::TopicRecord topic;
    topic.name = "orders";
    topic.topic_id = topic_id;
    metadata::PartitionRecord record;
    record.topic_id = topic_id;
    record.replicas = record.isr = {one, two};
    record.leader = one;
    metadata::ConfigRecord config;
    config.topic_id = topic_id;
    config.key = "min.insync.replicas";
    config.value = "2";
    metadata::Delta unused;
    image = metadata::Image{}.replay({topic, record, config}, LogIndex{1}, unused);
    fate().is_created = true;
    fate().partitions = 1;
  }
  TopicFate& fate() { return history.topics["orders"]; }
  bool is_found(std::string_view invariant) const {
    const Finding finding = judge_end(history, image);
    if (!finding) return false;
    BOOST_TEST(finding->starts_with(invariant), *finding);
    return true;
  }
  ClusterHistory history;
  metadata::Image image;
};

BOOST_AUTO_TEST_SUITE(cluster_end)

BOOST_AUTO_TEST_CASE(a_topic_that_is_not_there_is_found_unless_somebody_wants_it_deleted) {
  End end;
  BOOST_TEST(!end.is_found(""));
  end.history.topics["payments"].is_created = true;
  BOOST_TEST(end.is_found("topics_have_their_partitions"));
  end.history.topics["payments"].is_deletion_asked = true;
  BOOST_TEST(!end.is_found(""));
}

BOOST_AUTO_TEST_CASE(partitions_that_were_acknowledged_and_are_not_there_are_found) {
  End end;
  end.fate().partitions = 2;
  BOOST_TEST(end.is_found("topics_have_their_partitions"));
}

BOOST_AUTO_TEST_CASE(a_move_that_ended_elsewhere_is_found_unless_it_may_have_been_cancelled) {
  End end;
  auto& moves = end.fate().moves[first];
  moves.begin(std::vector{two, three}, at(1));
  BOOST_TEST(!end.is_found(""));  // Nobody has said that it was begun.
  moves.acknowledge(1, at(2));
  BOOST_TEST(end.is_found("moves_end_where_they_were_to"));
  moves.begin(std::nullopt, at(3));
  BOOST_TEST(!end.is_found(""));
  const auto back = moves.begin(std::vector{one, two}, at(4));
  moves.acknowledge(back, at(5));
  BOOST_TEST(!end.is_found(""));
}

BOOST_AUTO_TEST_CASE(a_refusal_is_final_where_a_second_attempt_is_judged_as_the_first_was) {
  using wire::KafkaError;
  Promises promises;
  BOOST_TEST(promises.is_final_refusal(KafkaError::invalid_config));
  BOOST_TEST(promises.is_final_refusal(KafkaError::invalid_replica_assignment));
  BOOST_TEST(!promises.is_final_refusal(KafkaError::no_reassignment_in_progress));
  BOOST_TEST(!promises.is_final_refusal(KafkaError::request_timed_out));
  promises.targets_stay_valid = false;
  BOOST_TEST(promises.is_final_refusal(KafkaError::invalid_config));
  BOOST_TEST(!promises.is_final_refusal(KafkaError::invalid_replica_assignment));
}

BOOST_AUTO_TEST_CASE(a_config_that_is_not_what_was_acknowledged_is_found) {
  End end;
  auto& writes = end.fate().configs["min.insync.replicas"];
  const auto two_in_sync = writes.begin("2", at(1));
  writes.acknowledge(two_in_sync, at(2));
  BOOST_TEST(!end.is_found(""));
  const auto none = writes.begin(std::nullopt, at(3));
  BOOST_TEST(!end.is_found(""));
  writes.acknowledge(none, at(4));
  BOOST_TEST(end.is_found("configs_are_as_acknowledged"));
  // Where nodes know the configs of what is on them alone: nodes 1 and 2.
  BOOST_TEST(judge_end(end.history, end.image, two).has_value());
  BOOST_TEST(!judge_end(end.history, end.image, three).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
