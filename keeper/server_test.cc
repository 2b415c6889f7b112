#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "keeper/ensemble_test.h"
#include "runtime/stream_io.h"

namespace qlab::keeper {

// Adds to a counter by its version, for as long as it is asked to.
struct Counting {
  bool stop = false;
  int running = 0;
  int added = 0;    // Acknowledged.
  int unknown = 0;  // The connection broke first.
};

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::keeper::EventType;
using wire::keeper::Request;
using wire::keeper::WatchEvent;

const std::vector<std::string> modules = {"zab", "raft", "kraft"};

Request watching(OpCode op, std::string path) {
  Request request = path_request(op, std::move(path));
  request.watch = true;
  return request;
}

Task<void> count(Client& client, Counting& counting) {
  ++counting.running;
  while (!counting.stop && !client.is_expired()) {
    const auto ready = co_await client.connected();
    if (!ready) break;
    auto read = co_await client.call(path_request(OpCode::get_data, "/counter"));
    if (!read || read->error != ErrorCode::ok) continue;
    BytesReader in(read->body);
    static_cast<void>(wire::keeper::get_data(in));
    const std::int32_t version = wire::keeper::get_stat(in).version;
    const auto set = co_await client.call(path_request(OpCode::set_data, "/counter", version));
    if (!set) ++counting.unknown;
    if (set && set->error == ErrorCode::ok) ++counting.added;
  }
  --counting.running;
}

Task<void> create_many(Client& client, int count, std::vector<std::string>& acknowledged) {
  for (int i = 0; i < count; ++i) {
    const std::string path = fmt::format("/work-{}", i);
    for (;;) {
      const auto ready = co_await client.connected();
      if (!ready) co_return;
      const auto made = co_await client.call(create_request(path, std::string(300, 'x')));
      if (made) break;  // Ok, or NodeExists: then the answer to an earlier attempt was lost.
    }
    acknowledged.push_back(path);
  }
}

// Reads until it sees the change; then the event must have come.
Task<void> read_until_changed(ClientProgram& reader, bool& done, bool& in_order) {
  for (;;) {
    const auto read = co_await reader.client.call(path_request(OpCode::get_data, "/a"));
    if (!read || read->error != ErrorCode::ok) break;
    BytesReader in(read->body);
    static_cast<void>(wire::keeper::get_data(in));
    if (wire::keeper::get_stat(in).version == 0) continue;
    in_order = reader.events == std::vector<WatchEvent>{{EventType::node_data_changed, "/a"}};
    break;
  }
  done = true;
}

// A handshake that its client has given up, and that reaches a server nevertheless.
class LateHandshake final {
 public:
  LateHandshake(runtime::Runtime& runtime, NodeId server, wire::keeper::ConnectRequest request)
      : gate_(runtime) {
    gate_.start([this, &runtime, server, request] { return run(runtime, server, request); });
  }
  bool is_answered() const { return answered_; }

 private:
  Task<void> run(runtime::Runtime& runtime, NodeId server, wire::keeper::ConnectRequest request) {
    const runtime::Endpoint endpoint{runtime::SimulatedNode::host_name(server), 2181};
    auto stream = co_await runtime.network().connect(endpoint, seconds(1));
    if (!stream) co_return;
    stream_ = std::move(*stream);
    BytesWriter body;
    put(body, request);
    BytesWriter out;
    out.put(static_cast<std::uint32_t>(body.size()));
    out.put_bytes(body.take());
    const Bytes sent = out.take();
    std::vector<ByteView> pieces(1, sent);
    const auto written = co_await stream_->write(std::move(pieces));
    Bytes length(4);
    const auto read = co_await runtime::read_exactly(*stream_, length);
    answered_ = written && read;
  }

  std::unique_ptr<runtime::Stream> stream_;
  bool answered_ = false;
  runtime::Gate gate_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(keeper_server)

BOOST_AUTO_TEST_CASE(a_client_is_told_of_a_change_before_it_can_read_it) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Ensemble ensemble(seed, {});
    const auto reader = ensemble.add_client({NodeId{1}});
    const auto writer = ensemble.add_client({NodeId{2}});
    BOOST_REQUIRE((ensemble.error_of(writer, create_request("/a")) == ErrorCode::ok));
    ensemble.ask(reader, path_request(OpCode::sync, "/a")).value();
    BOOST_REQUIRE((ensemble.error_of(reader, watching(OpCode::get_data, "/a")) == ErrorCode::ok));
    bool done = false;
    bool in_order = false;
    reader->gate.start([&] { return read_until_changed(*reader, done, in_order); });
    BOOST_REQUIRE(
        (ensemble.error_of(writer, path_request(OpCode::set_data, "/a")) == ErrorCode::ok));
    ensemble.until([&] { return done; });
    BOOST_TEST_CONTEXT("seed " << seed) {
      BOOST_TEST(in_order);
    }
  }
}

BOOST_DATA_TEST_CASE(replicas_are_equal_and_nothing_acknowledged_is_lost_when_servers_crash,
                     boost::unit_test::data::make(modules), module) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    EnsembleOptions options;
    options.module = module;
    options.snapshot_interval_bytes = 20'000;
    Ensemble ensemble(seed, options);
    const auto client = ensemble.add_client({}, seconds(4));
    std::vector<std::string> acknowledged;
    client->gate.start([&] { return create_many(client->client, 300, acknowledged); });
    for (std::size_t goal = 50; goal < 300; goal += 50) {
      ensemble.until([&] { return acknowledged.size() >= goal; });
      const NodeId victim =
          ensemble.world.random().chance(0.6)
              ? ensemble.leader().value_or(NodeId{1})
              : NodeId(static_cast<std::int32_t>(ensemble.world.random().between(1, 3)));
      ensemble.crash(victim);
      ensemble.world.run_for(milliseconds(ensemble.world.random().between(1, 2000)));
      ensemble.boot(victim);
    }
    ensemble.until([&] { return acknowledged.size() == 300; });
    ensemble.agree();
    BOOST_TEST_CONTEXT(module << " seed " << seed) {
      const Tree& tree = ensemble.server(NodeId{2})->machine.state().tree();
      for (const std::string& path : acknowledged) BOOST_TEST((tree.find(path) != no_slot));
      BOOST_TEST(!client->client.is_expired());
      BOOST_TEST(ensemble.server(NodeId{2})->driver->snapshot().last.index.value() > 0);
    }
  }
}

BOOST_DATA_TEST_CASE(conditional_writes_of_many_clients_count_each_once,
                     boost::unit_test::data::make(modules), module) {
  EnsembleOptions options;
  options.module = module;
  Ensemble ensemble(7, options);
  Counting counting;
  std::vector<std::shared_ptr<ClientProgram>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(ensemble.add_client({}, seconds(4)));
  BOOST_REQUIRE((ensemble.error_of(clients[0], create_request("/counter")) == ErrorCode::ok));
  for (const auto& client : clients) {
    client->gate.start([&, to = client.get()] { return count(to->client, counting); });
  }
  for (int crash = 0; crash < 3; ++crash) {
    const int goal = counting.added + 50;
    ensemble.until([&] { return counting.added >= goal; });
    ensemble.until([&] { return ensemble.leader().has_value(); });
    const NodeId leader = *ensemble.leader();
    ensemble.crash(leader);
    ensemble.world.run_for(milliseconds(500));
    ensemble.boot(leader);
  }
  counting.stop = true;
  ensemble.until([&] { return counting.running == 0; });
  ensemble.agree();
  const Tree& tree = ensemble.server(NodeId{1})->machine.state().tree();
  const int version = tree.at(tree.find("/counter")).version;
  BOOST_TEST(version >= counting.added);
  BOOST_TEST(version <= counting.added + counting.unknown);
}

BOOST_AUTO_TEST_CASE(a_session_ends_after_its_timeout_and_its_ephemerals_with_it_everywhere) {
  Ensemble ensemble(3, {});
  const auto watcher = ensemble.add_client({NodeId{1}});
  auto owner = ensemble.add_client({NodeId{2}}, milliseconds(1000));
  const NodeId owners_node = ensemble.last_client();
  BOOST_REQUIRE((ensemble.error_of(owner, create_request("/e", "", 1)) == ErrorCode::ok));
  ensemble.ask(watcher, path_request(OpCode::sync, "/")).value();
  BOOST_REQUIRE((ensemble.error_of(watcher, watching(OpCode::exists, "/e")) == ErrorCode::ok));
  ensemble.world.run_for(seconds(10));  // Pings keep it.
  BOOST_TEST(watcher->events.empty());
  owner.reset();
  ensemble.crash(owners_node);
  const Time killed = ensemble.world.now();
  ensemble.until([&] { return !watcher->events.empty(); });
  BOOST_TEST((watcher->events == std::vector<WatchEvent>{{EventType::node_deleted, "/e"}}));
  BOOST_TEST(to_millis(ensemble.world.now() - killed) > 600);
  BOOST_TEST(to_millis(ensemble.world.now() - killed) < 2000);
  ensemble.agree();
}

// Two holders of one lock: the worst that a coordination service can do.
BOOST_DATA_TEST_CASE(a_client_of_a_server_that_is_cut_off_is_let_go_before_its_session_ends,
                     boost::unit_test::data::make(modules), module) {
  EnsembleOptions options;
  options.module = module;
  Ensemble ensemble(9, options);
  ensemble.until([&] { return ensemble.leader().has_value(); });
  const NodeId cut{*ensemble.leader() == NodeId{1} ? 2 : 1};
  const auto owner = ensemble.add_client({cut}, milliseconds(1000));
  BOOST_REQUIRE((ensemble.error_of(owner, create_request("/lock", "", 1)) == ErrorCode::ok));
  for (const NodeId other : ensemble.ids()) {
    if (other == cut) continue;
    ensemble.world.fabric().block(cut, other);
    ensemble.world.fabric().block(other, cut);
  }
  const NodeId leader = *ensemble.leader();
  ensemble.until([&] { return !owner->client.is_connected(); });
  BOOST_TEST((ensemble.server(leader)->machine.state().tree().find("/lock") != no_slot));
  ensemble.until(
      [&] { return ensemble.server(leader)->machine.state().tree().find("/lock") == no_slot; });
  BOOST_TEST(!owner->client.is_connected());
}

BOOST_AUTO_TEST_CASE(a_session_survives_the_death_of_the_leader_and_takes_its_watches_along) {
  Ensemble ensemble(4, {});
  const auto client = ensemble.add_client({}, seconds(4));
  const std::int64_t session = client->client.session();
  BOOST_REQUIRE((ensemble.error_of(client, create_request("/e", "", 1)) == ErrorCode::ok));
  BOOST_REQUIRE((ensemble.error_of(client, create_request("/a")) == ErrorCode::ok));
  BOOST_REQUIRE((ensemble.error_of(client, watching(OpCode::get_data, "/a")) == ErrorCode::ok));
  const NodeId leader = *ensemble.leader();
  ensemble.crash(leader);
  ensemble.until([&] { return ensemble.leader() && *ensemble.leader() != leader; });
  const auto writer = ensemble.add_client();
  BOOST_REQUIRE((ensemble.error_of(writer, path_request(OpCode::set_data, "/a")) == ErrorCode::ok));
  ensemble.until([&] { return !client->events.empty(); });
  BOOST_TEST((client->events == std::vector<WatchEvent>{{EventType::node_data_changed, "/a"}}));
  ensemble.until([&] { return client->client.is_connected(); });
  BOOST_TEST(client->client.session() == session);
  BOOST_TEST((ensemble.error_of(client, path_request(OpCode::exists, "/e")) == ErrorCode::ok));
}

BOOST_AUTO_TEST_CASE(a_session_that_a_late_handshake_took_elsewhere_comes_back_to_its_client) {
  Ensemble ensemble(11, {});
  const auto client = ensemble.add_client({NodeId{1}});
  const std::int64_t session = client->client.session();
  wire::keeper::ConnectRequest request;
  request.timeout_ms = 2000;
  request.session = session;
  const auto& password = ensemble.server(NodeId{1})->machine.state().session(session)->password;
  request.password.assign(password.begin(), password.end());
  std::shared_ptr<LateHandshake> late;
  ensemble.world.boot(NodeId{200}, [&](runtime::Runtime& runtime) {
    return late = std::make_shared<LateHandshake>(runtime, NodeId{2}, request);
  });
  ensemble.until([&] { return late->is_answered(); });
  BOOST_TEST((ensemble.error_of(client, create_request("/a")) == ErrorCode::connection_loss));
  ensemble.until([&] { return client->client.is_connected(); });
  BOOST_TEST((ensemble.error_of(client, create_request("/a")) == ErrorCode::ok));
  BOOST_TEST(client->client.session() == session);
  late.reset();
}

BOOST_AUTO_TEST_CASE(a_recursive_watch_stays_until_it_is_removed) {
  Ensemble ensemble(10, {});
  const auto client = ensemble.add_client({NodeId{1}});
  Request add = path_request(OpCode::add_watch, "/");
  add.mode = static_cast<std::int32_t>(wire::keeper::AddWatchMode::persistent_recursive);
  BOOST_REQUIRE((ensemble.error_of(client, add) == ErrorCode::ok));
  for (const std::string path : {"/a", "/a/b"}) {
    BOOST_REQUIRE((ensemble.error_of(client, create_request(path)) == ErrorCode::ok));
  }
  BOOST_TEST((client->events == std::vector<WatchEvent>{{EventType::node_created, "/a"},
                                                        {EventType::node_created, "/a/b"}}));
  Request remove = path_request(OpCode::remove_watches, "/");
  remove.mode = static_cast<std::int32_t>(wire::keeper::WatcherType::any);
  BOOST_TEST((ensemble.error_of(client, remove) == ErrorCode::ok));
  BOOST_TEST((ensemble.error_of(client, remove) == ErrorCode::no_watcher));
  BOOST_REQUIRE((ensemble.error_of(client, create_request("/c")) == ErrorCode::ok));
  BOOST_TEST(client->events.size() == 2u);
}

BOOST_DATA_TEST_CASE(sync_shows_what_another_client_was_told,
                     boost::unit_test::data::make({false, true}), quorum) {
  EnsembleOptions options;
  options.quorum_sync = quorum;
  Ensemble ensemble(5, options);
  const auto writer = ensemble.add_client({NodeId{1}});
  const auto reader = ensemble.add_client({NodeId{3}});
  for (int i = 0; i < 30; ++i) {
    const std::string path = fmt::format("/{}", i);
    BOOST_REQUIRE((ensemble.error_of(writer, create_request(path)) == ErrorCode::ok));
    BOOST_TEST((ensemble.error_of(reader, path_request(OpCode::sync, path)) == ErrorCode::ok));
    BOOST_TEST((ensemble.error_of(reader, path_request(OpCode::exists, path)) == ErrorCode::ok));
    // Through the log, which a leader of the past cannot do, or by the leader's word alone.
    const auto zxid = [&] { return ensemble.server(NodeId{3})->machine.state().zxid(); };
    const std::int64_t before = zxid();
    BOOST_TEST((ensemble.error_of(reader, path_request(OpCode::sync, path)) == ErrorCode::ok));
    BOOST_TEST(zxid() - before == (quorum ? 1 : 0));
  }
}

BOOST_AUTO_TEST_CASE(containers_go_when_their_last_child_went_and_others_when_their_time_is_over) {
  Ensemble ensemble(6, {});
  const auto client = ensemble.add_client();
  Request ttl = create_request("/ttl", "", 5);
  ttl.op = OpCode::create_ttl;
  ttl.ttl = 3000;
  for (const Request& request :
       {create_request("/c", "", 4), create_request("/c/child"), create_request("/unused", "", 4),
        ttl, path_request(OpCode::remove, "/c/child")}) {
    BOOST_REQUIRE((ensemble.error_of(client, request) == ErrorCode::ok));
  }
  ensemble.world.run_for(seconds(2));
  BOOST_TEST((ensemble.error_of(client, path_request(OpCode::exists, "/c")) == ErrorCode::no_node));
  BOOST_TEST((ensemble.error_of(client, path_request(OpCode::exists, "/ttl")) == ErrorCode::ok));
  ensemble.world.run_for(seconds(5));
  BOOST_TEST(
      (ensemble.error_of(client, path_request(OpCode::exists, "/ttl")) == ErrorCode::no_node));
  BOOST_TEST((ensemble.error_of(client, path_request(OpCode::exists, "/unused")) == ErrorCode::ok));
}

BOOST_AUTO_TEST_CASE(equal_seeds_give_equal_runs) {
  const auto digest = [] {
    Ensemble ensemble(8, {});
    const auto client = ensemble.add_client();
    std::vector<std::string> acknowledged;
    client->gate.start([&] { return create_many(client->client, 50, acknowledged); });
    ensemble.until([&] { return acknowledged.size() == 20; });
    ensemble.crash(*ensemble.leader());
    ensemble.until([&] { return acknowledged.size() == 50; });
    return ensemble.world.digest();
  };
  BOOST_TEST(digest() == digest());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::keeper
