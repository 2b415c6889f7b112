#include "broker/control.h"

#include <control.pb.h>

namespace qlab::broker {
namespace {

void describe(const consensus::Status& status, control::Consensus& out) {
  out.set_role(std::string(status.role));
  out.set_epoch(status.epoch.value());
  out.set_leader(status.leader.value_or(no_node).value());
  out.set_commit(status.commit.value());
  out.set_last(status.last.index.value());
  control::Traffic& traffic = *out.mutable_traffic();
  traffic.set_messages_sent(static_cast<std::int64_t>(status.traffic.messages_sent));
  traffic.set_bytes_sent(static_cast<std::int64_t>(status.traffic.bytes_sent));
  traffic.set_messages_received(static_cast<std::int64_t>(status.traffic.messages_received));
  traffic.set_bytes_received(static_cast<std::int64_t>(status.traffic.bytes_received));
  traffic.set_syncs(static_cast<std::int64_t>(status.traffic.syncs));
}

void describe(const metadata::Broker& broker, control::Broker& out) {
  out.set_id(broker.id.value());
  out.set_endpoint(runtime::Endpoint{broker.host, broker.port}.to_string());
  out.set_fenced(broker.fenced);
  out.set_epoch(broker.epoch.value());
}

void describe(const Partitions::View& view, control::Partition& out) {
  out.set_topic(view.partition.topic);
  out.set_partition(view.partition.partition.value());
  out.set_leader(view.state.leader.value());
  out.set_leader_epoch(view.state.leader_epoch.value());
  out.set_partition_epoch(view.state.partition_epoch);
  for (const NodeId replica : view.state.replicas) out.add_replicas(replica.value());
  for (const NodeId member : view.state.isr) out.add_isr(member.value());
  out.set_log_start(view.log_start.value());
  out.set_log_end(view.log_end.value());
  out.set_durable_end(view.durable_end.value());
  out.set_high_watermark(view.high_watermark.value());
}

}  // namespace

Result<bool> wants_partitions(const std::string& request) {
  control::StatusRequest message;
  if (!message.ParseFromString(request)) {
    return fail(Errc::corrupt, "this is no StatusRequest");
  }
  return message.partitions();
}

std::string encode_status(const NodeView& view, const std::vector<Partitions::View>& partitions) {
  control::StatusReply reply;
  reply.set_node_id(view.config.node.value());
  reply.set_cluster_id(view.config.cluster_id);
  reply.set_ready(view.is_ready);
  if (view.config.is_controller) describe(view.plane.consensus(), *reply.mutable_consensus());
  reply.set_controller_active(view.plane.is_active());
  reply.set_controller_epoch(view.plane.active_epoch().value_or(Epoch{0}).value());
  reply.set_metadata_offset(view.plane.applied().value());
  reply.set_replica_count(static_cast<std::int64_t>(view.replica_count));
  for (const auto& [id, broker] : view.image.brokers()) describe(broker, *reply.add_brokers());
  for (const Partitions::View& partition : partitions) {
    describe(partition, *reply.add_partitions());
  }
  return reply.SerializeAsString();
}

}  // namespace qlab::broker
