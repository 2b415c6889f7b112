// A log against its naive twin: in peace, and through crashes at any point of any life.

#include <array>

#include "runtime/async.h"
#include "storage/log_comparison.h"
#include "storage/log_fixture.h"
#include "storage/per_partition_layout.h"
#include "storage/seed_range.h"

namespace qlab::storage {
namespace {

// The process: what a crash takes with it.
struct Process {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Layout> layout;
  std::unique_ptr<Log> log;
  std::vector<std::unique_ptr<Log>> neighbours;
  std::unique_ptr<runtime::Gate> burst;
};

// One log through many lives, among others that want the same few descriptors and syncs.
class Lives {
 public:
  explicit Lives(std::uint64_t seed) : world_(seed), random_(seed * 7919 + 1) {
    const auto engines = persistent_engine_names();
    engine_name_ = engines[random_.below(engines.size())];
    options_.segment_bytes = static_cast<std::uint64_t>(random_.between(300, 3000));
    options_.index_interval_bytes = static_cast<std::uint32_t>(random_.between(0, 500));
    options_.durability = random_.chance(0.3) ? Durability::group : Durability::sync;
    options_.group_interval = std::chrono::milliseconds(1);
    if (random_.chance(0.2)) {
      engine_options_.preallocation = static_cast<Preallocation>(random_.below(4));
    }
    engine_options_.prepared_bytes = 1u << 20;
    engine_options_.spares = 1;
    layout_options_.open_files_max = 1 + random_.below(random_.chance(0.5) ? 4 : 100);
    layout_options_.group_sync = random_.chance(0.5) ? GroupSync::files : GroupSync::filesystem;
  }

  void run(int lives) {
    for (int life = 0; life < lives; ++life) {
      BOOST_TEST_CONTEXT("life " << life) {
        const bool power_cut = live();
        // What a killed process wrote is there as long as the power is, if it is in the page cache.
        cached_ = power_cut || !in_page_cache_ ? 0 : std::min(twin_.end(), pending_.end());
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
      process->layout = make_per_partition_layout(runtime, *process->engine, layout_options_);
      in_page_cache_ = process->engine->is_synced_by_filesystem();
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

  Task<void> open_and_compare() {
    const auto prepared = co_await process_->engine->start();
    if (!is_up()) co_return;
    BOOST_TEST(prepared.has_value());
    const auto started = co_await process_->layout->start();
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
    auto opened = co_await process_->layout->open(name_of(0), options_);
    if (opened) process_->log = std::move(*opened);
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message()));
    Log& log = *process_->log;
    BOOST_TEST((log.durable_end() == log.end()));
    std::function<bool()> up = [this] { return is_up(); };
    co_await accept(log, twin_, pending_, std::max(floor_, cached_), std::move(up));
    if (!is_up()) co_return;
    co_await open_neighbours();
    if (!is_up()) co_return;
    pending_ = twin_;
    floor_ = twin_.end();
    cached_ = 0;
    failed_ = false;
    co_await compare(log, twin_, random_);
  }

  static LogName name_of(std::size_t number) {
    return {fmt::format("t-{}", number), TopicId{0, 1}};
  }

  // Of a neighbour it is only watched that it keeps what it promised.
  Task<void> open_neighbours() {
    process_->neighbours.clear();
    for (std::size_t i = 0; i < neighbour_floors_.size(); ++i) {
      auto opened = co_await process_->layout->open(name_of(i + 1), options_);
      if (!is_up()) co_return;
      BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message()));
      const Offset end = (*opened)->end();
      BOOST_TEST(end.value() >= neighbour_floors_[i]);
      neighbour_floors_[i] = end.value();
      process_->neighbours.push_back(std::move(*opened));
      if (end == process_->neighbours[i]->start()) continue;
      const auto read = co_await process_->neighbours[i]->read(Offset{0}, end, 1u << 20);
      if (!is_up()) co_return;
      BOOST_REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
    }
  }

  Task<void> use_a_neighbour() {
    if (process_->neighbours.empty()) co_return;
    const std::size_t i = random_.below(process_->neighbours.size());
    Log& log = *process_->neighbours[i];
    const auto appended = co_await log.append_as_leader(draw_batch(random_), LeaderEpoch{0});
    if (!appended || !is_up() || random_.chance(0.5)) co_return;
    const auto synced = co_await log.sync();
    if (synced && is_up()) neighbour_floors_[i] = synced->value();
  }

  // A clean stop, after which another layout of the same process starts. False when it failed.
  Task<bool> stop_and_start() {
    for (std::size_t i = 0; i < process_->neighbours.size(); ++i) {
      const Offset end = process_->neighbours[i]->end();
      const auto closed = co_await process_->neighbours[i]->close();
      if (!is_up()) co_return false;
      if (closed) neighbour_floors_[i] = end.value();
    }
    process_->neighbours.clear();
    process_->log.reset();
    const auto stopped = co_await process_->layout->stop();
    if (!stopped || !is_up()) co_return false;
    process_->layout =
        make_per_partition_layout(world_.runtime(), *process_->engine, layout_options_);
    const auto started = co_await process_->layout->start();
    co_return started.has_value() && is_up();
  }

  Task<void> close() {
    for (const auto& neighbour : process_->neighbours) {
      const auto closed = co_await neighbour->close();
      BOOST_TEST(closed.has_value());
    }
    const auto closed = co_await process_->log->close();
    BOOST_TEST(closed.has_value());
    co_await process_->engine->stop();
  }

  // Calls until the process ends or the disk fails.
  Task<void> do_something() {
    if (random_.chance(0.2)) fail_something();
    while (!failed_) {
      co_await do_one();
      if (!is_up()) co_return;
      if (!failed_ && !faulty_ && random_.chance(0.1))
        co_await compare(*process_->log, twin_, random_);
      if (!is_up()) co_return;
    }
  }

  void fail_something() {
    faulty_ = true;
    world_.set_fault_hook([this](const runtime::DiskAccess& access) {
      runtime::DiskFault fault;
      const bool sync = access.operation == runtime::DiskOperation::sync;
      const bool write = access.operation == runtime::DiskOperation::write;
      const bool shared = access.operation == runtime::DiskOperation::sync_filesystem;
      if ((sync || shared) && random_.chance(0.02)) fault.error = EIO;
      if (write && random_.chance(0.1)) fault.error = ENOSPC;
      if (fault.error != 0) fault.torn = static_cast<std::size_t>(random_.below(access.count + 1));
      return fault;
    });
  }

  Task<void> do_one() {
    Log& log = *process_->log;
    const bool elsewhere = random_.chance(0.2);
    if (elsewhere) co_await use_a_neighbour();
    if (!is_up()) co_return;
    const std::uint64_t dice = random_.below(100);
    if (dice < 55) {
      co_await append_some();
    } else if (dice < 85) {
      const auto synced = co_await log.sync();
      note(synced.has_value());
      if (synced && is_up()) floor_ = std::max(floor_, synced->value());
    } else if (dice < 96) {
      const std::int64_t last = twin_.end();
      const std::int64_t to = random_.between(std::max(twin_.start, last - 30), last);
      pending_.truncate(to);
      const auto cut = co_await log.truncate_to(Offset{to});
      note(cut.has_value());
      floor_ = std::min(floor_, twin_.end());
    } else if (dice < 97) {
      pending_.reset(random_.between(0, 2 * twin_.end() + 10));
      const auto reset = co_await log.reset_to(Offset{pending_.start});
      note(reset.has_value());
      if (is_up() && !failed_) floor_ = twin_.start;
    } else {
      const auto closed = co_await log.close();
      note(closed.has_value());
      if (!closed || !is_up()) co_return;
      floor_ = twin_.end();
      if (random_.chance(0.5)) {
        const bool well = co_await stop_and_start();
        note(well);
        if (!well) co_return;
      }
      auto opened = co_await process_->layout->open(name_of(0), options_);
      note(opened.has_value());
      if (opened) process_->log = std::move(*opened);
    }
  }

  // Several appends that overlap, now and then with a follower's batches.
  Task<void> append_some() {
    process_->burst = std::make_unique<runtime::Gate>(world_.runtime());
    // Were one of several refused, the others would have other offsets than planned.
    const std::uint64_t count = faulty_ ? 1 : 1 + random_.below(4);
    refused_ = false;
    std::int32_t epoch = std::max(twin_.latest_epoch(), 0);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (random_.chance(0.1)) epoch += static_cast<std::int32_t>(1 + random_.below(3));
      pending_.append(draw_batch(random_), epoch);
      process_->burst->start([this, at = pending_.batches.size() - 1] { return append_one(at); });
    }
    co_await process_->burst->close();
    if (refused_ && is_up()) pending_ = twin_;
    note(true);
  }

  Task<void> append_one(std::size_t at) {
    const LogTwin::Batch planned = pending_.batches[at];
    Result<AppendResult> appended = fail(Errc::aborted, "not tried");
    if (planned.base % 3 == 0) {
      appended = co_await process_->log->append_as_follower(planned.bytes);
    } else {
      appended =
          co_await process_->log->append_as_leader(planned.bytes, LeaderEpoch{planned.epoch});
    }
    if (appended || !is_up()) co_return;
    // A full disk says that nothing was appended; anything else leaves it open.
    if (appended.error().code == Errc::no_space) {
      refused_ = true;
    } else {
      failed_ = true;
    }
  }

  // The call under way has ended; a crash in it leaves it open.
  void note(bool well) {
    if (!is_up()) return;
    if (!well) failed_ = true;
    if (!failed_) twin_ = pending_;
  }

  SimulatedTestWorld world_;
  Prng random_;
  std::string engine_name_;
  LogOptions options_;
  EngineOptions engine_options_;
  LayoutOptions layout_options_;
  std::array<std::int64_t, 3> neighbour_floors_{};  // As floor_.
  Process* process_ = nullptr;
  LogTwin twin_;             // As of the last call that ended.
  LogTwin pending_;          // As it will be when the call under way has ended.
  std::int64_t floor_ = 0;   // Everything below it was promised to survive.
  std::int64_t cached_ = 0;  // Likewise, as long as the power lasts.
  bool in_page_cache_ = false;
  bool faulty_ = false;   // The disk fails now and then.
  bool refused_ = false;  // The last append did not fit.
  bool failed_ = false;   // The log can do no more.
};

BOOST_AUTO_TEST_SUITE(log_property)

BOOST_AUTO_TEST_CASE(a_log_answers_as_its_naive_twin_does) {
  const auto engines = engines_with(&Engine::keeps_bytes);
  const SeedRange seeds = seeds_up_to(60);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Prng random(seed);
      LogFixture fixture(make_setup(false, engines[seed % engines.size()]));
      fixture.options().segment_bytes = static_cast<std::uint64_t>(random.between(300, 3000));
      fixture.options().index_interval_bytes = static_cast<std::uint32_t>(random.between(0, 500));
      fixture.open();
      LogTwin twin;
      std::int32_t epoch = 0;
      for (int i = 0; i < 150; ++i) {
        const std::uint64_t dice = random.below(100);
        if (dice < 75) {
          Bytes batch = draw_batch(random);
          epoch += random.chance(0.05) ? 1 : 0;
          twin.append(batch, epoch);
          fixture.append(std::move(batch), epoch);
        } else if (dice < 90) {
          fixture.setup().world->run([&] { return compare(fixture.log(), twin, random); });
        } else if (dice < 95) {
          const std::int64_t to = random.between(std::max(twin.start, twin.end() - 40), twin.end());
          twin.truncate(to);
          fixture.truncate(to);
        } else if (dice < 97) {
          fixture.reopen();
        } else if (dice < 99) {
          fixture.kill_and_reopen();
        } else {
          fixture.sync();
        }
      }
      fixture.setup().world->run([&] { return compare(fixture.log(), twin, random); });
    }
  }
}

BOOST_AUTO_TEST_CASE(a_crash_at_any_point_keeps_what_was_durable_and_brings_back_nothing_else) {
  const SeedRange seeds = seeds_up_to(200);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Lives(seed).run(12);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
