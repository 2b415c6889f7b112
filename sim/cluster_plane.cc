#include "sim/cluster_plane.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "broker/modules.h"

namespace qlab::sim {

Result<ClusterPlane> find_cluster_plane(std::string_view name) {
  if (const broker::Plane* preset = broker::find_plane(name)) {
    return ClusterPlane{std::string(preset->design), std::string(preset->consensus_module)};
  }
  const auto is_in = [](const std::vector<std::string_view>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
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

}  // namespace qlab::sim
