#pragma once
// Which plugs a simulated cluster has: a control plane, that is a design of controller on a
// consensus module, and a replicator.

#include <string>
#include <string_view>

#include "common/result.h"

namespace qlab::sim {

struct ClusterPlane {
  std::string design;
  std::string module;
  std::string replicator = "isr";

  // All nodes replay the same metadata log, so that images are equal.
  bool shares_a_log() const { return design == "quorum"; }
};

// A preset of the broker's, or any DESIGN-MODULE, as in quorum-zab. Errors: invalid, naming what
// there is; unsupported, when the design cannot have that replicator.
Result<ClusterPlane> find_cluster_plane(std::string_view name, std::string_view replicator);

}  // namespace qlab::sim
