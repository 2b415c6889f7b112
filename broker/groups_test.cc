// Whole nodes in a simulated world, with replicator=consensus.

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"
#include "wire/kafka/list_offsets.h"

namespace qlab::broker {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using Values = std::vector<std::string>;
constexpr NodeId one{1};

namespace data = boost::unit_test::data;
const auto modules = data::make(std::vector<std::string>{"raft", "kraft"});

Cluster::More groups_of(const std::string& module) {
  return [module](NodeId) {
    return fmt::format("replicator=consensus\nreplicator.module={}\n", module);
  };
}

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

BOOST_FIXTURE_TEST_SUITE(groups, Fixture)

BOOST_DATA_TEST_CASE(what_a_group_of_one_acknowledged_is_there_after_the_power_failed,
                     data::xrange(1, 4) * modules, seed, module) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 1, groups_of(module));
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

BOOST_DATA_TEST_CASE(a_group_elects_a_leader_that_clients_are_told_of_when_the_old_one_dies,
                     data::xrange(1, 4) * modules, seed, module) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3, groups_of(module));
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
  cluster.wait("the old leader to be in sync",
               [&] { return cluster.partition(other).isr_nodes.size() == 3; });
  cluster.produce(other, "c");
  BOOST_TEST((cluster.consume(cluster.partition(other).leader_id) == Values{"a", "b", "c"}));
}

BOOST_DATA_TEST_CASE(a_node_that_is_stopped_hands_over_the_groups_that_it_leads_first, modules,
                     module) {
  Cluster cluster(1, 3, groups_of(module));
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

struct Attempt {
  Attempt(runtime::Runtime& runtime, NodeConfig config)
      : shards(runtime, config.shards), node(shards, std::move(config), {}) {}
  ShardsOfOneThread shards;
  Node node;
};

// What a node was formatted with, one other setting, and what it says then.
struct OtherSetting {
  std::string formatted, started, said;
};
const std::vector<OtherSetting> other_settings{
    {"replicator=consensus\nreplicator.module=raft\n",
     "replicator=consensus\nreplicator.module=kraft\n", "replicator.module=raft"},
    {"replicator=consensus\n", "replicator=isr\n", "replicator=consensus"},
    {"consensus.module=kraft\n", "consensus.module=raft\n", "consensus.module=kraft"},
    {"controller.design=quorum\n",
     "controller.design=zk\nkeeper.listener=n:2181\nkeeper.connect=n:2181\n",
     "controller.design=quorum"},
};
std::ostream& operator<<(std::ostream& out, const OtherSetting& setting) {
  return out << setting.said;
}

BOOST_DATA_TEST_CASE(what_was_written_with_one_setting_is_not_opened_with_another,
                     data::make(other_settings), setting) {
  Cluster cluster(1, 1, [formatted = setting.formatted](NodeId) { return formatted; });
  cluster.crash(one);
  std::shared_ptr<Attempt> attempt;
  cluster.world().boot(one, [&](runtime::Runtime& runtime) {
    return attempt = std::make_shared<Attempt>(runtime, config_of(one, 1, setting.started));
  });
  const auto started = runtime::run(cluster.world(), one, attempt->node.start(), seconds(10));
  BOOST_REQUIRE(!started.has_value());
  BOOST_TEST(started.error().context.find(" " + setting.said + ";") != std::string::npos,
             started.error().message());
}

// Its partitions have directories that are named as those of the groups' logs could be.
const std::string groups_topic = "groups";

// Appends to a partition of it through who leads that, until it is acknowledged.
void insist(Cluster& cluster, NodeId asked, std::int32_t index, const std::string& value) {
  const Bytes batch = batch_of(value);
  auto request = produce_request(batch);
  request.topics[0].name = groups_topic;
  request.topics[0].partitions[0].index = PartitionIndex{index};
  KafkaError error = KafkaError::unknown_server_error;
  for (int tries = 0; tries < 300 && error != KafkaError::none; ++tries) {
    if (tries > 0) cluster.world().run_for(milliseconds(100));
    wire::MetadataRequest wanted;
    wanted.topics.emplace().emplace_back().name = groups_topic;
    const auto known = cluster.must(asked, wanted, 9);
    for (const auto& partition : known.message.topics.at(0).partitions) {
      if (partition.partition_index != PartitionIndex{index}) continue;
      const auto answer = cluster.ask(partition.leader_id, request, 8);
      if (answer) error = answer->message.topics.at(0).partitions.at(0).error_code;
    }
  }
  BOOST_REQUIRE_MESSAGE(error == KafkaError::none, value << ": " << name_of(error));
}

// Ends of the partitions of the topic, as a node has them; without groups there is none.
std::map<std::int32_t, std::int64_t> ends_on(Cluster& cluster, NodeId id) {
  std::map<std::int32_t, std::int64_t> ends;
  const auto views =
      runtime::run(cluster.world(), id, cluster.node(id).partitions().views(), seconds(10));
  for (const auto& view : views) ends[view.partition.partition.value()] = view.log_end.value();
  return ends;
}

BOOST_AUTO_TEST_CASE(groups_of_each_shard_have_a_log_of_their_own_and_share_the_links) {
  constexpr std::int32_t partitions = 7;
  Cluster cluster(3, 3, [](NodeId) { return "replicator=consensus\nnum.shards=3\n"; });
  wire::CreateTopicsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = groups_topic;
  wanted.num_partitions = partitions;
  wanted.replication_factor = 3;
  cluster.must(one, request, 5);
  const auto write_all = [&](NodeId asked, const std::string& value) {
    for (std::int32_t index = 0; index < partitions; ++index) {
      insist(cluster, asked, index, value);
    }
  };
  write_all(one, "a");
  for (const std::string shard : {"0", "1", "2"}) {
    const auto files =
        cluster.world().node(one).disk().list(fmt::format("partition-groups/{}", shard));
    BOOST_REQUIRE(files.has_value());
    BOOST_TEST(!files->empty());
  }
  cluster.crash(NodeId{3});
  write_all(one, "b");
  cluster.boot(NodeId{3});
  cluster.wait_ready(NodeId{3});
  std::map<std::int32_t, std::int64_t> expected;
  for (std::int32_t index = 0; index < partitions; ++index) expected[index] = 2;
  for (int id = 1; id <= 3; ++id) {
    cluster.wait(fmt::format("all records to be on {}", id),
                 [&] { return ends_on(cluster, NodeId{id}) == expected; });
  }
  for (int id = 1; id <= 3; ++id) cluster.crash(NodeId{id});
  for (int id = 1; id <= 3; ++id) cluster.boot(NodeId{id});
  for (int id = 1; id <= 3; ++id) cluster.wait_ready(NodeId{id});
  write_all(one, "c");
  for (auto& [index, end] : expected) end = 3;
  cluster.wait("all records to be on 2", [&] { return ends_on(cluster, NodeId{2}) == expected; });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
