#pragma once
// What must hold once a cluster is healed and whole: what administrators were told is what there
// is. Of topics that nobody has asked to delete.

#include "sim/cluster_history.h"
#include "sim/invariants.h"

namespace qlab::sim {

// A topic has the partitions that it was made with, and those that it was told to have more.
Finding topics_have_their_partitions(const ClusterHistory& history, const metadata::Image& image);
// A partition that was moved has the replicas that it was to have, unless the move was cancelled.
Finding moves_end_where_they_were_to(const ClusterHistory& history, const metadata::Image& image);
// A config that was acknowledged is there; with `node`, of topics that have replicas on it.
Finding configs_are_as_acknowledged(const ClusterHistory& history, const metadata::Image& image,
                                    NodeId node = no_node);

// The first finding of these with its name. `node`: whose image it is, where nodes know the configs
// of what is on them alone. Requires: no partition is on the move.
Finding judge_end(const ClusterHistory& history, const metadata::Image& image,
                  NodeId node = no_node);

}  // namespace qlab::sim
