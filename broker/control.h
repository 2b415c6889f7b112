#pragma once
// The control service: what tools ask a node (wire/proto/control.proto).

#include <string>
#include <vector>

#include "broker/control_plane.h"
#include "broker/partitions.h"

namespace qlab::broker {

struct NodeView {
  const NodeConfig& config;
  const ControlPlane& plane;
  const metadata::Image& image;
  bool is_ready = false;
  std::size_t replica_count = 0;
};

// Whether a StatusRequest wants the partitions as well. Errors: corrupt.
Result<bool> wants_partitions(const std::string& request);

// The bytes of a StatusReply.
std::string encode_status(const NodeView& view, const std::vector<Partitions::View>& partitions);

}  // namespace qlab::broker
