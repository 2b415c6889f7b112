#pragma once
// Reads a segment once, from front to back, as the disk has it.
//
// The page cache brings nothing to who reads cold bytes once: filling it costs more than the disk
// does. And after a failed write-back it may show what the disk has not got (ATC'20, "Can
// Applications Recover from fsync Failures?"). So the file is opened a second time, past the page
// cache, whatever the engine; the kernel writes dirty pages out before it reads there, so nothing
// that was written is missed.

#include <memory>
#include <string>

#include "storage/read_ahead.h"

namespace qlab::storage {

// Thread: one shard.
class ColdReader {
 public:
  // A second descriptor costs as much as reading this much through the page cache.
  static constexpr std::uint64_t bytes_min = 256u << 10;

  // Requires: `segment` outlives this, and is not appended to.
  ColdReader(runtime::Runtime& runtime, Segment& segment) : runtime_(runtime), segment_(segment) {}

  // Opens the file of that path. Without it, and where the file system or the kernel refuses the
  // way past the cache, reads go through the segment. Requires: `path` is the segment's, of an
  // engine that is persistent. Errors: io.
  Task<Result<void>> open(std::string path);
  Task<Result<void>> close();

  // Reads [from, end). Requires: end <= segment.size(); this outlives it.
  ReadAhead read(std::uint64_t from, std::uint64_t end) const;
  // True when there are only zeros in [from, end). Errors: as Segment::read().
  Task<Result<bool>> is_zero(std::uint64_t from, std::uint64_t end) const;

 private:
  runtime::Runtime& runtime_;
  Segment& segment_;
  std::unique_ptr<runtime::File> file_;  // Null: through the segment.
};

}  // namespace qlab::storage
