#pragma once
// A partition as it is born, in a new topic or in one that grows: pure.

#include "metadata/image.h"

namespace qlab::controller {

// Those that may lead, sorted.
std::vector<NodeId> active_brokers(const metadata::Image& image);

// In sync from birth are those replicas that are up; an empty log is as good as any other empty
// log. With none of them up the first one is, and nobody leads.
metadata::Partition new_partition(const metadata::Image& image, std::vector<NodeId> replicas);

}  // namespace qlab::controller
