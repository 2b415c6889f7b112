#pragma once
// Appends, at the two levels: to an engine's segments, and to the logs of a layout.

#include <memory>
#include <vector>

#include "runtime/async.h"
#include "storage/bench/target.h"
#include "storage/layout.h"

namespace qlab::storage::bench {

// Which partition is next.
class Chooser {
 public:
  Chooser(Spread spread, std::uint64_t partitions, std::uint64_t seed)
      : spread_(spread), partitions_(partitions), prng_(seed) {}
  std::uint64_t next() {
    return spread_ == Spread::random ? prng_.below(partitions_) : turn_++ % partitions_;
  }

 private:
  const Spread spread_;
  const std::uint64_t partitions_;
  std::uint64_t turn_ = 0;
  Prng prng_;
};

// One operation: append `size` bytes to a segment, and with durability sync, sync it. A segment
// that is full is removed once nothing is under way in it, and the next one takes its place.
// Requires, here and below: `runtime` and `engine` outlive the target.
std::unique_ptr<Target> make_segment_appends(runtime::Runtime& runtime, Engine& engine,
                                             const BenchOptions& options);

// One operation: append a record batch of `size` bytes to a log, and with durability sync, sync it.
// The bytes of the batch are copied first, as they would come out of a socket's buffer.
std::unique_ptr<Target> make_log_appends(runtime::Runtime& runtime, Engine& engine,
                                         const BenchOptions& options);

// The same, on logs that somebody else has opened and will close. Requires: they live on.
std::unique_ptr<Target> make_log_appends(const std::vector<std::unique_ptr<Log>>& logs,
                                         const BenchOptions& options);

// A batch of one record, rarely two, that has `size` bytes in all, of random content.
// Requires: size is at least the 72 bytes that options.cc asks for.
Bytes batch_of(std::uint64_t size, std::uint64_t seed);

// `count` random bytes.
Bytes random_bytes(std::uint64_t count, std::uint64_t seed);

}  // namespace qlab::storage::bench
