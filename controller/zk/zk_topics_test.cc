// Topics are made, grow and go, and their ISRs change.

#include <sstream>

#include <boost/test/unit_test.hpp>

#include "controller/zk/cluster_test.h"

namespace qlab::controller {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

constexpr NodeId n1{11};
constexpr NodeId n2{12};
constexpr NodeId n3{13};

// The sum of a field of the events of that name.
std::int64_t told(const std::string& trace, std::string_view event, std::string_view field) {
  const std::string name = fmt::format("\"event\":\"{}\"", event);
  const std::string key = fmt::format("\"{}\":", field);
  std::int64_t sum = 0;
  std::istringstream lines(trace);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(name) == std::string::npos) continue;
    const std::size_t at = line.find(key);
    if (at != std::string::npos) sum += std::stoll(line.substr(at + key.size()));
  }
  return sum;
}

BOOST_AUTO_TEST_SUITE(controller_zk)

BOOST_AUTO_TEST_CASE(a_new_topic_has_leaders_and_every_broker_knows_them) {
  Cluster cluster(1);
  cluster.until_ready();
  // Seven partitions are more than a request may tell of.
  const TopicOutcome made = cluster.create(Cluster::placed("t", 7, 3));
  BOOST_TEST((made.error == KafkaError::none));
  BOOST_TEST(made.partitions == 7);
  BOOST_TEST(made.replication_factor == 3);
  const auto value = znodes::decode_topic("t", as_view(*cluster.znode("/brokers/topics/t")));
  BOOST_REQUIRE(value.has_value());
  BOOST_TEST((value->id == made.id));
  for (int p = 0; p < 7; ++p) {
    const auto state = cluster.state("t", p);
    BOOST_REQUIRE(state.has_value());
    BOOST_TEST(state->leader == value->replicas[static_cast<std::size_t>(p)].front());
    BOOST_TEST((state->isr == value->replicas[static_cast<std::size_t>(p)]));
  }
  cluster.world().run_for(seconds(1));
  for (const NodeId id : {n1, n2, n3}) {
    BOOST_TEST(cluster.listeners[id].replicas.size() == 7u);
    BOOST_TEST(cluster.listeners[id].metadata.size() == 7u);
  }
}

BOOST_AUTO_TEST_CASE(of_many_new_partitions_the_first_are_told_of_before_the_last_are_written) {
  Cluster cluster(1);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  std::vector<NewTopic> topics(1, Cluster::placed("t", 22, 3));
  topics.push_back(Cluster::placed("a", 1, 3));
  const auto made = runtime::begin(
      cluster.world(), leader,
      cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)));
  const auto& known = cluster.listeners[n1].metadata;
  cluster.ensemble.until([&] { return known.contains({"t", PartitionIndex{0}}); });
  BOOST_TEST(!cluster.has(znodes::state("t", PartitionIndex{21})));
  BOOST_TEST(!made->value.has_value());
  cluster.ensemble.until([&] { return made->value.has_value(); });
  BOOST_REQUIRE(made->value->has_value());
  for (const TopicOutcome& one : **made->value) {
    BOOST_TEST((one.error == KafkaError::none));
    for (int p = 0; p < one.partitions; ++p) {
      BOOST_TEST(cluster.has(znodes::state(one.name, PartitionIndex{p})));
    }
  }
  cluster.world().run_for(seconds(1));
  for (const NodeId id : {n1, n2, n3}) {
    BOOST_TEST(cluster.listeners[id].replicas.size() == 23u);
    BOOST_TEST(cluster.listeners[id].metadata.size() == 23u);
  }
}

BOOST_AUTO_TEST_CASE(new_partitions_wait_for_brokers_that_open_others_and_not_for_deaf_ones) {
  Cluster cluster(1);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const auto make = [&](const std::string& name) {
    std::vector<NewTopic> topics(1, Cluster::placed(name, 20, 3));
    const Time began = cluster.world().node(leader).now();
    const auto made = runtime::begin(
        cluster.world(), leader,
        cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)));
    cluster.ensemble.until([&] { return cluster.has(znodes::state(name, PartitionIndex{19})); });
    const Duration took = cluster.world().node(leader).now() - began;
    const std::size_t known = cluster.listeners[n1].replicas.size();
    cluster.ensemble.until([&] { return made->value.has_value(); });
    return std::pair(took, known);
  };
  const auto [took, known] = make("t");
  BOOST_TEST(known == 15u);  // Five at a time: all but the last.
  cluster.listeners[n1].is_deaf = true;
  const Duration longest = make("u").first;
  BOOST_TEST((longest < took * 4));
}

BOOST_AUTO_TEST_CASE(what_a_topic_took_is_told_in_records_znodes_and_bytes) {
  Cluster cluster(1);
  cluster.until_ready();
  cluster.world().run_for(seconds(1));
  const std::string before = cluster.world().recent_trace();
  const auto took = [&](std::string_view event, std::string_view field) {
    return told(cluster.world().recent_trace(), event, field) - told(before, event, field);
  };
  cluster.create(Cluster::placed("t", 2, 1));
  std::size_t states = 0;
  for (int p = 0; p < 2; ++p) {
    states += cluster.znode(znodes::state("t", PartitionIndex{p}))->size();
  }
  cluster.world().run_for(seconds(1));
  BOOST_TEST(took("metadata_committed", "records") == 2);
  BOOST_TEST(took("metadata_committed", "bytes") == static_cast<std::int64_t>(states));
  // The topic, its config, the parent of its partitions, and a znode and a state of each.
  BOOST_TEST(took("znodes_used", "writes") == 7);
  BOOST_TEST(took("znodes_used", "written_bytes") > static_cast<std::int64_t>(states));
  // The list of topics and the new one, which its watch has told of.
  BOOST_TEST(took("znodes_used", "reads") == 2);
  cluster.remove("t");
  cluster.world().run_for(seconds(1));
  BOOST_TEST(took("control_requests_sent", "stop_replica") > 0);
  BOOST_TEST(took("control_requests_sent", "stop_replica_bytes") > 0);
}

BOOST_AUTO_TEST_CASE(each_bad_topic_gets_an_error_of_its_own_and_the_good_one_is_made) {
  Cluster cluster(2);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  std::vector<NewTopic> topics;
  topics.push_back(Cluster::placed("bad/name", 1, 1));
  topics.push_back(Cluster::placed("factor", 1, 4));
  topics.push_back(Cluster::placed("none", 0, 1));
  topics.push_back(Cluster::placed("good", 1, 1));
  topics.push_back(Cluster::placed("good", 1, 1));
  topics.push_back(Cluster::topic("unknown", {{NodeId{99}}}));
  topics.push_back(Cluster::placed("config", 1, 1));
  topics.back().configs.emplace_back("no.such.key", "1");
  topics.push_back(Cluster::placed("large", 1'000'000, 3));
  topics.push_back(Cluster::placed("larger", 2'000'001, 1));
  const auto made = cluster.run(
      leader, cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)));
  BOOST_REQUIRE(made.has_value());
  const std::vector<KafkaError> expected{
      KafkaError::invalid_topic_exception, KafkaError::invalid_replication_factor,
      KafkaError::invalid_partitions,      KafkaError::none,
      KafkaError::invalid_request,         KafkaError::invalid_replica_assignment,
      KafkaError::invalid_config,          KafkaError::policy_violation,
      KafkaError::policy_violation};
  for (std::size_t t = 0; t < expected.size(); ++t) {
    BOOST_TEST((made->at(t).error == expected[t]), made->at(t).name << ": " << made->at(t).message);
  }
  // The znode that would be too large says how large, and what it may be.
  BOOST_TEST(made->at(7).message.find("jute.maxbuffer") != std::string::npos);
  const TopicOutcome again = cluster.create(Cluster::placed("good", 1, 1));
  BOOST_TEST((again.error == KafkaError::topic_already_exists));
}

BOOST_AUTO_TEST_CASE(names_that_no_controller_could_list_are_refused) {
  Cluster cluster(3);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  std::vector<NewTopic> topics;
  for (int t = 0; t < 4200; ++t) {
    topics.push_back(Cluster::placed(fmt::format("{:0>249}", t), 1, 1));
  }
  const auto made = cluster.run(
      leader, cluster.at(leader).create_topics(std::move(topics), true, cluster.deadline(leader)));
  BOOST_REQUIRE(made.has_value());
  BOOST_TEST((made->front().error == KafkaError::none));
  BOOST_TEST((made->back().error == KafkaError::policy_violation));
  BOOST_TEST(made->back().message.find("jute.maxbuffer") != std::string::npos);
}

// Made past every controller, as by one that checks nothing.
BOOST_AUTO_TEST_CASE(a_list_of_topics_that_is_too_long_for_jute_costs_whoever_reads_it_the_office) {
  Cluster cluster(4);
  cluster.until_ready();
  const auto write_all = [&](auto make) {
    std::vector<KeeperRequest> parts;
    for (int t = 0; t < 4300; ++t) {
      parts.push_back(make(znodes::topic(fmt::format("{:0>249}", t))));
      if (parts.size() < 430) continue;
      cluster.write(multi_request(std::exchange(parts, {})));
    }
  };
  const NodeId old = *cluster.active();
  cluster.crash(old);
  write_all([](const std::string& path) { return create_request(path, ""); });
  cluster.world().run_for(3 * Cluster::session_timeout);
  BOOST_TEST(!cluster.active().has_value());
  write_all([](const std::string& path) { return delete_request(path); });
  BOOST_TEST(cluster.until_active() != old);
}

BOOST_AUTO_TEST_CASE(a_list_that_is_too_long_for_jute_is_an_error_that_names_both_sizes) {
  ClientReply reply;
  reply.body.resize(Session::jute_bytes_max + 1);
  const auto names = decode_children(reply);
  BOOST_REQUIRE(!names.has_value());
  BOOST_TEST((names.error().code == Errc::out_of_range));
  BOOST_TEST(names.error().context.find("1048576 bytes") != std::string::npos);
  BOOST_TEST(names.error().context.find("jute.maxbuffer=1048575") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_request_that_only_asks_writes_nothing) {
  Cluster cluster(4);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  std::vector<NewTopic> topics(1, Cluster::placed("t", 1, 1));
  const auto made = cluster.run(
      leader, cluster.at(leader).create_topics(std::move(topics), true, cluster.deadline(leader)));
  BOOST_REQUIRE(made.has_value());
  BOOST_TEST((made->front().error == KafkaError::none));
  BOOST_TEST(!cluster.znode("/brokers/topics/t").has_value());
}

// Kafka's ZooKeeper controller takes the names as a set and answers each time; one of KRaft
// refuses.
BOOST_AUTO_TEST_CASE(a_topic_that_is_to_be_deleted_twice_by_one_request_is_answered_twice) {
  Cluster cluster(5);
  cluster.until_ready();
  const TopicOutcome topic = cluster.create(Cluster::placed("t", 1, 3));
  const NodeId leader = *cluster.active();
  const auto gone =
      cluster.run(leader, cluster.at(leader).delete_topics({"t", "t"}, cluster.deadline(leader)));
  BOOST_REQUIRE(gone.has_value());
  BOOST_REQUIRE(gone->size() == 2u);
  for (const TopicOutcome& outcome : *gone) {
    BOOST_TEST((outcome.error == KafkaError::none));
    BOOST_TEST((outcome.id == topic.id));
  }
  cluster.ensemble.until([&] { return !cluster.has("/brokers/topics/t"); });
}

BOOST_AUTO_TEST_CASE(a_deleted_topic_leaves_nothing_and_its_name_is_free) {
  Cluster cluster(5);
  cluster.until_ready();
  const TopicOutcome first = cluster.create(Cluster::placed("t", 4, 3));
  BOOST_TEST((cluster.remove("t").error == KafkaError::none));
  cluster.ensemble.until([&] { return !cluster.znode("/brokers/topics/t").has_value(); });
  cluster.ensemble.until([&] { return !cluster.znode("/admin/delete_topics/t").has_value(); });
  BOOST_TEST(!cluster.znode("/config/topics/t").has_value());
  for (const NodeId id : {n1, n2, n3}) {
    BOOST_TEST(cluster.listeners[id].deleted.size() == 4u);
    BOOST_TEST(cluster.listeners[id].metadata.empty());
  }
  BOOST_TEST((cluster.remove("t").error == KafkaError::unknown_topic_or_partition));
  const TopicOutcome second = cluster.create(Cluster::placed("t", 1, 1));
  BOOST_TEST((second.error == KafkaError::none));
  BOOST_TEST((second.id != first.id));
}

BOOST_AUTO_TEST_CASE(a_topic_waits_for_a_broker_that_is_away_before_it_is_gone) {
  Cluster cluster(6);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const NodeId away = leader == n1 ? n2 : n1;
  cluster.create(Cluster::placed("t", 2, 3));
  cluster.crash(away);
  cluster.world().run_for(Cluster::session_timeout * 3);
  cluster.remove("t");
  cluster.world().run_for(seconds(5));
  BOOST_TEST(cluster.znode("/brokers/topics/t").has_value());
  BOOST_TEST(
      (cluster.create(Cluster::placed("t", 1, 1)).error == KafkaError::topic_already_exists));
  cluster.boot(away);
  cluster.ensemble.until([&] { return !cluster.znode("/admin/delete_topics/t").has_value(); });
  BOOST_TEST(!cluster.znode("/brokers/topics/t").has_value());
  BOOST_TEST(cluster.listeners[away].deleted.size() == 2u);
  BOOST_TEST(cluster.listeners[away].replicas.empty());
}

BOOST_AUTO_TEST_CASE(a_topic_whose_znode_grows_gets_the_new_partitions) {
  Cluster cluster(7);
  cluster.until_ready();
  cluster.create(Cluster::topic("t", {{n1, n2}}));
  auto value = *znodes::decode_topic("t", as_view(*cluster.znode("/brokers/topics/t")));
  value.replicas.push_back({n2, n3});
  cluster.write(set_request("/brokers/topics/t", znodes::topic_value(value)));
  cluster.ensemble.until([&] { return cluster.listeners[n3].replicas.size() == 1; });
  BOOST_TEST(cluster.state("t", 1)->leader == n2);
  BOOST_TEST(cluster.listeners[n1].metadata.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_topic_that_does_not_decode_is_left_out_and_the_others_are_served) {
  Cluster cluster(8);
  cluster.until_ready();
  cluster.write(create_request("/brokers/topics/garbage", "{"));
  const TopicOutcome made = cluster.create(Cluster::placed("t", 1, 3));
  BOOST_TEST((made.error == KafkaError::none));
  for (auto& [id, listener] : cluster.listeners) listener.known_when_all.reset();
  cluster.crash(*cluster.active());
  cluster.until_active();
  cluster.world().run_for(seconds(1));
  BOOST_TEST(!cluster.znode("/brokers/topics/garbage/partitions").has_value());
  // Brokers keep what they have of it.
  for (const auto& [id, listener] : cluster.listeners) {
    BOOST_TEST(!listener.known_when_all.has_value());
  }
  BOOST_TEST((cluster.create(Cluster::placed("u", 1, 1)).error == KafkaError::none));
}

// Of partition 0 of `topic`, in the name of its leader.
struct Alteration {
  Alteration(Cluster& in, const TopicOutcome& topic) : cluster(in) {
    const auto state = *cluster.state(topic.name, 0);
    request.broker = state.leader;
    request.epoch = *cluster.epoch_of(state.leader);
    PartitionAlteration wanted;
    wanted.topic_id = topic.id;
    wanted.partition = PartitionIndex{0};
    wanted.leader_epoch = state.leader_epoch;
    wanted.partition_epoch =
        cluster.listeners[state.leader].replicas[{topic.name, PartitionIndex{0}}].version;
    wanted.new_isr = state.isr;
    request.partitions.push_back(wanted);
  }
  PartitionAlteration& wanted() { return request.partitions.front(); }
  Result<AlterationOutcome> ask() {
    const NodeId leader = cluster.until_active();
    TRY(const auto outcomes,
        cluster.run(leader, cluster.at(leader).alter_partition(request, cluster.deadline(leader))));
    return outcomes.front();
  }
  KafkaError error() { return ask()->error; }
  Cluster& cluster;
  AlterPartition request;
};

BOOST_AUTO_TEST_CASE(an_isr_changes_by_its_leaders_word_and_all_hear_of_it) {
  Cluster cluster(9);
  cluster.until_ready();
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{n1, n2, n3}}));
  cluster.world().run_for(seconds(1));
  Alteration shrink(cluster, topic);
  shrink.wanted().new_isr = {n1, n3};
  const auto outcome = shrink.ask();
  BOOST_REQUIRE(outcome.has_value());
  BOOST_TEST((outcome->error == KafkaError::none));
  BOOST_TEST(outcome->partition_epoch == 1);
  BOOST_TEST(outcome->leader == n1);
  BOOST_TEST((cluster.state("t", 0)->isr == std::vector<NodeId>{n1, n3}));
  cluster.world().run_for(seconds(1));
  const TopicPartition which{"t", PartitionIndex{0}};
  BOOST_TEST((cluster.listeners[n2].metadata[which].isr == std::vector<NodeId>{n1, n3}));
  // The same word again, as after a lost answer, is no error; an older one is.
  BOOST_TEST((shrink.error() == KafkaError::none));
  shrink.wanted().new_isr = {n1};
  BOOST_TEST((shrink.error() == KafkaError::invalid_update_version));
}

// As after a write whose answer was lost, or one of somebody else.
BOOST_AUTO_TEST_CASE(
    a_state_that_was_written_unseen_is_what_the_leader_asked_for_or_is_told_to_it) {
  Cluster cluster(10);
  cluster.until_ready();
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{n1, n2, n3}}));
  cluster.world().run_for(seconds(1));
  const TopicPartition which{"t", PartitionIndex{0}};
  const std::string path = znodes::state("t", PartitionIndex{0});
  auto state = *cluster.state("t", 0);
  Alteration shrink(cluster, topic);
  shrink.wanted().new_isr = {n1, n3};
  state.isr = {n1, n3};
  cluster.write(set_request(path, znodes::state_value(state)));
  const auto outcome = shrink.ask();
  BOOST_REQUIRE(outcome.has_value());
  BOOST_TEST((outcome->error == KafkaError::none));
  BOOST_TEST(outcome->partition_epoch == 1);

  state.isr = {n1, n2};
  cluster.write(set_request(path, znodes::state_value(state)));
  shrink.wanted().partition_epoch = 1;
  shrink.wanted().new_isr = {n1};
  BOOST_TEST((shrink.error() == KafkaError::invalid_update_version));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.listeners[n1].replicas[which].version == 2);
  BOOST_TEST((cluster.listeners[n1].replicas[which].isr == std::vector<NodeId>{n1, n2}));
}

BOOST_AUTO_TEST_CASE(a_word_that_does_not_fit_is_refused) {
  Cluster cluster(10);
  cluster.until_ready();
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{n1, n2}}));
  cluster.world().run_for(seconds(1));
  const auto refused = [&](auto change) {
    Alteration alteration(cluster, topic);
    change(alteration.wanted());
    return alteration.error();
  };
  BOOST_TEST((refused([](auto& w) {
                w.topic_id = TopicId{1, 2};
              }) == KafkaError::unknown_topic_id));
  BOOST_TEST((refused([](auto& w) { w.partition = PartitionIndex{7}; }) ==
              KafkaError::unknown_topic_or_partition));
  BOOST_TEST((refused([](auto& w) { w.leader_epoch = LeaderEpoch{-1}; }) ==
              KafkaError::fenced_leader_epoch));
  BOOST_TEST(
      (refused([](auto& w) { w.leader_epoch = LeaderEpoch{5}; }) == KafkaError::not_controller));
  BOOST_TEST((refused([](auto& w) { w.new_isr = {n2}; }) == KafkaError::invalid_request));
  BOOST_TEST((refused([](auto& w) { w.new_isr = {n1, n3}; }) == KafkaError::invalid_request));
  BOOST_TEST((refused([](auto& w) {
                w.new_isr = {n1};
                w.partition_epoch = 9;
              }) == KafkaError::not_controller));
  Alteration stale(cluster, topic);
  stale.request.epoch = BrokerEpoch{1};
  const auto outcome = stale.ask();
  BOOST_REQUIRE(!outcome.has_value());
  BOOST_TEST((outcome.error().code == Errc::fenced));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
