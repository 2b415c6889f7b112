// The streams of a shared log against their naive twins: in peace, and through crashes at any point
// of any life, with streams that are cut, begun anew, removed and made again under the same name.

#include "common/logging.h"
#include "runtime/async.h"
#include "storage/log_comparison.h"
#include "storage/log_fixture.h"
#include "storage/seed_range.h"
#include "storage/shared/shared_layout.h"

namespace qlab::storage {
namespace {

constexpr std::size_t streams_max = 4;

// The process: what a crash takes with it.
struct Process {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Layout> layout;
  std::vector<std::unique_ptr<Log>> logs;
  std::unique_ptr<runtime::Gate> burst;
};

// What is known of one stream.
struct Known {
  LogTwin twin;             // As of the last call that ended.
  LogTwin pending;          // As it will be when the call under way has ended.
  std::int64_t floor = 0;   // Everything below it was promised to survive.
  std::int64_t cached = 0;  // Likewise, as long as the power lasts.
  std::uint64_t topic = 1;
};

// One store through many lives.
class Lives {
 public:
  explicit Lives(std::uint64_t seed) : world_(seed), random_(seed * 7919 + 1) {
    constexpr std::array<std::string_view, 3> engines{"buffered", "uring", "direct"};
    engine_name_ = engines[random_.below(engines.size())];
    engine_options_.preallocation = static_cast<Preallocation>(random_.below(4));
    engine_options_.prepared_bytes = 1u << 20;
    SharedOptions& shared = options_.shared;
    shared.segment_bytes = static_cast<std::uint64_t>(random_.between(300, 4000));
    shared.bytes_max = shared.segment_bytes * (4 + random_.below(8));
    shared.checkpoint_bytes = static_cast<std::uint64_t>(random_.between(200, 6000));
    shared.cache_bytes = random_.chance(0.5) ? 0 : random_.below(5000);
    log_options_.durability = random_.chance(0.3) ? Durability::group : Durability::sync;
    log_options_.group_interval = std::chrono::milliseconds(1);
    known_.resize(1 + random_.below(streams_max));
  }

  void run(int lives) {
    for (int life = 0; life < lives; ++life) {
      BOOST_TEST_CONTEXT("life " << life) {
        const bool power_cut = live();
        for (Known& known : known_) {
          // What a killed process wrote is there as long as the power is, if it went through the
          // page cache.
          const bool is_lost = power_cut || engine_name_ == "direct";
          known.cached = is_lost ? 0 : std::min(known.twin.end(), known.pending.end());
        }
      }
    }
    world_.set_fault_hook({});
    boot();
    BOOST_REQUIRE(finish(open_and_compare()));
    BOOST_REQUIRE(finish(close()));
  }

 private:
  static constexpr NodeId node = SimulatedTestWorld::node;

  bool is_up() { return world_.world().node(node).is_up(); }

  void boot() {
    world_.world().boot(node, [this](runtime::Runtime& runtime) {
      auto process = std::make_shared<Process>();
      process->engine = std::move(make_engine(engine_name_, runtime, engine_options_).value());
      process->layout = make_shared_layout(runtime, *process->engine, options_);
      process->logs.resize(known_.size());
      process_ = process.get();
      return process;
    });
  }

  // True when the task ended, false when the node went down in it.
  bool finish(Task<void> task) {
    const auto outcome = runtime::begin(world_.world(), node, std::move(task));
    const auto ended = world_.world().run_until(
        [&] { return outcome->value.has_value() || !is_up(); }, std::chrono::hours(1));
    BOOST_REQUIRE_MESSAGE(ended.has_value(), (ended ? "" : ended.error().message()));
    return outcome->value.has_value() && is_up();
  }

  // One life, from recovery to crash. True when un-synced data may have been lost.
  bool live() {
    boot();
    world_.set_fault_hook({});
    faulty_ = false;
    bool power_cut = random_.chance(0.7);
    if (power_cut) world_.disk().crash_at_change(1 + random_.below(random_.chance(0.3) ? 10 : 80));
    if (!finish(open_and_compare())) return true;
    const auto work = runtime::begin(world_.world(), node, do_something());
    const std::uint64_t events = random_.below(400);
    for (std::uint64_t i = 0; i < events && is_up() && !work->value; ++i) world_.world().step();
    if (power_cut) {
      const auto down = [&] { return work->value.has_value() || !is_up(); };
      BOOST_REQUIRE(world_.world().run_until(down, std::chrono::hours(1)).has_value());
    }
    if (!is_up()) return true;
    // Also after a failed sync: what is then in the page cache must be proved by the next start.
    power_cut = random_.chance(0.5);
    world_.world().crash(node, {.lose_unsynced = power_cut, .silent = false});
    return power_cut || faulty_;
  }

  Task<void> open_log(std::size_t index) {
    const LogName name{fmt::format("t-{}", index), TopicId{1, known_[index].topic}};
    auto opened = co_await process_->layout->open(name, log_options_);
    if (!is_up()) co_return;
    if (opened) {
      process_->logs[index] = std::move(*opened);
    } else {
      note_failure(opened.error());
    }
  }

  Task<void> open_and_compare() {
    const auto started = co_await process_->layout->start();
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
    failed_ = false;
    for (std::size_t i = 0; i < known_.size(); ++i) {
      co_await open_log(i);
      if (!is_up()) co_return;
      BOOST_REQUIRE(!failed_);
      Log& log = *process_->logs[i];
      BOOST_TEST((log.durable_end() == log.end()));
      Known& known = known_[i];
      const std::int64_t promised = std::max(known.floor, known.cached);
      std::function<bool()> up = [this] { return is_up(); };
      co_await accept(log, known.twin, known.pending, promised, std::move(up));
      if (!is_up()) co_return;
      known.pending = known.twin;
      known.floor = known.twin.end();
      known.cached = 0;
      co_await compare(log, known.twin, random_);
      if (!is_up()) co_return;
    }
  }

  Task<void> close() {
    for (const auto& log : process_->logs) {
      const auto closed = co_await log->close();
      BOOST_TEST(closed.has_value());
    }
    const auto stopped = co_await process_->layout->stop();
    BOOST_TEST(stopped.has_value());
  }

  // Calls until the process ends or the disk fails.
  Task<void> do_something() {
    if (random_.chance(0.2)) fail_something();
    while (!failed_) {
      const std::size_t index = random_.below(known_.size());
      co_await do_one(index);
      if (!is_up()) co_return;
      if (!failed_ && !faulty_ && random_.chance(0.1)) {
        co_await compare(*process_->logs[index], known_[index].twin, random_);
      }
      if (!is_up()) co_return;
    }
  }

  void fail_something() {
    faulty_ = true;
    world_.set_fault_hook([this](const runtime::DiskAccess& access) {
      runtime::DiskFault fault;
      const bool sync = access.operation == runtime::DiskOperation::sync;
      const bool write = access.operation == runtime::DiskOperation::write ||
                         access.operation == runtime::DiskOperation::replace;
      if (sync && random_.chance(0.02)) fault.error = EIO;
      if (write && random_.chance(0.1)) fault.error = ENOSPC;
      if (fault.error != 0) fault.torn = static_cast<std::size_t>(random_.below(access.count + 1));
      return fault;
    });
  }

  Task<void> do_one(std::size_t index) {
    Log& log = *process_->logs[index];
    Known& known = known_[index];
    const std::uint64_t dice = random_.below(100);
    if (dice < 60) {
      co_await append_some();
    } else if (dice < 82) {
      const auto synced = co_await log.sync();
      end_call(known, synced);
      if (synced && is_up()) known.floor = std::max(known.floor, synced->value());
    } else if (dice < 91) {
      const std::int64_t last = known.twin.end();
      const std::int64_t to = random_.between(std::max(known.twin.start, last - 30), last);
      known.pending.truncate(to);
      end_call(known, co_await log.truncate_to(Offset{to}));
      known.floor = std::min(known.floor, known.twin.end());
    } else if (dice < 93) {
      known.pending.reset(random_.between(0, 2 * known.twin.end() + 10));
      end_call(known, co_await log.reset_to(Offset{known.pending.start}));
      if (is_up() && !failed_) known.floor = std::min(known.floor, known.twin.end());
    } else if (dice < 96) {
      known.pending.reset(0);
      end_call(known, co_await log.remove());
      if (!is_up() || failed_) co_return;
      known.floor = 0;
      co_await open_log(index);
    } else if (dice < 98) {
      end_call(known, co_await log.close());
      if (!is_up() || failed_) co_return;
      known.floor = known.twin.end();
      // A namesake of another topic never shows what was there.
      if (random_.chance(0.5)) {
        ++known.topic;
        known.twin.reset(0);
        known.pending.reset(0);
        known.floor = known.cached = 0;
      }
      co_await open_log(index);
    } else {
      co_await restart();
    }
  }

  Task<void> restart() {
    for (std::size_t i = 0; i < known_.size(); ++i) {
      end_call(known_[i], co_await process_->logs[i]->close());
      if (!is_up() || failed_) co_return;
      known_[i].floor = known_[i].twin.end();
    }
    const auto stopped = co_await process_->layout->stop();
    if (!is_up()) co_return;
    if (!stopped) note_failure(stopped.error());
    if (failed_) co_return;
    process_->logs.clear();
    process_->logs.resize(known_.size());
    process_->layout = make_shared_layout(world_.runtime(), *process_->engine, options_);
    const auto started = co_await process_->layout->start();
    if (!is_up()) co_return;
    if (!started) note_failure(started.error());
    for (std::size_t i = 0; i < known_.size() && !failed_; ++i) {
      co_await open_log(i);
      if (!is_up()) co_return;
    }
  }

  // Several appends to several streams that overlap, now and then with a follower's batches.
  Task<void> append_some() {
    process_->burst = std::make_unique<runtime::Gate>(world_.runtime());
    // Were one of several refused, the others would have other offsets than planned.
    const std::uint64_t count = faulty_ ? 1 : 1 + random_.below(6);
    refused_ = false;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t index = random_.below(known_.size());
      LogTwin& pending = known_[index].pending;
      std::int32_t epoch = std::max(pending.latest_epoch(), 0);
      if (random_.chance(0.1)) epoch += static_cast<std::int32_t>(1 + random_.below(3));
      pending.append(draw_batch(random_), epoch);
      process_->burst->start(
          [this, index, batch = pending.batches.back()] { return append_one(index, batch); });
    }
    co_await process_->burst->close();
    if (!is_up()) co_return;
    for (Known& known : known_) {
      if (refused_) known.pending = known.twin;
      if (!failed_) known.twin = known.pending;
    }
  }

  Task<void> append_one(std::size_t index, LogTwin::Batch planned) {
    Result<AppendResult> appended = fail(Errc::aborted, "not tried");
    Log& log = *process_->logs[index];
    if (planned.base % 3 == 0) {
      appended = co_await log.append_as_follower(planned.bytes);
    } else {
      appended = co_await log.append_as_leader(planned.bytes, LeaderEpoch{planned.epoch});
    }
    if (appended || !is_up()) co_return;
    // A full disk says that nothing was appended; anything else leaves it open.
    if (appended.error().code == Errc::no_space) {
      refused_ = true;
    } else {
      failed_ = true;
    }
  }

  void note_failure(const Error& error) {
    BOOST_REQUIRE_MESSAGE(faulty_, error.message());
    failed_ = true;
  }

  // The call under way has ended; a crash in it leaves it open.
  template <class T>
  void end_call(Known& known, const Result<T>& result) {
    if (!is_up()) return;
    if (!result) note_failure(result.error());
    if (!failed_) known.twin = known.pending;
  }

  SimulatedTestWorld world_;
  Prng random_;
  std::string engine_name_;
  EngineOptions engine_options_;
  LayoutOptions options_;
  LogOptions log_options_;
  Process* process_ = nullptr;
  std::vector<Known> known_;
  bool faulty_ = false;   // The disk fails now and then.
  bool refused_ = false;  // The last append did not fit.
  bool failed_ = false;   // The store can do no more.
};

BOOST_AUTO_TEST_SUITE(store_property)

BOOST_AUTO_TEST_CASE(a_crash_at_any_point_keeps_what_was_durable_and_brings_back_nothing_else) {
  set_log_level(LogLevel::error);  // A full disk is told of each time.
  const SeedRange seeds = seeds_up_to(150);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Lives(seed).run(12);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
