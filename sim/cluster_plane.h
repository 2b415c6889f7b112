#pragma once
// Which control plane a simulated cluster has: a design of controller on a consensus module.

#include <string>
#include <string_view>

#include "common/result.h"

namespace qlab::sim {

struct ClusterPlane {
  std::string design;
  std::string module;

  // All nodes replay the same metadata log, so that images are equal.
  bool shares_a_log() const { return design == "quorum"; }
};

// A preset of the broker's, or any DESIGN-MODULE, as in quorum-zab. Errors: invalid, naming what
// there is.
Result<ClusterPlane> find_cluster_plane(std::string_view name);

}  // namespace qlab::sim
