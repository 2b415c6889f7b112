#pragma once
// What the tests of this folder run on: one node, simulated or real, behind one small face.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/test/unit_test.hpp>

#include "runtime/fault_hook.h"
#include "runtime/real/test_world.h"
#include "runtime/simulated/run.h"
#include "storage/engine.h"

namespace qlab::storage {

class TestWorld {
 public:
  virtual ~TestWorld() = default;
  virtual runtime::Runtime& runtime() = 0;
  // Runs a task to its end.
  virtual void run(std::function<Task<void>()> task) = 0;
  virtual void set_fault_hook(runtime::FaultHook hook) = 0;
  // Makes what a process would own.
  virtual void boot(std::function<std::shared_ptr<void>()> make) = 0;
  // Ends that process: nothing of it runs any more, and what it wrote stays.
  virtual void kill() = 0;
  // False where a test cannot outlive that.
  virtual bool can_kill() const = 0;
};

class SimulatedTestWorld final : public TestWorld {
 public:
  static constexpr NodeId node{1};

  explicit SimulatedTestWorld(std::uint64_t seed = 1) : world_(seed) {}
  runtime::Runtime& runtime() override { return world_.node(node); }
  runtime::SimulatedDisk& disk() { return world_.node(node).disk(); }
  runtime::SimulatedWorld& world() { return world_; }
  void run(std::function<Task<void>()> task) override { runtime::run(world_, node, task()); }
  void set_fault_hook(runtime::FaultHook hook) override { disk().set_fault_hook(std::move(hook)); }
  void boot(std::function<std::shared_ptr<void>()> make) override {
    world_.boot(node, [&](runtime::Runtime&) { return make(); });
  }
  void kill() override { world_.crash(node, {.lose_unsynced = false, .silent = false}); }
  bool can_kill() const override { return true; }

 private:
  runtime::SimulatedWorld world_;
};

class RealTestWorld final : public TestWorld {
 public:
  runtime::Runtime& runtime() override { return world_.runtime(); }
  void run(std::function<Task<void>()> task) override { world_.run(std::move(task)); }
  void set_fault_hook(runtime::FaultHook hook) override {
    world_.shards().set_fault_hook(0, std::move(hook));
  }
  void boot(std::function<std::shared_ptr<void>()> make) override { program_ = make(); }
  void kill() override { CHECK(false); }
  bool can_kill() const override { return false; }

 private:
  runtime::TestWorld world_;
  std::shared_ptr<void> program_;
};

// An engine in a world, and the words that name the pair.
struct TestSetup {
  std::string name;
  std::unique_ptr<TestWorld> world;
  std::unique_ptr<Engine> engine;
};

inline TestSetup make_setup(bool real, std::string_view engine, EngineOptions options = {}) {
  TestSetup setup;
  setup.name = fmt::format("{} on the {} world", engine, real ? "real" : "simulated");
  if (real) {
    setup.world = std::make_unique<RealTestWorld>();
  } else {
    setup.world = std::make_unique<SimulatedTestWorld>();
  }
  setup.engine = std::move(make_engine(engine, setup.world->runtime(), options).value());
  return setup;
}

// The engines that do what is asked of `property`.
inline std::vector<std::string_view> engines_with(bool (Engine::*property)() const) {
  SimulatedTestWorld world;
  std::vector<std::string_view> names;
  for (const std::string_view name : engine_names()) {
    const auto engine = std::move(make_engine(name, world.runtime()).value());
    if ((*engine.*property)()) names.push_back(name);
  }
  return names;
}
inline std::vector<std::string_view> persistent_engine_names() {
  return engines_with(&Engine::is_persistent);
}

// Every engine that can be read on every world, each with a disk of its own.
inline std::vector<TestSetup> all_setups() {
  std::vector<TestSetup> setups;
  for (const std::string_view engine : engines_with(&Engine::keeps_bytes)) {
    setups.push_back(make_setup(false, engine));
    setups.push_back(make_setup(true, engine));
  }
  return setups;
}

// Runs a task and gives its value.
template <class Make>
auto await(TestWorld& world, Make make) {
  using T = typename std::invoke_result_t<Make>::value_type;
  std::optional<T> value;
  world.run([&]() -> Task<void> { value.emplace(co_await make()); });
  BOOST_REQUIRE(value.has_value());
  return std::move(*value);
}

// The value of a result, or the end of the test with the words of its error.
template <class T>
T must(Result<T> result) {
  BOOST_REQUIRE_MESSAGE(result.has_value(), (result ? std::string() : result.error().message()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// The code of an error; the end of the test when there is none.
template <class T>
Errc code_of(const Result<T>& result) {
  BOOST_REQUIRE_MESSAGE(!result.has_value(), "an error was expected");
  return result.error().code;
}

inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_view(text);
  return Bytes(view.begin(), view.end());
}

}  // namespace qlab::storage
