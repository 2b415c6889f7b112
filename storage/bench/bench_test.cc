// The bench itself: is its arithmetic right, and does it see what it must see? On virtual time,
// so every figure is known beforehand.

#include <cmath>

#include <boost/test/unit_test.hpp>

#include "common/record_batch.h"
#include "storage/bench/appends.h"
#include "storage/bench/driver.h"
#include "storage/test_world.h"

namespace qlab::storage::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Result<BenchOptions> parse(const std::vector<std::string_view>& words) {
  return parse_options(words);
}

// Takes 100 us an operation, one at a time, and stalls once for a second.
class SlowTarget final : public Target {
 public:
  SlowTarget(runtime::Runtime& runtime, Time stall_at) : runtime_(runtime), stall_at_(stall_at) {}
  Task<Result<void>> start() override { co_return Result<void>{}; }
  Task<Result<std::uint64_t>> operate() override {
    free_at_ = std::max(free_at_, runtime_.now()) + microseconds(100);
    if (!stalled_ && free_at_ >= stall_at_) {
      stalled_ = true;
      free_at_ += seconds(1);
    }
    co_await runtime::sleep_until(runtime_, free_at_);
    co_return std::uint64_t{10};
  }
  Task<Result<void>> stop() override { co_return Result<void>{}; }

 private:
  runtime::Runtime& runtime_;
  const Time stall_at_;
  Time free_at_{};
  bool stalled_ = false;
};

// How many of what was recorded took longer than `limit`.
std::int64_t above(const HdrHistogram& histogram, Duration limit) {
  std::int64_t low = 0;
  for (std::int64_t rank = histogram.count(); rank > 0; --rank) {
    const double quantile = static_cast<double>(rank) / static_cast<double>(histogram.count());
    if (histogram.value_at(quantile) <= limit.count()) break;
    ++low;
  }
  return low;
}

Run drive_slow_target(const BenchOptions& options) {
  SimulatedTestWorld world;
  runtime::Runtime& runtime = world.runtime();
  SlowTarget target(runtime, runtime.now() + seconds(3));
  return await(world, [&]() -> Task<Run> { return drive(runtime, target, options, std::nullopt); });
}

// The run of appends on an engine of the simulated world, `delay` before each operation of a kind.
Run drive_appends(std::string_view engine, Level level, Duration delay) {
  TestSetup setup = make_setup(false, engine);
  setup.world->set_fault_hook([delay](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::sync) fault.delay = delay;
    return fault;
  });
  BenchOptions options;
  options.level = level;
  options.size = 1024;
  options.log_options.segment_bytes = 1u << 20;
  options.duration_s = 3600;
  options.warmup_s = 0;           // Time stands still above an engine that never waits.
  options.operations_max = 1500;  // More than a segment holds.
  runtime::Runtime& runtime = setup.world->runtime();
  const auto target = level == Level::segment
                          ? make_segment_appends(runtime, *setup.engine, options)
                          : make_log_appends(runtime, *setup.engine, options);
  return await(*setup.world, [&]() -> Task<Run> {
    must(co_await target->start());
    Run run = co_await drive(runtime, *target, options, std::nullopt);
    must(co_await target->stop());
    co_return run;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(storage_bench)

BOOST_AUTO_TEST_CASE(a_measurement_counts_what_was_due_and_what_was_done_in_its_interval) {
  const Time start{};
  Measurement all;
  all.succeeded(start, start, start + milliseconds(1), 5);  // Of the warm-up.
  all.begin(start + seconds(1));
  // Due before: it is done in the interval, but its latency is not of the interval.
  all.succeeded(start, start, start + milliseconds(1500), 10);
  for (int i = 0; i < 99; ++i) {
    const Time due = start + milliseconds(1500 + i);
    all.succeeded(due, due + microseconds(10), due + microseconds(110), 10);
  }
  all.end(start + seconds(2));
  // Due in it and done later: the slowest must not be missing from the latencies.
  const Time late = start + milliseconds(1900);
  all.succeeded(late, late, late + seconds(1), 10);
  BOOST_CHECK_EQUAL(all.operations(), 100U);
  BOOST_CHECK_EQUAL(all.bytes(), 1000U);
  BOOST_CHECK_EQUAL(all.response().count(), 100);
  BOOST_CHECK_CLOSE(static_cast<double>(all.response().value_at(0.5)), 110e3, 0.2);
  BOOST_CHECK_CLOSE(static_cast<double>(all.service().value_at(0.5)), 100e3, 0.2);
  BOOST_CHECK_CLOSE(static_cast<double>(all.response().max()), 1e9, 0.2);
  const Json line = all.to_json(true);
  BOOST_CHECK_CLOSE(line["operations_per_s"].get<double>(), 100.0, 1e-9);
  BOOST_CHECK_CLOSE(line["bytes_per_s"].get<double>(), 1000.0, 1e-9);
  BOOST_CHECK_CLOSE(line["latency"]["max_us"].get<double>(), 1e6, 0.2);
}

BOOST_AUTO_TEST_CASE(merged_measurements_are_as_one) {
  Measurement all;
  Measurement parts[2];
  for (Measurement* const each : {&all, &parts[0], &parts[1]}) {
    each->begin(Time{});
    each->end(Time{} + seconds(1));
  }
  for (int i = 0; i < 100; ++i) {
    const Time due = Time{} + milliseconds(i * 9);
    for (Measurement* const each : {&all, &parts[i % 3 == 0]}) {
      each->succeeded(due, due, due + microseconds(i), 7);
    }
  }
  parts[0].merge(parts[1]);
  BOOST_CHECK_EQUAL(parts[0].to_json(true).dump(), all.to_json(true).dump());
}

BOOST_AUTO_TEST_CASE(steady_is_a_rate_that_stays_within_a_fifth) {
  for (const bool slows_down : {false, true}) {
    Measurement all;
    all.begin(Time{});
    for (int window = 0; window < 20; ++window) {
      for (int i = 0; i < (slows_down && window > 15 ? 5 : 10); ++i) {
        const Time at = Time{} + window * Measurement::window + milliseconds(i);
        all.succeeded(at, at, at, 1);
      }
    }
    BOOST_CHECK_EQUAL(all.is_steady(), !slows_down);
  }
}

BOOST_AUTO_TEST_CASE(a_schedule_keeps_its_rate) {
  Schedule constant(Arrivals::constant, 3000, Time{}, 1);
  Schedule poisson(Arrivals::poisson, 3000, Time{}, 1);
  Time last{};
  Time random{};
  for (int i = 0; i < 30'001; ++i) {
    last = constant.next();
    const Time next = poisson.next();
    BOOST_REQUIRE(next >= random);
    random = next;
  }
  BOOST_CHECK_EQUAL(last.time_since_epoch().count(), 10'000'000'000);
  BOOST_CHECK_CLOSE(static_cast<double>(random.time_since_epoch().count()), 1e10, 3.0);
}

BOOST_AUTO_TEST_CASE(an_open_loop_sees_a_stall_in_everything_that_fell_due_in_it) {
  // Whether they wait in the target or, with one under way at a time, in the bench.
  for (const std::uint64_t outstanding_max : {65'536U, 1U}) {
    BenchOptions options;
    options.rate = 1000;
    options.arrivals = Arrivals::constant;
    options.duration_s = 10;
    options.outstanding_max = outstanding_max;
    const Run run = drive_slow_target(options);
    BOOST_CHECK_EQUAL(run.measurement.response().count(), 10'000);
    // 1 s of stall at 1000 per s: those of its first half waited longer than 500 ms, and while the
    // queue is worked off, ten times as fast as it grows, a tenth more.
    BOOST_CHECK_CLOSE(static_cast<double>(above(run.measurement.response(), milliseconds(500))),
                      555, 1.0);
    BOOST_CHECK_CLOSE(run.measurement.to_json(true)["operations_per_s"].get<double>(), 1000.0, 0.1);
  }
}

BOOST_AUTO_TEST_CASE(a_closed_loop_sees_a_stall_once_per_appender) {
  BenchOptions options;
  options.concurrency = 3;
  options.duration_s = 10;
  const Run run = drive_slow_target(options);
  BOOST_CHECK_EQUAL(above(run.measurement.response(), milliseconds(500)), 3);
  // One operation every 100 us, but for the second of the stall.
  BOOST_CHECK_CLOSE(static_cast<double>(run.measurement.operations()), 90'000, 0.1);
  BOOST_CHECK_CLOSE(static_cast<double>(run.measurement.response().value_at(0.5)), 300e3, 0.2);
}

BOOST_AUTO_TEST_CASE(an_injected_delay_is_seen_in_the_median) {
  for (const std::string_view engine : engine_names()) {
    const TestSetup setup = make_setup(false, engine);
    if (!setup.engine->is_persistent()) continue;
    for (const Level level : {Level::segment, Level::log}) {
      BOOST_TEST_CONTEXT(engine << " level " << static_cast<int>(level)) {
        const Run plain = drive_appends(engine, level, Duration::zero());
        const Run slow = drive_appends(engine, level, microseconds(700));
        const auto more =
            slow.measurement.response().value_at(0.5) - plain.measurement.response().value_at(0.5);
        BOOST_CHECK_GE(more, 650'000);
        BOOST_CHECK_LE(more, 2'100'000);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(an_engine_without_a_disk_is_the_floor) {
  for (const Level level : {Level::segment, Level::log}) {
    const Run floor = drive_appends("memory", level, microseconds(700));
    BOOST_CHECK_EQUAL(floor.measurement.errors(), 0U);
    BOOST_CHECK_LE(floor.measurement.response().max(), 1);
  }
}

BOOST_AUTO_TEST_CASE(a_batch_has_the_size_asked_for_and_is_whole) {
  for (std::uint64_t size = 72; size < 400; ++size) {
    const Bytes batch = batch_of(size, size);
    BOOST_REQUIRE_EQUAL(batch.size(), size);
    BOOST_REQUIRE(check_batch(batch).has_value());
  }
  for (const std::uint64_t size : {1024U, 4096U, 8265U, 65536U, 1048576U, 1048700U}) {
    BOOST_CHECK_EQUAL(batch_of(size, 1).size(), size);
  }
}

BOOST_AUTO_TEST_CASE(options_come_back_as_the_arguments_that_make_them) {
  const auto options = parse({"append", "--engine=uring", "--size", "16k", "--rate=2.5",
                              "--durability=group", "--prepared-bytes=1g", "--spread=round-robin"});
  BOOST_REQUIRE(options.has_value());
  BOOST_CHECK_EQUAL(options->size, 16'384U);
  const std::vector<std::string> words = arguments(*options);
  const auto again = parse({words.begin(), words.end()});
  BOOST_REQUIRE_MESSAGE(again.has_value(), (again ? "" : again.error().message()));
  BOOST_CHECK_EQUAL(parameters(*again).dump(), parameters(*options).dump());
}

BOOST_AUTO_TEST_CASE(a_wrong_option_is_named_with_its_value_and_what_is_allowed) {
  const std::pair<std::vector<std::string_view>, std::string_view> wrong[] = {
      {{}, "a mode is required: append, read"},
      {{"write"}, "mode write: allowed is append, read"},
      {{"append", "--engine=floppy"}, "--engine=floppy: allowed is "},
      {{"append", "--size=0"}, "--size=0: allowed is 1 to 67108864 bytes"},
      {{"append", "--rate=-1"}, "--rate=-1: allowed is 0 to 1"},
      {{"append", "--order=random"}, "--order=random: this mode has no such flag"},
      {{"recovery", "--stage=fill"}, "--stage: half of a run needs --dir"},
      {{"append", "--rate"}, "--rate needs a value"},
      {{"append", "--level=log", "--size=71"}, "--size=71: a record batch has at least 72"},
      {{"append", "--size=2m", "--segment-bytes=1m"}, "--segment-bytes=1048576 does not hold it"}};
  for (const auto& [words, said] : wrong) {
    const auto options = parse(words);
    BOOST_REQUIRE(!options.has_value());
    BOOST_CHECK_MESSAGE(options.error().context.find(said) != std::string::npos,
                        options.error().context);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::storage::bench
