#pragma once
// What a driver drives: one kind of operation, again and again.

#include "runtime/runtime.h"
#include "storage/bench/options.h"

namespace qlab::storage::bench {

using runtime::Task;

// Thread: one shard. Operations may overlap.
class Target {
 public:
  virtual ~Target() = default;
  // Opens what is needed. Called once, before all else.
  virtual Task<Result<void>> start() = 0;
  // One operation; the bytes that it moved.
  virtual Task<Result<std::uint64_t>> operate() = 0;
  // Closes all. Requires: no operation is under way.
  virtual Task<Result<void>> stop() = 0;
};

}  // namespace qlab::storage::bench
