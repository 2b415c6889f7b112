#include "broker/hosted_node.h"

#include <future>

#include "broker/node_host.h"
#include "runtime/real/test_world.h"

namespace qlab::broker {
namespace {

using runtime::TestDirectory;

constexpr auto patience = std::chrono::seconds(60);

std::uint16_t free_port() {
  std::uint16_t port = 0;
  runtime::TestWorld world;
  world.run([&]() -> Task<void> {
    const runtime::Endpoint any{"127.0.0.1", 0};
    const auto listener = co_await world.runtime().network().listen(any);
    BOOST_REQUIRE(listener.has_value());
    port = (*listener)->local().port;
  });
  return port;
}

NodeConfig config_of(int node, std::uint16_t voter_port, const std::string& directory,
                     const std::string& more = "") {
  const auto settings = parse_properties(
      fmt::format("node.id={0}\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nlog.dir={1}/{0}\n"
                  "process.roles={2}\nlistener=127.0.0.1:0\npeer.listener=127.0.0.1:{3}\n"
                  "controller.quorum.voters=1@127.0.0.1:{4}\n{5}",
                  node, directory, node == 1 ? "broker,controller" : "broker",
                  node == 1 ? voter_port : 0, voter_port, more),
      "test");
  auto config = make_config(settings.value(), {});
  BOOST_REQUIRE_MESSAGE(config.has_value(), runtime::why(config));
  return *config;
}

// One life of a node, with what it tells.
struct Life {
  explicit Life(NodeConfig config) {
    HostedEvents events;
    events.on_ready = [this](const auto&, const auto&) { ready.set_value(); };
    events.on_ended = [this](int status, const std::optional<Error>&) { ended.set_value(status); };
    auto started = HostedNode::start(std::move(config), std::move(events));
    BOOST_REQUIRE_MESSAGE(started.has_value(), runtime::why(started));
    node = std::move(*started);
  }
  void wait_ready() {
    BOOST_REQUIRE((ready.get_future().wait_for(patience) == std::future_status::ready));
  }
  int end(Ending how) {
    node->end(how);
    auto status = ended.get_future();
    BOOST_REQUIRE((status.wait_for(patience) == std::future_status::ready));
    node.reset();
    return status.get();
  }

  std::promise<void> ready;
  std::promise<int> ended;
  std::unique_ptr<HostedNode> node;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(hosted_node)

BOOST_AUTO_TEST_CASE(one_of_the_nodes_of_a_process_is_killed_and_comes_back_while_others_live_on) {
  const TestDirectory directory;
  const std::uint16_t port = free_port();
  const auto config = [&](int node) { return config_of(node, port, directory.path().string()); };
  const auto left_in_order = [&](int node) {
    return std::filesystem::exists(directory.path() / std::to_string(node) /
                                   ".kafka_cleanshutdown");
  };
  Life voter(config(1));
  Life second(config(2));
  Life killed(config(3));
  for (Life* life : {&voter, &second, &killed}) life->wait_ready();

  const auto taken = HostedNode::start(config(3), {});
  BOOST_TEST((!taken && taken.error().code == Errc::exists));

  BOOST_TEST(killed.end(Ending::killed) == exit_killed);
  BOOST_TEST(!left_in_order(3));
  Life successor(config(3));
  successor.wait_ready();

  BOOST_TEST(successor.end(Ending::controlled) == exit_done);
  BOOST_TEST(left_in_order(3));
  BOOST_TEST(second.end(Ending::controlled) == exit_done);
  BOOST_TEST(voter.end(Ending::controlled) == exit_done);
}

BOOST_AUTO_TEST_CASE(nodes_that_share_what_only_one_can_have_are_refused_by_name) {
  const auto refused = [](const std::string& first, const std::string& second, int id = 3) {
    const auto checked =
        check_side_by_side({config_of(2, 9, "/data", first), config_of(id, 9, "/data", second)});
    return checked ? "" : checked.error().context;
  };
  BOOST_TEST(refused("", "") == "");
  BOOST_TEST(refused("", "", 2).starts_with("node.id=2 of node 2 is also the node.id of node 2;"));
  BOOST_TEST(refused("trace.file=/t", "trace.file=/t")
                 .starts_with("trace.file=/t of node 3 is also the trace.file of node 2;"));
  BOOST_TEST(
      refused("log.level=warn", "").starts_with("log.level of node 3 is not that of node 2;"));

  std::vector<NodeConfig> configs{config_of(2, 9, "/data"), config_of(3, 9, "/data")};
  configs[0].peer_listener.port = configs[1].listener.port = 7;
  BOOST_TEST(check_side_by_side(configs).error().context.starts_with(
      "listener=127.0.0.1:7 of node 3 is also the peer.listener of node 2;"));
  configs[1].listener.port = 0;
  configs[1].log_dir = "/data/../data/2/.";
  BOOST_TEST(check_side_by_side(configs).error().context.starts_with(
      "log.dir=/data/2 of node 3 is also the log.dir of node 2;"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::broker
