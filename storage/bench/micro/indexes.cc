// The indexes of a segment and the leader-epoch cache of a log.

#include "common/prng.h"
#include "storage/bench/micro/micro.h"
#include "storage/epoch_cache.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

namespace qlab::storage::micro {
namespace {

constexpr std::int64_t entries_max = 1 << 18;  // Of a segment of 1 GiB with the default interval.
constexpr std::int64_t offsets_between = 4;
constexpr std::size_t questions = 4096;  // A power of two.

OffsetIndex::Entry offset_entry(std::int64_t i) {
  return {Offset{i * offsets_between}, static_cast<std::uint64_t>(i) * 4096};
}
TimeIndex::Entry time_entry(std::int64_t i) {
  return {1'700'000'000'000 + i, Offset{i * offsets_between}};
}

// Random numbers below `bound`, drawn before the clock runs.
std::vector<std::int64_t> draw(std::int64_t bound) {
  Prng prng(1);
  std::vector<std::int64_t> numbers(questions);
  for (std::int64_t& number : numbers) number = prng.between(0, bound - 1);
  return numbers;
}

template <class Index, class Entry>
void insert(benchmark::State& state, Entry entry) {
  Index index(Offset{0});
  std::int64_t i = 0;
  for ([[maybe_unused]] const auto each : state) {
    index.append(entry(++i));
    if (i == entries_max) {
      index.clear();
      i = 0;
    }
  }
  count(state, sizeof entry(0));
}

void insert_offset(benchmark::State& state) {
  insert<OffsetIndex>(state, offset_entry);
}

void insert_time(benchmark::State& state) {
  insert<TimeIndex>(state, time_entry);
}

void find_offset(benchmark::State& state) {
  OffsetIndex index(Offset{0});
  for (std::int64_t i = 1; i <= state.range(0); ++i) index.append(offset_entry(i));
  const std::vector<std::int64_t> offsets = draw(state.range(0) * offsets_between);
  std::size_t i = 0;
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(index.position_near(Offset{offsets[i++ % questions]}));
  }
  count(state, 0);
}

void find_time(benchmark::State& state) {
  TimeIndex index(Offset{0});
  for (std::int64_t i = 1; i <= state.range(0); ++i) index.append(time_entry(i));
  const std::vector<std::int64_t> delays = draw(state.range(0));
  std::size_t i = 0;
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(index.offset_near(1'700'000'000'000 + delays[i++ % questions]));
  }
  count(state, 0);
}

// Every append asks; nearly none begins an epoch.
void assign_epoch(benchmark::State& state) {
  EpochCache cache;
  Offset offset{0};
  for ([[maybe_unused]] const auto each : state) {
    cache.assign(LeaderEpoch{1}, offset);
    benchmark::DoNotOptimize(cache.latest());
    offset = offset.next();
  }
  count(state, 0);
}

void end_of_epoch(benchmark::State& state) {
  EpochCache cache;
  for (std::int32_t i = 0; i < state.range(0); ++i) {
    cache.assign(LeaderEpoch{i}, Offset{i * std::int64_t{1000}});
  }
  const std::vector<std::int64_t> epochs = draw(state.range(0));
  const Offset end{state.range(0) * 1000};
  std::size_t i = 0;
  for ([[maybe_unused]] const auto each : state) {
    const LeaderEpoch epoch{static_cast<std::int32_t>(epochs[i++ % questions])};
    benchmark::DoNotOptimize(cache.end_of(epoch, end));
  }
  count(state, 0);
}

}  // namespace

void register_indexes() {
  benchmark::RegisterBenchmark("offset_index_insert", insert_offset);
  benchmark::RegisterBenchmark("time_index_insert", insert_time);
  benchmark::RegisterBenchmark("offset_index_find", find_offset)->Arg(1 << 10)->Arg(entries_max);
  benchmark::RegisterBenchmark("time_index_find", find_time)->Arg(1 << 10)->Arg(entries_max);
  benchmark::RegisterBenchmark("epoch_cache_assign", assign_epoch);
  benchmark::RegisterBenchmark("epoch_cache_end_of", end_of_epoch)->Arg(1)->Arg(1 << 10);
}

}  // namespace qlab::storage::micro
