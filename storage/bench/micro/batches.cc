// The record batch: what a broker does to each (header, check, stamp) and what a client does
// (encode, decode).

#include "storage/bench/micro/micro.h"

namespace qlab::storage::micro {
namespace {

constexpr std::size_t value_bytes = 100;

std::vector<Record> records_of(std::size_t count) {
  std::vector<Record> records(count);
  for (std::size_t i = 0; i < count; ++i) {
    records[i].timestamp = 1'700'000'000'000 + static_cast<std::int64_t>(i);
    records[i].key = Bytes(8, std::byte{'k'});
    records[i].value = Bytes(value_bytes, std::byte{'v'});
  }
  return records;
}

void decode_header(benchmark::State& state) {
  const Bytes batch = batch_of(1024);
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(must(decode_batch_header(batch)).crc);
  }
  count(state, batch_header_bytes);
}

void check(benchmark::State& state) {
  const Bytes batch = batch_of(static_cast<std::size_t>(state.range(0)));
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(must(check_batch(batch)).crc);
  }
  count(state, batch.size());
}

void stamp(benchmark::State& state) {
  Bytes batch = batch_of(1024);
  Offset next{0};
  for ([[maybe_unused]] const auto each : state) {
    stamp_batch(batch, next, LeaderEpoch{1});
    benchmark::DoNotOptimize(batch.data());
    benchmark::ClobberMemory();
    next = next.next();
  }
  count(state, batch.size());
}

void encode(benchmark::State& state) {
  const std::vector<Record> records = records_of(static_cast<std::size_t>(state.range(0)));
  std::size_t bytes = 0;
  for ([[maybe_unused]] const auto each : state) {
    const Bytes batch = encode_batch(records);
    bytes = batch.size();
    benchmark::DoNotOptimize(batch.data());
  }
  count(state, bytes, records.size());
}

void decode(benchmark::State& state) {
  const auto records = static_cast<std::size_t>(state.range(0));
  const Bytes batch = encode_batch(records_of(records));
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(must(decode_records(batch)).data());
  }
  count(state, batch.size(), records);
}

}  // namespace

void register_batches() {
  benchmark::RegisterBenchmark("batch_header_decode", decode_header);
  benchmark::RegisterBenchmark("batch_check", check)->Arg(1 << 10)->Arg(64 << 10)->Arg(1 << 20);
  benchmark::RegisterBenchmark("batch_stamp", stamp);
  benchmark::RegisterBenchmark("batch_encode", encode)->Arg(1)->Arg(100);
  benchmark::RegisterBenchmark("batch_decode", decode)->Arg(1)->Arg(100);
}

}  // namespace qlab::storage::micro
