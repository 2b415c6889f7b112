#include "broker/config.h"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "runtime/contract_tools.h"

namespace qlab::broker {
namespace {

std::vector<Setting> minimal() {
  const auto settings = parse_properties(
      "# a comment\n"
      "node.id=1\n"
      "cluster.id=AAECAwQFBgcICQoLDA0ODw\n\n"
      "log.dir = data \n"
      "listener=127.0.0.1:9092\n"
      "peer.listener=127.0.0.1:9093\n"
      "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9193\n",
      "node.properties");
  BOOST_REQUIRE(settings.has_value());
  return *settings;
}

Setting given(std::string key, std::string value) {
  return {std::move(key), std::move(value), "--set"};
}

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(what_must_be_given_is_enough_and_the_rest_has_kafkas_defaults) {
  const auto config = make_config(minimal(), {});
  BOOST_REQUIRE_MESSAGE(config.has_value(), runtime::why(config));
  BOOST_TEST((config->node == NodeId{1}));
  BOOST_TEST(config->log_dir == "data");
  BOOST_TEST(config->listener.to_string() == "127.0.0.1:9092");
  BOOST_TEST(config->voters.size() == 2u);
  BOOST_TEST((config->voters.at(NodeId{2}).port == 9193));
  BOOST_TEST(config->is_broker);
  BOOST_TEST(config->is_controller);
  BOOST_TEST(config->engine == "buffered");
  BOOST_TEST((config->replication.log.durability == storage::Durability::sync));
  BOOST_TEST(config->server.message_bytes_max == 1'048'588u);
  BOOST_TEST((config->controller.session_timeout == std::chrono::seconds(9)));
  BOOST_TEST(!config->server.auto_create_topics);
}

BOOST_AUTO_TEST_CASE(an_override_replaces_what_the_file_says) {
  const auto config = make_config(
      minimal(), {given("node.id", "2"), given("num.shards", "64"),
                  given("peer.listener", "127.0.0.1:9193"), given("durability", "group")});
  BOOST_REQUIRE_MESSAGE(config.has_value(), runtime::why(config));
  BOOST_TEST((config->node == NodeId{2}));
  BOOST_TEST(config->shards == 64u);
  BOOST_TEST((config->replication.log.durability == storage::Durability::group));
}

struct Bad {
  const char* key;
  const char* value;
  const char* allowed;  // A part of what the error says is allowed.
};
std::ostream& operator<<(std::ostream& out, const Bad& bad) {
  return out << bad.key << "=" << bad.value;
}
const std::vector<Bad> bad_values{
    {"no.such.key", "1", "--help"},
    {"num.shard", "1", "--help"},
    {"num.shards", "0", "[1, 64]"},
    {"num.shards", "65", "[1, 64]"},
    {"num.shards", "many", "[1, 64]"},
    {"num.shards", "1x", "[1, 64]"},
    {"num.shards", "", "[1, 64]"},
    {"num.shards", "99999999999999999999", "[1, 64]"},
    {"node.id", "-1", "[0, 2147483647]"},
    {"cluster.id", "short", "22 characters"},
    {"log.dir", "", "a path"},
    {"listener", "nowhere", "host:port"},
    {"listener", ":9092", "host:port"},
    {"peer.listener", "127.0.0.1:99999", "host:port"},
    {"process.roles", "observer", "broker, controller or both"},
    {"controller.quorum.voters", "1=127.0.0.1:9093", "id@host:port"},
    {"controller.quorum.voters", "1@127.0.0.1:9093,1@127.0.0.1:9094", "each id once"},
    {"controller.quorum.voters", "1@127.0.0.1:9093,", "id@host:port"},
    {"controller.quorum.voters", "1@127.0.0.1:0", "id@host:port"},
    {"controller.quorum.voters", "", "id@host:port"},
    {"engine", "papyrus", "buffered"},
    {"consensus.module", "paxos", "plane, raft, kraft, zab"},
    {"controller.design", "oracle", "plane, quorum, zk"},
    {"plane", "astral", "raft, kraft, zk"},
    {"keeper.listener", "nowhere", "host:port"},
    {"keeper.connect", "127.0.0.1:2181,", "host:port[,host:port...]"},
    {"keeper.connect", "127.0.0.1:0", "host:port[,host:port...]"},
    {"zookeeper.session.timeout.ms", "99", "[100, 300000]"},
    {"zookeeper.max.in.flight.requests", "0", "[1, 1000]"},
    {"durability", "sometimes", "none, group, sync"},
    {"durability.group.ms", "0", "[1, 1000]"},
    {"log.segment.bytes", "1048575", "[1048576, 1073741824]"},
    {"log.segment.bytes", "1073741825", "[1048576, 1073741824]"},
    {"auto.create.topics.enable", "yes", "true, false"},
    {"log.level", "loud", "debug, info, warn, error"},
    // Values that are fine by themselves and contradict another one.
    {"node.id", "3", "exactly the voters"},
    {"process.roles", "broker", "exactly the voters"},
    {"peer.listener", "127.0.0.1:9094", "the same"},
    {"broker.heartbeat.interval.ms", "9000", "broker.session.timeout.ms"},
    {"controller.quorum.heartbeat.interval.ms", "1000", "controller.quorum.election.timeout.ms"},
};

BOOST_DATA_TEST_CASE(a_bad_value_is_named_with_its_key_and_what_is_allowed,
                     boost::unit_test::data::make(bad_values), bad) {
  const auto config = make_config(minimal(), {given(bad.key, bad.value)});
  BOOST_REQUIRE(!config.has_value());
  const std::string words = config.error().context;
  BOOST_TEST((config.error().code == Errc::invalid));
  BOOST_TEST(words.find(bad.key) != std::string::npos, words);
  BOOST_TEST(words.find(bad.value) != std::string::npos, words);
  BOOST_TEST(words.find(bad.allowed) != std::string::npos, words);
  BOOST_TEST(words.find('\n') == std::string::npos, words);
}

BOOST_AUTO_TEST_CASE(a_key_that_must_be_given_is_named_when_it_is_missing) {
  for (const char* key : {"node.id", "cluster.id", "log.dir", "listener", "peer.listener",
                          "controller.quorum.voters"}) {
    auto settings = minimal();
    std::erase_if(settings, [&](const Setting& setting) { return setting.key == key; });
    const auto config = make_config(settings, {});
    BOOST_REQUIRE(!config.has_value());
    BOOST_TEST(config.error().context.starts_with(fmt::format("{} is missing", key)));
  }
}

BOOST_AUTO_TEST_CASE(a_plane_is_a_preset_of_its_two_parts_each_of_which_may_be_another) {
  struct Case {
    std::vector<Setting> given;
    const char* design;
    const char* module;
  };
  const std::vector<Case> cases{
      {{}, "quorum", "raft"},
      {{given("plane", "kraft")}, "quorum", "kraft"},
      {{given("plane", "zk")}, "zk", "zab"},
      {{given("plane", "zk"), given("consensus.module", "raft")}, "zk", "raft"},
      {{given("controller.design", "zk"), given("plane", "kraft")}, "zk", "kraft"},
      {{given("controller.design", "quorum"), given("consensus.module", "zab")}, "quorum", "zab"}};
  for (const Case& each : cases) {
    auto overrides = each.given;
    overrides.push_back(given("keeper.listener", "127.0.0.1:2181"));
    overrides.push_back(given("keeper.connect", "127.0.0.1:2181,127.0.0.1:2182"));
    const auto config = make_config(minimal(), overrides);
    BOOST_REQUIRE_MESSAGE(config.has_value(), runtime::why(config));
    BOOST_TEST(config->design == each.design);
    BOOST_TEST(config->consensus_module == each.module);
    // One word says how long a broker may be silent, whoever listens.
    const auto timeout =
        config->design == "zk" ? std::chrono::seconds(18) : std::chrono::seconds(9);
    BOOST_TEST((config->controller.session_timeout == timeout));
  }
}

BOOST_AUTO_TEST_CASE(what_a_zk_node_lacks_is_named) {
  const std::vector<Setting> zk{given("plane", "zk"), given("keeper.listener", "127.0.0.1:2181"),
                                given("keeper.connect", "127.0.0.1:2181")};
  const auto words_of = [](const std::vector<Setting>& overrides) {
    const auto config = make_config(minimal(), overrides);
    return config ? std::string() : config.error().context;
  };
  BOOST_TEST(words_of(zk).empty());
  BOOST_TEST(words_of({zk[0], zk[2]}).starts_with("keeper.listener is missing"));
  BOOST_TEST(words_of({zk[0], zk[1]}).starts_with("keeper.connect is missing"));
  auto no_broker = zk;
  no_broker.push_back(given("process.roles", "controller"));
  BOOST_TEST(words_of(no_broker).starts_with("process.roles=controller"));
  auto short_tick = zk;
  short_tick.push_back(given("keeper.tick.ms", "100"));
  BOOST_TEST(words_of(short_tick).starts_with("zookeeper.session.timeout.ms=18000"));
  auto slow_heart = zk;
  slow_heart.push_back(given("broker.heartbeat.interval.ms", "18000"));
  BOOST_TEST(words_of(slow_heart).find("zookeeper.session.timeout.ms") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_key_that_is_there_twice_is_refused_with_both_places) {
  const auto file = parse_properties("node.id=1\n\nnode.id=2\n", "n.properties");
  BOOST_REQUIRE(!file.has_value());
  BOOST_TEST(file.error().context ==
             "n.properties:3: node.id=2 is there twice (first at n.properties:1); allowed: once");
  BOOST_TEST(
      !make_config(minimal(), {given("num.shards", "1"), given("num.shards", "2")}).has_value());
}

BOOST_AUTO_TEST_CASE(a_line_that_is_no_setting_is_named_with_its_place) {
  for (const char* line : {"node.id", "=1", "  = "}) {
    const auto file = parse_properties(fmt::format("# first\n{}\n", line), "n.properties");
    BOOST_REQUIRE(!file.has_value());
    BOOST_TEST(file.error().context.starts_with("n.properties:2: "));
  }
}

BOOST_AUTO_TEST_CASE(a_value_may_hold_what_a_key_may_not_and_line_ends_of_windows_do_not_count) {
  const auto file = parse_properties("trace.file=a=b#c\r\n", "n.properties");
  BOOST_REQUIRE(file.has_value());
  BOOST_TEST(file->front().value == "a=b#c");
}

BOOST_AUTO_TEST_CASE(the_help_lists_every_key_once) {
  const std::string help = config_help();
  for (const char* key : {"  node.id=", "  durability=sync\n", "  log.segment.bytes=1073741824\n",
                          "  replica.lag.time.max.ms=30000\n", "  trace.file=\n"}) {
    const std::size_t at = help.find(key);
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, key);
    BOOST_TEST(help.find(key, at + 1) == std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
