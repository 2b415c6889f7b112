#pragma once
// One factory per engine; storage/engines.cc is the only one who calls them.

#include <memory>

#include "storage/engine.h"

namespace qlab::storage {

// Sizes and no bytes: what everything but the storage costs. Nothing can be read, so it is for
// appends: a log on it takes them, seals and rolls, and a consumer or a follower gets the error.
std::unique_ptr<Engine> make_null_engine(runtime::Runtime& runtime, const EngineOptions& options);
// No disk at all: what an append costs above the engine. Durable = appended, and gone with the
// engine.
std::unique_ptr<Engine> make_memory_engine(runtime::Runtime& runtime, const EngineOptions& options);
// pwrite into the page cache, fdatasync on a helper thread.
std::unique_ptr<Engine> make_buffered_engine(runtime::Runtime& runtime,
                                             const EngineOptions& options);
// The same calls through the shard's io_uring, so that the shard's thread never waits for a write.
std::unique_ptr<Engine> make_uring_engine(runtime::Runtime& runtime, const EngineOptions& options);

// Stores into a shared mapping, msync on a helper thread.
std::unique_ptr<Engine> make_mmap_engine(runtime::Runtime& runtime, const EngineOptions& options);
// O_DIRECT and RWF_DSYNC through the shard's io_uring: past the page cache.
std::unique_ptr<Engine> make_direct_engine(runtime::Runtime& runtime, const EngineOptions& options);

}  // namespace qlab::storage
