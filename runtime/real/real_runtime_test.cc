#include "runtime/real/real_runtime.h"

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

#include "runtime/async.h"
#include "runtime/network_contract.h"
#include "runtime/real/test_world.h"
#include "runtime/trace.h"

namespace qlab::runtime {

BOOST_AUTO_TEST_SUITE(real_runtime)

BOOST_AUTO_TEST_CASE(timers_fire_in_order_and_cancelled_ones_never) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  std::string fired;
  world.run([&]() -> Task<void> {
    const Time start = runtime.now();
    const auto at = [&](int millis, char name) {
      const Time due = start + std::chrono::milliseconds(millis);
      return runtime.call_at(due, [&fired, &runtime, due, name] {
        BOOST_TEST((runtime.now() >= due));
        fired += name;
      });
    };
    at(9, 'd');
    const TimerId never = at(2, 'x');
    at(1, 'a');
    at(5, 'b');
    at(5, 'c');  // Equal deadlines keep the order of the calls.
    BOOST_TEST(fired.empty());
    runtime.cancel(never);
    runtime.cancel(never);
    co_await sleep_until(runtime, start + std::chrono::milliseconds(10));
  });
  BOOST_TEST(fired == "abcd");
}

BOOST_AUTO_TEST_CASE(a_callback_may_cancel_the_one_that_is_due_after_it) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  bool fired = false;
  world.run([&]() -> Task<void> {
    const Time past = runtime.now() - std::chrono::seconds(1);
    auto second = std::make_shared<TimerId>();
    runtime.call_at(past, [&runtime, second] { runtime.cancel(*second); });
    *second = runtime.call_at(past, [&fired] { fired = true; });
    co_await sleep_for(runtime, Duration::zero());
  });
  BOOST_TEST(!fired);
}

BOOST_AUTO_TEST_CASE(work_for_another_shard_runs_on_its_thread_and_comes_back) {
  TestWorld world(3);
  std::thread::id home;
  world.run([&]() -> Task<void> {
    home = std::this_thread::get_id();
    for (std::size_t shard = 1; shard < world.shards().count(); ++shard) {
      Runtime& target = world.runtime(shard);
      std::string words(100, 'w');
      auto work = [&target, words]() -> Task<Result<std::string>> {
        co_await sleep_for(target, std::chrono::microseconds(100));
        std::ostringstream out;
        out << std::this_thread::get_id();
        co_return words + out.str();
      };
      auto got = co_await run_on(target, work);
      BOOST_REQUIRE(got.has_value());
      std::ostringstream here;
      here << std::this_thread::get_id();
      BOOST_TEST(*got != words + here.str());
      BOOST_TEST((home == std::this_thread::get_id()));
    }
  });
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_main_task_ends_the_run) {
  TestWorld world(2);
  auto broken = []() -> Task<void> {
    throw std::runtime_error("broken");
    co_return;
  };
  BOOST_CHECK_THROW(world.run(broken), std::runtime_error);
  bool ran = false;
  world.run([&]() -> Task<void> {
    ran = true;
    co_return;
  });
  BOOST_TEST(ran);
}

// As after SIGKILL: peers see their sockets close, nobody can connect, and what still waited is
// destroyed.
BOOST_AUTO_TEST_CASE(a_node_that_is_cut_off_has_its_sockets_closed_and_opens_no_others) {
  auto alive = std::make_shared<int>(1);
  {
    TestWorld killed(2);
    Gate gate(killed.runtime());
    killed.run([&]() -> Task<void> {
      Network& own = killed.runtime().network();
      const Endpoint any{"127.0.0.1", 0};
      const auto listener = co_await own.listen(any);
      BOOST_REQUIRE(listener.has_value());
      const Endpoint at = (*listener)->local();
      const auto outgoing = co_await own.connect(at, std::chrono::seconds(10));
      const auto incoming = co_await (*listener)->accept();
      BOOST_REQUIRE((outgoing.has_value() && incoming.has_value()));
      gate.start([alive, &killed]() -> Task<void> {
        co_await sleep_for(killed.runtime(), std::chrono::hours(1));
      });
      co_await killed.shards().cut_off();
      std::vector<std::byte> into(1);
      const auto read = co_await (*outgoing)->read_some(into);
      BOOST_TEST((!read && read.error().code == Errc::closed));
      const auto accepted = co_await (*listener)->accept();
      BOOST_TEST((!accepted && accepted.error().code == Errc::closed));
      const auto again = co_await own.connect(at, std::chrono::seconds(10));
      BOOST_TEST((!again && again.error().context.ends_with("cut off")));
      const auto port = co_await own.listen(any);
      BOOST_TEST((!port && port.error().context.ends_with("cut off")));
    });
    BOOST_TEST(alive.use_count() > 1);
    killed.shards().abandon();
    BOOST_TEST(alive.use_count() == 1);
  }
}

// Who still waits when the world ends is taken apart with it, not leaked and not resumed.
BOOST_AUTO_TEST_CASE(abandoned_coroutines_are_destroyed_with_the_world) {
  auto alive = std::make_shared<int>(1);
  {
    TestWorld world;
    Runtime& runtime = world.runtime();
    auto gate = std::make_shared<Gate>(runtime);
    world.run([&]() -> Task<void> {
      gate->start([alive, &runtime, gate]() -> Task<void> {
        Event never(runtime);
        co_await never.wait();
      });
      gate->start([alive, &runtime]() -> Task<void> {
        co_await sleep_for(runtime, std::chrono::hours(1));
      });
      co_await sleep_for(runtime, Duration::zero());
    });
    gate.reset();
    BOOST_TEST(alive.use_count() > 1);
  }
  BOOST_TEST(alive.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(signals_are_awaited_and_kept_while_nobody_waits) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    Gate gate(runtime);
    int got = 0;
    gate.start([&]() -> Task<void> {
      auto signal = co_await world.shards().wait_for_signal();
      got = signal.value();
    });
    co_await sleep_for(runtime, Duration::zero());
    co_await sleep_for(runtime, Duration::zero());
    std::raise(SIGTERM);
    co_await gate.close();
    BOOST_TEST(got == SIGTERM);

    std::raise(SIGINT);
    auto kept = co_await world.shards().wait_for_signal();
    BOOST_TEST(kept.value() == SIGINT);
  });
}

BOOST_AUTO_TEST_CASE(the_wait_for_a_signal_can_be_ended) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    Gate gate(runtime);
    gate.start([&]() -> Task<void> {
      auto signal = co_await world.shards().wait_for_signal();
      BOOST_REQUIRE(!signal.has_value());
      BOOST_TEST((signal.error().code == Errc::closed));
    });
    co_await sleep_for(runtime, Duration::zero());
    co_await sleep_for(runtime, Duration::zero());
    world.shards().end_signal_wait();
    co_await gate.close();
  });
}

BOOST_AUTO_TEST_CASE(a_trace_is_in_its_file_after_the_run) {
  TestDirectory directory;
  const std::string path = directory.path() / "trace.ndjson";
  {
    auto shards = RealShards::create({.root = directory.path() / "data",
                                      .node = NodeId(7),
                                      .cpus = {},
                                      .trace_file = path,
                                      .seed = 1});
    BOOST_REQUIRE(shards.has_value());
    TraceSink& trace = (*shards)->shard(0).trace();
    BOOST_TEST(trace.enabled());
    (*shards)->run([&]() -> Task<void> {
      trace.emit("became_leader", {{"epoch", std::int64_t{3}}, {"why", "a \"quorum\""}});
      trace.emit("leader_known", {{"leader", std::int64_t{7}}});
      co_return;
    });
  }
  std::ifstream file(path);
  std::string line;
  BOOST_REQUIRE(std::getline(file, line));
  BOOST_TEST(line.starts_with("{\"t_ns\":"));
  BOOST_TEST(line.ends_with(R"("node":7,"event":"became_leader","epoch":3,"why":"a \"quorum\""})"));
  BOOST_REQUIRE(std::getline(file, line));
  BOOST_TEST(line.ends_with(R"("event":"leader_known","leader":7})"));
  BOOST_TEST(!std::getline(file, line));
}

BOOST_AUTO_TEST_CASE(options_out_of_bounds_are_named) {
  const auto none =
      RealShards::create({.root = "x", .shards = 0, .cpus = {}, .trace_file = {}, .seed = {}});
  BOOST_REQUIRE(!none.has_value());
  BOOST_TEST(none.error().message() == "invalid: shards=0 is not in [1, 64]");
  const auto rootless = RealShards::create({});
  BOOST_REQUIRE(!rootless.has_value());
  BOOST_TEST((rootless.error().code == Errc::invalid));
}

BOOST_AUTO_TEST_CASE(equal_seeds_draw_equal_numbers) {
  TestDirectory directory;
  const auto draw = [&] {
    auto shards = RealShards::create(
        {.root = directory.path(), .shards = 2, .cpus = {}, .trace_file = {}, .seed = 42});
    return std::pair((*shards)->shard(0).random().next(), (*shards)->shard(1).random().next());
  };
  const auto first = draw();
  BOOST_TEST((first == draw()));
  BOOST_TEST(first.first != first.second);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(real_network)

BOOST_AUTO_TEST_CASE(a_stream_carries_both_ways) {
  TestWorld world;
  world.run(
      [&] { return network_contract::a_stream_carries_both_ways(world.runtime(), "127.0.0.1"); });
}

BOOST_AUTO_TEST_CASE(a_large_write_waits_for_its_reader) {
  TestWorld world;
  world.run([&] {
    return network_contract::a_large_write_waits_for_its_reader(world.runtime(), "localhost");
  });
}

BOOST_AUTO_TEST_CASE(a_close_of_either_end_wakes_a_reader) {
  TestWorld world;
  for (const bool own_end : {true, false}) {
    world.run([&] {
      return network_contract::a_close_wakes_a_reader(world.runtime(), "127.0.0.1", own_end);
    });
  }
}

BOOST_AUTO_TEST_CASE(a_closed_listener_wakes_its_acceptor) {
  TestWorld world;
  world.run([&] {
    return network_contract::a_closed_listener_wakes_its_acceptor(world.runtime(), "127.0.0.1");
  });
}

BOOST_AUTO_TEST_CASE(ports_are_refused_with_a_reason) {
  TestWorld world;
  world.run([&] {
    return network_contract::ports_are_refused_with_a_reason(world.runtime(), "127.0.0.1");
  });
}

// The connection waits in the kernel's queue until there is a descriptor for it.
BOOST_AUTO_TEST_CASE(a_listener_outlives_the_lack_of_descriptors) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    auto listener = co_await network_contract::listen_anywhere(runtime.network(), "127.0.0.1");
    auto client = co_await runtime.network().connect(listener->local(), network_contract::patience);
    BOOST_REQUIRE_MESSAGE(client.has_value(), why(client));

    const int next = ::dup(0);
    ::close(next);
    rlimit before{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none_left = before;
    none_left.rlim_cur = static_cast<rlim_t>(next);
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
    auto refused = co_await listener->accept();
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().code == Errc::io));

    auto server = co_await listener->accept();
    BOOST_TEST(server.has_value(), why(server));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
