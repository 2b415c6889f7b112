#pragma once
// What the metadata say of a partition, as its replicas take it.

#include <vector>

#include "metadata/image.h"
#include "metadata/publisher.h"
#include "replication/options.h"
#include "replication/replicator.h"

namespace qlab::replication {

PartitionState state_of(const metadata::Image& image, const metadata::Topic& topic,
                        PartitionIndex index, const ReplicationOptions& options);

// The options of a topic's logs: what it does not say itself is `defaults`.
storage::LogOptions log_options_of(const metadata::Topic& topic, storage::LogOptions defaults);

// Of a topic that a delta names: which partitions to look at.
std::vector<PartitionIndex> changed_partitions(const metadata::Delta& delta,
                                               const metadata::Topic& topic);

}  // namespace qlab::replication
