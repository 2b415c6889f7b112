// What a broker has of topics that were deleted, and of partitions that were moved away, while it
// was down: whole nodes in a simulated world.

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/delete_topics.h"

namespace qlab::broker {
namespace {

using namespace testing;
namespace data = boost::unit_test::data;

constexpr NodeId one{1}, two{2}, three{3};
constexpr int partitions = 4;  // Of each topic: every shard has some.

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

void create(Cluster& cluster, const std::string& name, const std::vector<NodeId>& replicas) {
  wire::CreateTopicsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = name;
  wanted.num_partitions = -1;
  wanted.replication_factor = -1;
  for (int p = 0; p < partitions; ++p) {
    auto& assignment = wanted.assignments.emplace_back();
    assignment.partition_index = PartitionIndex{p};
    assignment.broker_ids = replicas;
  }
  const auto answer = cluster.must(one, request, 5);
  const KafkaError error = answer.message.topics.at(0).error_code;
  BOOST_REQUIRE_MESSAGE(error == KafkaError::none, name_of(error));
}

// One batch to each partition, which the first replica leads: acknowledged by all in sync.
void fill(Cluster& cluster, const std::string& name) {
  const Bytes batch = batch_of("a");
  wire::ProduceRequest request = produce_request(batch);
  for (int p = 0; p < partitions; ++p) {
    request.topics[0].name = name;
    request.topics[0].partitions[0].index = PartitionIndex{p};
    KafkaError error{};
    for (int tries = 0; tries < 100; ++tries) {
      const auto answer = cluster.must(one, request, 8);
      error = answer.message.topics.at(0).partitions.at(0).error_code;
      if (error == KafkaError::none) break;
      cluster.world().run_for(std::chrono::milliseconds(100));
    }
    BOOST_REQUIRE_MESSAGE(error == KafkaError::none, name << "-" << p << ": " << name_of(error));
  }
}

void remove(Cluster& cluster, const std::string& name) {
  wire::DeleteTopicsRequest request;
  request.topic_names.push_back(name);
  request.timeout_ms = 5000;
  const auto answer = cluster.must(one, request, 5);
  const KafkaError error = answer.message.responses.at(0).error_code;
  BOOST_REQUIRE_MESSAGE(error == KafkaError::none, name_of(error));
}

void move(Cluster& cluster, const std::string& name, const std::vector<NodeId>& replicas) {
  wire::AlterPartitionReassignmentsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = name;
  for (int p = 0; p < partitions; ++p) {
    auto& partition = wanted.partitions.emplace_back();
    partition.partition_index = PartitionIndex{p};
    partition.replicas = replicas;
  }
  const auto answer = cluster.must(one, request, 0);
  BOOST_REQUIRE((answer.message.error_code == KafkaError::none));
  cluster.wait(name + " to have moved", [&] {
    const metadata::TopicPtr topic = cluster.node(one).image()->topic(name);
    for (int p = 0; p < partitions; ++p) {
      const auto& now = *topic->partitions[static_cast<std::size_t>(p)];
      if (now.is_reassigning() || now.replicas != replicas) return false;
    }
    return true;
  });
}

// What the layout has that is nobody's by the node's image.
std::vector<std::string> strays(Cluster& cluster, NodeId id) {
  const Node& node = cluster.node(id);
  auto found =
      runtime::run(cluster.world(), id, node.partitions().find_strays(node.image()), seconds(10));
  return std::move(found.value());
}

// Partitions with a directory of their own.
std::vector<std::string> directories(Cluster& cluster, NodeId id, const std::string& topic) {
  auto names = cluster.world().node(id).disk().list("").value();
  std::erase_if(names, [&](const std::string& name) { return !name.starts_with(topic + "-"); });
  return names;
}

// The log ends of a topic's replicas on a node.
std::vector<std::int64_t> ends(Cluster& cluster, NodeId id, const std::string& name) {
  std::vector<std::int64_t> ends;
  const auto views =
      runtime::run(cluster.world(), id, cluster.node(id).partitions().views(), seconds(10));
  for (const Partitions::View& view : views) {
    if (view.partition.topic == name) ends.push_back(view.log_end.value());
  }
  return ends;
}

void wait_for_records(Cluster& cluster, NodeId id, const std::string& name) {
  const std::vector<std::int64_t> wanted(partitions, 1);
  for (int i = 0; i < 100 && ends(cluster, id, name) != wanted; ++i) {
    cluster.world().run_for(std::chrono::milliseconds(100));
  }
  BOOST_TEST((ends(cluster, id, name) == wanted), name << " on node " << id);
}

const auto layouts = data::make(std::vector<std::string>{"per_partition", "shared"});
const auto shard_counts = data::make(std::vector<int>{1, 3});
const auto replicators = data::make(std::vector<std::string>{"isr", "consensus"});

BOOST_FIXTURE_TEST_SUITE(strays_of_nodes, Fixture)

BOOST_DATA_TEST_CASE(a_broker_that_comes_back_drops_what_it_lost_and_nothing_else,
                     layouts* shard_counts* replicators, layout, shards, replicator) {
  const bool can_move = replicator == "isr";
  const bool has_directories = layout == "per_partition";
  Cluster cluster(1, 3, [&](NodeId) {
    return fmt::format("log.layout={}\nnum.shards={}\nreplicator={}\n", layout, shards, replicator);
  });
  const std::vector<NodeId> all{one, two, three};
  for (const char* name : {"kept", "gone", "again"}) create(cluster, name, all);
  if (can_move) create(cluster, "moved", {one, two});
  for (const char* name : {"kept", "gone", "again"}) fill(cluster, name);
  if (can_move) fill(cluster, "moved");
  wait_for_records(cluster, two, "again");
  BOOST_TEST(directories(cluster, two, "gone").size() == (has_directories ? 4u : 0u));

  cluster.crash(two);
  remove(cluster, "gone");
  remove(cluster, "again");
  cluster.world().run_for(seconds(20));  // It is fenced.
  create(cluster, "again", all);
  if (can_move) move(cluster, "moved", {one, three});
  cluster.boot(two);
  cluster.wait_ready(two);

  BOOST_TEST(strays(cluster, two).empty());
  BOOST_TEST(directories(cluster, two, "gone").empty());
  BOOST_TEST(directories(cluster, two, "moved").empty());
  wait_for_records(cluster, two, "kept");  // A group applies them anew.
  BOOST_TEST(directories(cluster, two, "kept").size() == (has_directories ? 4u : 0u));
  BOOST_TEST((ends(cluster, two, "again") == std::vector<std::int64_t>(partitions, 0)));
  fill(cluster, "again");
  // And what is here now is here in the next life.
  wait_for_records(cluster, two, "again");
  cluster.stop(two);
  cluster.boot(two);
  cluster.wait_ready(two);
  BOOST_TEST(strays(cluster, two).empty());
  for (const char* name : {"kept", "again"}) wait_for_records(cluster, two, name);
}

// Its snapshot is from before the topic, and what it has of the log behind it may be uncommitted.
BOOST_DATA_TEST_CASE(a_broker_that_knows_an_old_image_alone_drops_nothing, layouts, layout) {
  Cluster cluster(1, 3, [&](NodeId) {
    return fmt::format("log.layout={}\nmetadata.log.max.record.bytes.between.snapshots=2000\n",
                       layout);
  });
  const std::vector<NodeId> all{one, two, three};
  wire::CreateTopicsRequest early;  // For a snapshot.
  auto& wide = early.topics.emplace_back();
  wide.name = "early";
  wide.num_partitions = 100;
  wide.replication_factor = 1;
  cluster.must(one, early, 5);
  cluster.world().run_for(seconds(5));
  create(cluster, "kept", all);
  fill(cluster, "kept");
  for (const NodeId id : all) cluster.crash(id);
  cluster.boot(two);
  cluster.world().run_for(seconds(20));
  BOOST_TEST((cluster.node(two).image()->topic("early") != nullptr));
  BOOST_TEST((cluster.node(two).image()->topic("kept") == nullptr));
  BOOST_TEST(strays(cluster, two).size() == 4u);  // By that image.
  BOOST_TEST(directories(cluster, two, "kept").size() == (layout == "per_partition" ? 4u : 0u));
  cluster.boot(one);
  cluster.boot(three);
  for (const NodeId id : all) cluster.wait_ready(id);
  BOOST_TEST(strays(cluster, two).empty());
  BOOST_TEST((ends(cluster, two, "kept") == std::vector<std::int64_t>(partitions, 1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
