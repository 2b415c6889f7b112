#pragma once
// Tells of a batch of decided records: once when it is decided, once when it is committed.
//
// A line per batch and not per partition, since a batch may be one of a thousand; only the changes
// of a small batch are told one by one. docs/trace.md has the events.

#include <vector>

#include "common/bytes.h"
#include "metadata/image.h"
#include "runtime/trace.h"

namespace qlab::controller {

class DecisionTrace {
 public:
  // Of a batch with more changes of leaders none is told by itself.
  static constexpr std::size_t changes_told_max = 16;

  // `batch` counts those of the epoch; `decided` is the image with them replayed.
  // Requires: `sink` outlives this. Cost: none when nobody listens.
  DecisionTrace(runtime::TraceSink& sink, Epoch epoch, std::uint64_t batch,
                const metadata::Records& records, const metadata::Image& decided);

  // How they went to the log.
  void note_entries(const std::vector<Bytes>& bodies);
  void committed(LogIndex last) const;

 private:
  struct Change {
    std::string topic;
    PartitionIndex partition;
    NodeId leader;
    LeaderEpoch epoch;
  };
  void tell_changes(std::string_view event) const;

  runtime::TraceSink& sink_;
  const std::int64_t epoch_;
  const std::int64_t batch_;
  std::int64_t records_ = 0;
  std::int64_t leaders_ = 0;  // Partitions that get another leader, or none.
  std::int64_t entries_ = 0;
  std::int64_t bytes_ = 0;
  std::vector<Change> changes_;
};

}  // namespace qlab::controller
