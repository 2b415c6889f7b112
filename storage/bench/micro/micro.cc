#include "storage/bench/micro/micro.h"

#include <stdlib.h>

namespace qlab::storage::micro {

World::World() {
  std::string path = std::filesystem::temp_directory_path() / "qlab_micro.XXXXXX";
  CHECK_MSG(::mkdtemp(path.data()) != nullptr, path);
  directory_ = path;
  shards_ = must(runtime::RealShards::create({.root = directory_ / "data",
                                              .node = NodeId(0),
                                              .shards = 1,
                                              .cpus = {},
                                              .trace_file = {},
                                              .seed = 1}));
}

World::~World() {
  shards_.reset();
  std::error_code ignored;  // What is left lies in the system's own directory for such.
  std::filesystem::remove_all(directory_, ignored);
}

Bytes batch_of(std::size_t bytes) {
  Record record;
  record.timestamp = 1'700'000'000'000;
  record.value.emplace(bytes - 100, std::byte{'v'});
  // The lengths are varints, so what is missing is known only once it is encoded.
  const std::size_t rest = bytes - encode_batch({record}).size();
  record.value->resize(record.value->size() + rest, std::byte{'v'});
  Bytes batch = encode_batch({record});
  CHECK(batch.size() == bytes);
  return batch;
}

void count(benchmark::State& state, std::size_t bytes, std::size_t items) {
  const auto iterations = static_cast<std::int64_t>(state.iterations());
  if (bytes > 0) state.SetBytesProcessed(iterations * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(iterations * static_cast<std::int64_t>(items));
}

}  // namespace qlab::storage::micro
