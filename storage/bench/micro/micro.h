#pragma once
// What the suites of qlab-bench-micro share. One file per topic; main.cc runs them all.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include <benchmark/benchmark.h>

#include "common/check.h"
#include "common/record_batch.h"
#include "runtime/real/real_runtime.h"

namespace qlab::storage::micro {

using runtime::Task;

// Each registers the suite of its topic with Google Benchmark.
void register_append_path();
void register_batches();
void register_checksum();
void register_codec();
void register_framing();
void register_indexes();
void register_read_path();

// The real world over a directory of its own, which goes away with it.
class World {
 public:
  World();
  ~World();
  World(const World&) = delete;

  runtime::Runtime& runtime() { return shards_->shard(0); }
  // Runs a task to its end on the calling thread, so its CPU time is that of the benchmark.
  void run(std::function<Task<void>()> task) { shards_->run(std::move(task)); }

 private:
  std::filesystem::path directory_;
  std::unique_ptr<runtime::RealShards> shards_;
};

// A batch with one record that has `bytes` bytes in all. Requires: bytes >= 100.
Bytes batch_of(std::size_t bytes);

// Sets the counters of a benchmark each of whose iterations handled `items` items of
// `bytes` bytes in all; 0 where bytes say nothing.
void count(benchmark::State& state, std::size_t bytes, std::size_t items = 1);

// Ends the program with the words of the error: a suite that cannot run measures nothing.
template <class T>
T must(Result<T> result) {
  CHECK_MSG(result.has_value(), result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace qlab::storage::micro
