// CRC-32C, and what the memory lets one hope for.

#include "common/crc32c.h"
#include "storage/bench/micro/micro.h"

namespace qlab::storage::micro {
namespace {

void checksum(benchmark::State& state) {
  const Bytes bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  for ([[maybe_unused]] const auto each : state) benchmark::DoNotOptimize(crc32c(bytes));
  count(state, bytes.size());
}

void copy(benchmark::State& state) {
  const Bytes from(static_cast<std::size_t>(state.range(0)), std::byte{7});
  Bytes to(from.size());
  for ([[maybe_unused]] const auto each : state) {
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  count(state, from.size());
}

}  // namespace

void register_checksum() {
  for (const std::int64_t bytes : {64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20}) {
    benchmark::RegisterBenchmark("crc32c_baseline", copy)->Arg(bytes);
    benchmark::RegisterBenchmark("crc32c", checksum)->Arg(bytes);
  }
}

}  // namespace qlab::storage::micro
