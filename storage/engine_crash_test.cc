// Crashes of every engine at any point, on the simulated disk: what was synced is there.

#include "common/prng.h"
#include "runtime/async.h"
#include "storage/test_world.h"

namespace qlab::storage {
namespace {

// What a crash may not take: everything below the last sync.
class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed, std::string_view engine)
      : world_(seed), random_(seed), engine_name_(engine) {
    options_.preallocation =
        random_.chance(0.5) ? Preallocation::none : static_cast<Preallocation>(random_.below(4));
    options_.prepared_bytes = 1u << 20;
    options_.spares = 1;
  }

  void check() {
    world_.world().boot(SimulatedTestWorld::node, [this](runtime::Runtime& runtime) {
      auto program = std::make_shared<Program>(runtime);
      program->engine = std::move(make_engine(engine_name_, runtime, options_).value());
      program_ = program.get();
      return program;
    });
    world_.disk().crash_at_change(1 + random_.below(40));
    Task<void> task = random_.chance(0.5) ? work() : crowd_work();
    const auto outcome = runtime::begin(world_.world(), SimulatedTestWorld::node, std::move(task));
    const auto ended = world_.world().run_until(
        [&] { return outcome->value.has_value() || !world_.world().node(node_).is_up(); },
        std::chrono::hours(1));
    BOOST_REQUIRE(ended.has_value());
    if (world_.world().node(node_).is_up()) world_.world().crash(node_);
    const std::optional<Bytes> left = world_.disk().durable("segment");
    BOOST_REQUIRE((left.has_value() || synced_.empty()));
    if (left) BOOST_TEST((as_text(*left).substr(0, synced_.size()) == synced_));
  }

 private:
  struct Program {
    explicit Program(runtime::Runtime& runtime) : crowd(runtime) {}
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Segment> segment;
    runtime::Gate crowd;
  };

  Task<void> work() {
    const auto started = co_await program_->engine->start();
    if (!started) co_return;
    auto opened = co_await program_->engine->open("segment");
    if (!opened) co_return;
    program_->segment = std::move(*opened);
    for (int i = 0; i < 20; ++i) {
      std::string text(1 + random_.below(2000), static_cast<char>('a' + i));
      std::vector<ByteView> pieces(1, as_view(text));
      const auto written = co_await program_->segment->append(std::move(pieces));
      if (!written) co_return;
      appended_ += text;
      if (random_.chance(0.5)) continue;
      const auto durable = co_await program_->segment->sync();
      // A disk that is about to lose its power answers nobody who counts.
      if (!durable || !world_.world().node(node_).is_up()) co_return;
      synced_ = appended_.substr(0, static_cast<std::size_t>(*durable));
    }
  }

  // Many who append and sync at the same time, some of them more than a block or a write takes.
  Task<void> crowd_work() {
    const auto started = co_await program_->engine->start();
    if (!started) co_return;
    auto opened = co_await program_->engine->open("segment");
    if (!opened) co_return;
    program_->segment = std::move(*opened);
    for (int i = 0; i < 12; ++i) program_->crowd.start([this, i] { return one_of_crowd(i); });
    co_await program_->crowd.close();
  }
  Task<void> one_of_crowd(int number) {
    Segment& segment = *program_->segment;
    for (int i = 0; i < 6; ++i) {
      const std::size_t bytes_max = random_.chance(0.2) ? 300'000 : 3000;
      const std::string text(1 + random_.below(bytes_max), static_cast<char>('a' + number));
      texts_ += text;
      const auto written = co_await segment.append(std::vector<ByteView>(1, as_view(text)));
      if (!written || !is_up()) co_return;
      const auto durable = co_await segment.sync();
      if (!durable || !is_up()) co_return;
      BOOST_REQUIRE(*durable <= texts_.size());
      if (*durable > synced_.size()) synced_ = texts_.substr(0, static_cast<std::size_t>(*durable));
    }
  }
  bool is_up() { return world_.world().node(node_).is_up(); }

  static constexpr NodeId node_ = SimulatedTestWorld::node;
  SimulatedTestWorld world_;
  Prng random_;
  const std::string engine_name_;
  EngineOptions options_;
  std::string texts_;  // Of all calls, in their order.
  Program* program_ = nullptr;
  std::string appended_;
  std::string synced_;
};

BOOST_AUTO_TEST_SUITE(engine_crash)

BOOST_AUTO_TEST_CASE(a_crash_at_any_point_keeps_all_synced_bytes) {
  for (const std::string_view engine : persistent_engine_names()) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      BOOST_TEST_CONTEXT("engine " << engine << ", seed " << seed) {
        CrashRun(seed, engine).check();
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
