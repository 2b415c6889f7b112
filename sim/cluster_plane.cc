#include "sim/cluster_plane.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "broker/modules.h"

namespace qlab::sim {

namespace {

bool is_in(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Result<ClusterPlane> find_plane(std::string_view name) {
  if (const broker::Plane* preset = broker::find_plane(name)) {
    return ClusterPlane{std::string(preset->design), std::string(preset->consensus_module)};
  }
  const auto designs = broker::controller_designs();
  const auto modules = broker::consensus_modules();
  const std::size_t dash = std::min(name.find('-'), name.size());
  const std::string_view design = name.substr(0, dash);
  const std::string_view module = name.substr(std::min(name.size(), dash + 1));
  if (is_in(designs, design) && is_in(modules, module)) {
    return ClusterPlane{std::string(design), std::string(module)};
  }
  return fail(Errc::invalid, "plane={} is unknown; allowed are {}, and DESIGN-MODULE of {} and {}",
              name, fmt::join(broker::plane_names(), ", "), fmt::join(designs, ", "),
              fmt::join(modules, ", "));
}

}  // namespace

Result<ClusterPlane> find_cluster_plane(std::string_view name, std::string_view replicator) {
  TRY(ClusterPlane plane, find_plane(name));
  if (!is_in(broker::replicators(), replicator)) {
    return fail(Errc::invalid, "replicator={} is unknown; allowed are {}", replicator,
                fmt::join(broker::replicators(), ", "));
  }
  if (replicator != "isr" && plane.design == "zk") {
    return fail(Errc::unsupported,
                "replicator={} is not for plane={}: a zk controller takes no "
                "claims of leadership",
                replicator, name);
  }
  plane.replicator = replicator;
  return plane;
}

}  // namespace qlab::sim
