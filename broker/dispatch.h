#pragma once
// Which handler serves which request; what is not here is not advertised.

#include <span>

#include "broker/cluster_view.h"
#include "broker/config.h"
#include "broker/connection.h"
#include "broker/control_plane.h"
#include "broker/lifecycle.h"
#include "broker/partitions.h"
#include "broker/producer_ids.h"
#include "replication/fetch_sessions.h"

namespace qlab::broker {

// What handlers work with. All of it outlives every request.
// Thread: the home shard.
struct Services {
  runtime::Runtime& runtime;
  const NodeConfig& config;
  ClusterView& cluster;
  controller::Controller& controller;
  ControlPlane& plane;
  Partitions& partitions;
  ProducerIds& producer_ids;
  const Lifecycle& lifecycle;
  replication::FetchSessions& fetch_sessions;
  Time no_space_said_at{};  // When a full disk was logged last; the epoch: never.
};

// Each answers one API (handlers/<api>.cc) with a whole frame; an empty one is not sent.
// Errors: corrupt, for a body that does not decode; others when the client is better served by a
// closed connection.
using Handler = Task<Result<Bytes>> (*)(Services& services, Request request);

// The versions that an ApiVersions response says of each API that is served, by ascending key.
std::vector<wire::ApiInfo> served_apis();

class Dispatch final : public RequestHandler {
 public:
  explicit Dispatch(Services& services) : services_(services) {}

  bool may_overlap(const wire::RequestHeader& header) const override {
    return header.api_key == wire::ApiKey::produce;
  }
  bool may_be_held(const wire::RequestHeader& header) const override {
    return header.api_key == wire::ApiKey::fetch;
  }
  // Errors: unsupported, for an API or a version that is not served; those of the handler.
  Task<Result<Bytes>> handle(Request request) override;

 private:
  Services& services_;
};

}  // namespace qlab::broker
