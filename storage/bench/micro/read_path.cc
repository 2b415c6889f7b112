// What a read of 64 KiB costs where the bytes are in memory or in the page cache.

#include "storage/bench/micro/micro.h"
#include "storage/log.h"

namespace qlab::storage::micro {
namespace {

constexpr std::size_t batch_bytes = 1024;
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::size_t log_bytes = 8u << 20;

Task<void> fill(Log& log) {
  const Bytes batch = batch_of(batch_bytes);
  for (std::size_t written = 0; written < log_bytes; written += batch_bytes) {
    const auto appended = co_await log.append_as_leader(batch, LeaderEpoch{1});
    must(appended);
  }
}

Task<void> read_round_and_round(World& world, Engine& engine, benchmark::State& state) {
  LogOptions options;
  options.durability = Durability::none;
  auto opened = co_await Log::open(world.runtime(), engine, "topic-0", options);
  const std::unique_ptr<Log> log = must(std::move(opened));
  co_await fill(*log);
  Offset from{0};
  for ([[maybe_unused]] const auto each : state) {
    auto result = co_await log->read(from, log->end(), read_bytes);
    const ReadResult read = must(std::move(result));
    CHECK(read.batches.size() == read_bytes);
    from = read.next == log->end() ? Offset{0} : read.next;
  }
  const Result<void> removed = co_await log->remove();
  must(removed);
}

void read_path(benchmark::State& state, std::string_view name) {
  World world;
  const auto engine = must(make_engine(name, world.runtime()));
  world.run([&] { return read_round_and_round(world, *engine, state); });
  count(state, read_bytes);
}

// The least that could be done: a copy of the bytes.
void read_baseline(benchmark::State& state) {
  const Bytes data(log_bytes, std::byte{7});
  std::size_t from = 0;
  for ([[maybe_unused]] const auto each : state) {
    const Bytes read(data.begin() + static_cast<std::ptrdiff_t>(from),
                     data.begin() + static_cast<std::ptrdiff_t>(from + read_bytes));
    benchmark::DoNotOptimize(read.data());
    from = (from + read_bytes) % log_bytes;
  }
  count(state, read_bytes);
}

}  // namespace

void register_read_path() {
  benchmark::RegisterBenchmark("read_path_64k_baseline", read_baseline);
  for (const std::string_view engine : engine_names()) {
    if (engine == "null") continue;  // It keeps nothing that could be read.
    benchmark::RegisterBenchmark(fmt::format("read_path_64k/{}", engine).c_str(), read_path,
                                 engine);
  }
}

}  // namespace qlab::storage::micro
