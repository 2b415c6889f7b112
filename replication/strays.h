#pragma once
// Logs of replicas that this broker has no more: their topics were deleted, or their partitions
// given to others, while it was down. No metadata that comes later names them.
//
// They are deleted, as a broker that is up deletes what it loses. Kafka 3.9 renames them to
// `-stray`, for whoever administers the broker to delete, since such a log may also be what a wrong
// image leaves out. Here an image is not acted on before it holds this life's registration, so it
// is the cluster's newest committed word on this broker at the time, and what it does not name was
// given up by a committed decision.
//
// Source: Kafka 3.9, LogManager (strays); KAFKA-14616.

#include "metadata/publisher.h"
#include "storage/layout.h"

namespace qlab::replication {

using runtime::Task;

// Whose logs they are: of a broker, and of one of its shards.
struct LogOwner {
  NodeId broker;
  std::size_t shard = 0;
  std::size_t shard_count = 1;
};

// The logs of that shard that the image does not give the broker. Requires and errors: as of
// Layout::find_strays.
Task<Result<std::vector<storage::LogName>>> find_strays(storage::Layout& layout,
                                                        metadata::ImagePtr image, LogOwner owner);

// Removes them; what cannot be removed is named and stays until the next life.
// Requires: as of Layout::remove, and the image is committed and was read after this life's
// registration.
Task<void> drop_strays(storage::Layout& layout, metadata::ImagePtr image, LogOwner owner);

}  // namespace qlab::replication
