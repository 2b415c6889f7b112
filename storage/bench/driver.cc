#include "storage/bench/driver.h"

#include <algorithm>
#include <cmath>
#include <csignal>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/check.h"
#include "runtime/async.h"

namespace qlab::storage::bench {
namespace {

volatile std::sig_atomic_t signalled = 0;

Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// The state of a run that all of its loops share.
class Driver {
 public:
  Driver(runtime::Runtime& runtime, Target& target, const BenchOptions& options,
         const std::optional<BlockDevice>& device)
      : runtime_(runtime), target_(target), options_(options), device_(device), freed_(runtime) {}

  Task<Run> run() {
    if (options_.settle_s > 0) {
      co_await runtime::sleep_for(runtime_, from_seconds(options_.settle_s));
    }
    warm_until_ = runtime_.now() + from_seconds(options_.warmup_s);
    turn(runtime_.now());
    runtime::Gate loops(runtime_);
    if (options_.rate > 0) {
      loops.start([this, &loops] { return send_when_due(loops); });
      while (!over_) co_await freed_.wait();
    } else {
      for (std::uint64_t i = 0; i < options_.concurrency; ++i) {
        loops.start([this] { return send_when_done(); });
      }
    }
    co_await loops.close();
    if (run_.measurement.is_running()) finish(runtime_.now());
    co_return std::move(run_);
  }

 private:
  // Moves from warm-up to measurement to the end when the time has come.
  void turn(Time now) {
    if (over_) return;
    if (!run_.measurement.has_begun()) {
      if (now < warm_until_) {
        over_ = must_end();
        return;
      }
      run_.before = resources(device_);
      const Time began = runtime_.now();
      measured_until_ = began + from_seconds(options_.duration_s);
      run_.measurement.begin(began);
      return;
    }
    if (now >= measured_until_ || must_end()) finish(now);
  }

  bool must_end() const {
    const std::uint64_t limit = options_.operations_max;
    return run_ends() || failed_ || bytes_ >= options_.bytes_max ||
           (limit > 0 && run_.measurement.operations() >= limit);
  }

  void finish(Time now) {
    run_.measurement.end(now);
    run_.after = resources(device_);
    over_ = true;
  }

  Task<void> operate(Time due) {
    const Time sent = runtime_.now();
    const Result<std::uint64_t> bytes = co_await target_.operate();
    const Time done = runtime_.now();
    if (bytes) {
      bytes_ += *bytes;
      run_.measurement.succeeded(due, sent, done, *bytes);
    } else {
      run_.measurement.failed(bytes.error());
      failed_ = true;
    }
    turn(done);
  }

  Task<void> send_when_done() {
    // An operation that never waits must let timers and background tasks run all the same.
    constexpr int turns_between_yields = 64;
    for (int i = 1; !over_; ++i) {
      co_await operate(runtime_.now());
      if (i % turns_between_yields == 0) {
        co_await boost::asio::post(runtime_.executor(),
                                   boost::asio::use_awaitable_t<runtime::Executor>{});
      }
    }
  }

  Task<void> send_when_due(runtime::Gate& loops) {
    Schedule schedule(options_.arrivals, options_.rate, runtime_.now(), options_.seed);
    while (!over_) {
      const Time due = schedule.next();
      if (due > runtime_.now()) co_await runtime::sleep_until(runtime_, due);
      while (outstanding_ >= options_.outstanding_max && !over_) co_await freed_.wait();
      turn(runtime_.now());
      if (over_) break;
      ++outstanding_;
      loops.start([this, due] { return operate_once(due); });
    }
    freed_.notify_all();
  }

  Task<void> operate_once(Time due) {
    co_await operate(due);
    --outstanding_;
    freed_.notify_all();
  }

  runtime::Runtime& runtime_;
  Target& target_;
  const BenchOptions options_;
  const std::optional<BlockDevice> device_;
  runtime::Event freed_;
  Run run_;
  Time warm_until_{};
  Time measured_until_{};
  std::uint64_t outstanding_ = 0;
  std::uint64_t bytes_ = 0;  // Warm-up included.
  bool failed_ = false;
  bool over_ = false;
};

}  // namespace

Schedule::Schedule(Arrivals arrivals, double rate, Time start, std::uint64_t seed)
    : arrivals_(arrivals), gap_ns_(1e9 / rate), start_(start), prng_(seed) {
  CHECK(rate > 0);
}

Time Schedule::next() {
  if (arrivals_ == Arrivals::poisson) {
    elapsed_ns_ += -std::log(1 - prng_.unit()) * gap_ns_;
  } else {
    elapsed_ns_ = static_cast<double>(count_++) * gap_ns_;
  }
  return start_ + Duration(static_cast<std::int64_t>(elapsed_ns_));
}

Json Run::to_json(bool open_loop, const std::optional<BlockDevice>& device) const {
  Json line = measurement.to_json(open_loop);
  line.update(used(before, after, measurement.operations(), measurement.bytes(), device));
  return line;
}

Task<Run> drive(runtime::Runtime& runtime, Target& target, BenchOptions options,
                std::optional<BlockDevice> device) {
  Driver driver(runtime, target, options, device);
  co_return co_await driver.run();
}

void end_runs_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { signalled = 1; };
  (void)::sigaction(SIGINT, &action, nullptr);
  (void)::sigaction(SIGTERM, &action, nullptr);
}

bool run_ends() {
  return signalled != 0;
}

}  // namespace qlab::storage::bench
