#pragma once
// The transports of the real world, by their word.

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "runtime/transport.h"

namespace qlab::runtime {

// grpc: streams of gRPC, with the control service beside them. tcp: plain frames; tools that speak
// gRPC do not reach such a node.
inline constexpr std::array<std::string_view, 2> transport_names{"grpc", "tcp"};
inline bool is_transport(std::string_view name) {
  return std::find(transport_names.begin(), transport_names.end(), name) != transport_names.end();
}

// Requires: is_transport(name); `runtime` outlives it.
std::unique_ptr<Transport> make_transport(std::string_view name, Runtime& runtime);

}  // namespace qlab::runtime
