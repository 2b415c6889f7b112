#pragma once
// Where disk faults come from, in both worlds: a function that is asked before every operation.
//
// Off by default: an empty hook is never asked. The simulator draws faults from its seed, a test
// arms one, and the real disk takes the same function from its control service, so an engine meets
// the same faults everywhere.

#include <cstdint>
#include <functional>
#include <string_view>

#include "common/clock.h"

namespace qlab::runtime {

enum class DiskOperation : std::uint8_t {
  open,
  read,
  write,
  sync,
  truncate,
  prepare,
  rename,
  remove,
  sync_directory,
  replace,  // write_file_atomically as a whole.
  sync_filesystem,
  make_directory,
};

struct DiskAccess {
  DiskOperation operation = DiskOperation::read;
  std::string_view path;       // Below the disk's root; of the directory for sync_directory.
  std::uint64_t position = 0;  // For read and write; the new size for truncate and prepare.
  std::size_t count = 0;       // Bytes, for read and write.
};

// What happens to an operation. The default is nothing: it proceeds.
struct DiskFault {
  Duration delay{};      // Before anything else; for operations that are awaited.
  int error = 0;         // An errno: the operation fails with it. EIO at a sync loses its data.
  std::size_t torn = 0;  // Of a write that fails: how many of its first bytes are written anyway.
};

// Thread: the shard that owns the disk; it is called there and must not block.
using FaultHook = std::function<DiskFault(const DiskAccess&)>;

}  // namespace qlab::runtime
