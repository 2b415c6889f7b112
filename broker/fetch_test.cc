// Fetch as clients meet it, on whole nodes in a simulated world.

#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"

namespace qlab::broker {
namespace {

using namespace testing;
using wire::KafkaError;

constexpr NodeId one{1};

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

wire::FetchResponse::Partition read(Cluster& cluster, NodeId node, const std::string& rack,
                                    std::int16_t version, Answer<wire::FetchResponse>& answer) {
  wire::FetchRequest request;
  request.rack_id = rack;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  answer = cluster.must(node, request, version);
  return answer.message.topics.at(0).partitions.at(0);
}

BOOST_FIXTURE_TEST_SUITE(fetch, Fixture)

BOOST_AUTO_TEST_CASE(a_consumer_is_sent_to_the_replica_in_its_rack_and_served_there) {
  Cluster cluster(1, 3, [](NodeId id) {
    return fmt::format("broker.rack=r{}\nreplica.selector.class=rack-aware\n", id);
  });
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId leader = cluster.partition(one).leader_id;
  const NodeId near = leader == one ? NodeId{2} : one;
  cluster.world().run_for(std::chrono::seconds(2));  // The follower hears the watermark.
  const std::string rack = fmt::format("r{}", near);
  Answer<wire::FetchResponse> answer;

  const auto sent = read(cluster, leader, rack, 11, answer);
  BOOST_TEST((sent.preferred_read_replica == near));
  BOOST_TEST(sent.records->empty());
  const auto served = read(cluster, near, rack, 11, answer);
  BOOST_TEST((served.error_code == KafkaError::none), name_of(served.error_code));
  BOOST_TEST(!served.records->empty());

  const auto without = read(cluster, leader, "", 11, answer);
  BOOST_TEST((without.preferred_read_replica == no_node));
  BOOST_TEST(!without.records->empty());
  const auto elsewhere = read(cluster, leader, "moon", 11, answer);
  BOOST_TEST(!elsewhere.records->empty());
  const auto old = read(cluster, near, "", 10, answer);
  BOOST_TEST((old.error_code == KafkaError::not_leader_or_follower));
}

// Whoever leads a new partition may hold a fetch of its followers that does not name it yet.
BOOST_AUTO_TEST_CASE(a_new_partition_is_copied_at_once_although_its_leader_holds_fetches) {
  constexpr std::int64_t wait_max = 20;
  Cluster cluster(
      2, 3, [](NodeId) { return fmt::format("replica.fetch.wait.max.ms={}\n", wait_max * 1000); });
  wire::CreateTopicsRequest others;
  auto& other = others.topics.emplace_back();
  other.name = "others";
  other.num_partitions = 6;
  other.replication_factor = 3;
  cluster.must(one, others, 5);
  cluster.world().run_for(seconds(3));

  cluster.create_topic(one, 3);
  const Time begun = cluster.world().now();
  cluster.produce(one, "a");
  BOOST_TEST((cluster.world().now() - begun < seconds(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
