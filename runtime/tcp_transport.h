#pragma once
// The transport over plain TCP: one connection in each direction between two nodes, opened by the
// sender, and calls of tools on the same port. Beside gRPC's it shows what gRPC costs.
//
// Built on runtime/network.h alone. All that is queued when the writer wakes leaves in one write.
// Two parts: tcp_link (our connections to peers), tcp_inbound (theirs to us); tcp_frames has the
// bytes.

#include <memory>

#include "runtime/transport.h"

namespace qlab::runtime {

// Endpoints, attempts and refusals: as make_grpc_transport (runtime/real/grpc_transport.h). A peer
// whose process dies is down at once, one that is frozen or unplugged after at most 6 s (pings).
//
// stop() waits for the calls under way: their handler has to end by itself. The transport may be
// started again after it. Requires: stopped before destruction; `runtime` outlives it.
std::unique_ptr<Transport> make_tcp_transport(Runtime& runtime);

}  // namespace qlab::runtime
