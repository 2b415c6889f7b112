// What an append costs above the engine: the batch is checked as the produce path does it, then
// stamped, written, indexed. And what a sync adds where the engine has nothing to sync.

#include "runtime/async.h"
#include "storage/bench/micro/micro.h"
#include "storage/log.h"

namespace qlab::storage::micro {
namespace {

constexpr std::size_t batch_bytes = 1024;
constexpr std::size_t round = 64;                  // Appends between two looks at the clock.
constexpr std::uint64_t log_bytes_max = 4u << 20;  // Then the log begins anew, off the clock.

// Moved one by one into the log, as the produce path moves what it has decoded.
std::vector<Bytes> fresh_batches(const Bytes& batch) {
  return std::vector<Bytes>(round, batch);
}

Task<std::unique_ptr<Log>> open_log(World& world, Engine& engine) {
  LogOptions options;
  options.durability = Durability::none;
  auto log = co_await Log::open(world.runtime(), engine, "topic-0", options);
  co_return must(std::move(log));
}

Task<void> begin_anew_if_full(Log& log) {
  if (log.size_bytes() < log_bytes_max) co_return;
  const Result<void> anew = co_await log.reset_to(log.end());
  must(anew);
}

Task<void> append_rounds(World& world, Engine& engine, benchmark::State& state) {
  const std::unique_ptr<Log> log = co_await open_log(world, engine);
  const Bytes batch = batch_of(batch_bytes);
  std::vector<Bytes> batches = fresh_batches(batch);
  while (state.KeepRunningBatch(round)) {
    for (Bytes& each : batches) {
      must(check_batches(each));
      const auto appended = co_await log->append_as_leader(std::move(each), LeaderEpoch{1});
      must(appended);
    }
    state.PauseTiming();
    co_await begin_anew_if_full(*log);
    batches = fresh_batches(batch);
    state.ResumeTiming();
  }
  const Result<void> removed = co_await log->remove();
  must(removed);
}

void append_path(benchmark::State& state, std::string_view name) {
  World world;
  const auto engine = must(make_engine(name, world.runtime()));
  world.run([&] { return append_rounds(world, *engine, state); });
  count(state, batch_bytes);
}

// Each of `appenders` appends and syncs in turn, as produce requests do that wait for durability.
class SyncedAppends {
 public:
  SyncedAppends(World& world, Engine& engine, benchmark::State& state)
      : world_(world), engine_(engine), state_(state) {}

  Task<void> run(std::size_t appenders) {
    log_ = co_await open_log(world_, engine_);
    while (state_.KeepRunningBatch(static_cast<std::int64_t>(appenders * each_appends))) {
      state_.PauseTiming();
      co_await begin_anew_if_full(*log_);
      batches_ = std::vector<Bytes>(appenders * each_appends, batch_);
      runtime::Gate gate(world_.runtime());
      for (std::size_t i = 0; i < appenders; ++i) gate.start([this] { return append_and_sync(); });
      state_.ResumeTiming();
      co_await gate.close();
    }
    const Result<void> removed = co_await log_->remove();
    must(removed);
  }

 private:
  static constexpr std::size_t each_appends = 8;

  Task<void> append_and_sync() {
    for (std::size_t i = 0; i < each_appends; ++i) {
      Bytes batch = std::move(batches_.back());
      batches_.pop_back();
      must(check_batches(batch));
      const auto appended = co_await log_->append_as_leader(std::move(batch), LeaderEpoch{1});
      must(appended);
      const auto synced = co_await log_->sync();
      must(synced);
    }
  }

  World& world_;
  Engine& engine_;
  benchmark::State& state_;
  std::unique_ptr<Log> log_;
  const Bytes batch_ = batch_of(batch_bytes);
  std::vector<Bytes> batches_;
};

void append_sync(benchmark::State& state, std::string_view name) {
  World world;
  const auto engine = must(make_engine(name, world.runtime()));
  SyncedAppends appends(world, *engine, state);
  world.run([&] { return appends.run(static_cast<std::size_t>(state.range(0))); });
  count(state, batch_bytes);
}

// The least that could be done: the bytes are copied to where they stay, and their place is noted.
void append_baseline(benchmark::State& state) {
  const Bytes batch = batch_of(batch_bytes);
  std::vector<Bytes> batches = fresh_batches(batch);
  Bytes data;
  data.resize(log_bytes_max +
              round * batch_bytes);  // Touched, as the memory of a log that began anew.
  data.clear();
  std::vector<std::uint64_t> places;
  while (state.KeepRunningBatch(round)) {
    for (Bytes& each : batches) {
      const Bytes mine = std::move(each);
      places.push_back(data.size());
      data.insert(data.end(), mine.begin(), mine.end());
    }
    state.PauseTiming();
    if (data.size() >= log_bytes_max) {
      data.clear();
      places.clear();
    }
    batches = fresh_batches(batch);
    state.ResumeTiming();
  }
  count(state, batch_bytes);
}

}  // namespace

void register_append_path() {
  benchmark::RegisterBenchmark("append_path_1k_baseline", append_baseline);
  for (const std::string_view engine : engine_names()) {
    benchmark::RegisterBenchmark(fmt::format("append_path_1k/{}", engine).c_str(), append_path,
                                 engine);
  }
  // On the others a sync is the disk's business, and storage/bench measures it.
  for (const std::string_view engine : {"memory"}) {
    benchmark::RegisterBenchmark(fmt::format("append_sync_1k/{}", engine).c_str(), append_sync,
                                 engine)
        ->Arg(1)
        ->Arg(64);
  }
}

}  // namespace qlab::storage::micro
