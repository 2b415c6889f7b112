#pragma once
// What the transport brings goes to whom it is for: the control plane, or the partitions' groups.
//
// Thread: the home shard.

#include "broker/control_plane.h"
#include "broker/partitions.h"

namespace qlab::broker {

class PeerRoutes final : public runtime::TransportHandler {
 public:
  // Requires: both outlive it.
  PeerRoutes(ControlPlane& plane, Partitions& partitions)
      : plane_(plane), partitions_(partitions) {}

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    if (channel == runtime::Channel::partition_groups) {
      return partitions_.on_group_message(from, link, std::move(payload));
    }
    plane_.on_message(from, link, channel, std::move(payload));
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override {
    plane_.on_link_up(peer, link);
    partitions_.on_link_up(peer, link);
  }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    plane_.on_link_down(peer, link);
    partitions_.on_link_down(peer, link);
  }

 private:
  ControlPlane& plane_;
  Partitions& partitions_;
};

}  // namespace qlab::broker
