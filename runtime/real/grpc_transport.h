#pragma once
// The transport over gRPC: one stream in each direction between two nodes, opened by the sender,
// and the control service on the same port.
//
// Three parts: grpc_link (our streams to peers), grpc_inbound (theirs to us), grpc_calls (tools).
// All of them run on the shard; one thread polls gRPC for it (grpc_pump).
//
// Source: wire/proto/peer.proto and control.proto.

#include <memory>

#include "runtime/transport.h"

namespace qlab::runtime {

// Endpoints of configured peers stay as configured; those learned from a peer's hello follow its
// latest one. `identity.listen.host` must be an address that peers can reach, as they are told it.
//
// A peer whose process dies is down at once, a host that is frozen or unplugged after about 4 s
// (keepalive). Attempts back off from 50 ms to 1 s, and start at once when the peer links to us.
//
// stop() waits for the calls under way: their handler has to end by itself. The transport may be
// started again after it. Requires: stopped before destruction; `runtime` outlives it.
std::unique_ptr<Transport> make_grpc_transport(Runtime& runtime);

}  // namespace qlab::runtime
