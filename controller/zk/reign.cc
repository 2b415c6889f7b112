#include "controller/zk/reign.h"

#include "common/logging.h"
#include "controller/administer.h"
#include "runtime/trace.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;

namespace {

// Of more changes at a time only their number is told.
constexpr std::int64_t traced_leaders_max = 16;

}  // namespace

Reign::Reign(runtime::Runtime& runtime, std::shared_ptr<Session> session, const ZkOptions& options,
             Send send, Office office, Post post, runtime::Gate& gate)
    : runtime_(runtime),
      session_(std::move(session)),
      options_(options),
      office_(office),
      post_(std::move(post)),
      channels_(runtime, options, std::move(send), gate),
      batch_(context_, options, office.epoch,
             [this](NodeId broker, std::vector<TopicPartition> asked, ByteView response) {
               note_deleted(broker, std::move(asked), response);
             }),
      decided_(std::make_shared<runtime::Event>(runtime)) {}

void Reign::end() {
  is_over_ = true;
  is_active_ = false;
  channels_.close();
  decided_->notify_all();
}

// The answer comes outside of any event, and is worked off as one.
void Reign::note_deleted(NodeId broker, std::vector<TopicPartition> asked, ByteView response) {
  auto decoded = decode_newest<wire::StopReplicaResponse>(response);
  if (!decoded) {
    log(LogLevel::warn, "controller", "broker {} answers StopReplica with {}; ignoring", broker,
        decoded.error().message());
    return;
  }
  post_("replicas deleted",
        [broker, asked = std::move(asked), decoded = std::move(*decoded)](Reign& reign) {
          return reign.on_replicas_deleted(broker, asked, decoded);
        });
}

Result<const LiveBroker*> Reign::known(NodeId broker, BrokerEpoch epoch) const {
  const auto found = context_.brokers.find(broker);
  if (found == context_.brokers.end()) {
    return fail(Errc::fenced, "broker {} is not registered", broker);
  }
  if (found->second.epoch != epoch) {
    return fail(Errc::fenced, "broker {} is registered with epoch {}, not {}", broker,
                found->second.epoch, epoch);
  }
  return &found->second;
}

void Reign::tell_all(const Partitions& partitions) {
  batch_.add_update_metadata(context_.live_brokers());
  for (const PartitionRef ref : partitions) batch_.add_update_metadata(ref);
}

void Reign::tell_that_is_all() {
  if (knows_all_topics_) batch_.close_metadata();
}

Task<Result<void>> Reign::delete_all(std::vector<std::string> paths) {
  const Session::Make make = [&paths, this](std::size_t i) {
    return fence(delete_request(paths[i]));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const FencedReply gone, decode_fenced(reply));
    if (gone.error == ErrorCode::ok || gone.error == ErrorCode::no_node) return {};
    return fail(Errc::invalid, "znode {} cannot be deleted: {}", paths[i],
                wire::keeper::name_of(gone.error));
  };
  co_return co_await session_->call_all(paths.size(), make, take);
}

void Reign::send_batch() {
  const RequestCounts sent = batch_.send(channels_);
  if (sent.requests() == 0) return;
  sent_.add(sent);
  runtime_.trace().emit("control_requests_sent",
                        {{"leader_and_isr", sent.leader_and_isr},
                         {"update_metadata", sent.update_metadata},
                         {"stop_replica", sent.stop_replica},
                         {"leader_and_isr_bytes", sent.leader_and_isr_bytes},
                         {"update_metadata_bytes", sent.update_metadata_bytes},
                         {"stop_replica_bytes", sent.stop_replica_bytes}});
}

Reign::Batch Reign::trace_decided(const Partitions& partitions,
                                  const std::vector<znodes::StateValue>& states) {
  Batch batch;
  batch.number = ++batches_;
  batch.states = static_cast<std::int64_t>(states.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    batch.leaders += states[i].leader != partitions[i].get().leader ? 1 : 0;
  }
  runtime_.trace().emit("metadata_decided", {{"epoch", office_.epoch},
                                             {"batch", batch.number},
                                             {"records", batch.states},
                                             {"leaders", batch.leaders}});
  if (batch.leaders > traced_leaders_max) return batch;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const PartitionRef ref = partitions[i];
    if (states[i].leader == ref.get().leader) continue;
    runtime_.trace().emit("partition_change_decided",
                          {{"topic", std::string_view(ref.topic->name)},
                           {"partition", ref.index.value()},
                           {"leader", states[i].leader.value()},
                           {"leader_epoch", states[i].leader_epoch.value()}});
  }
  return batch;
}

void Reign::trace_committed(const Batch& batch, const Partitions& written) {
  const auto count = static_cast<std::int64_t>(written.size());
  states_written_ += count;
  runtime_.trace().emit("metadata_committed", {{"epoch", office_.epoch},
                                               {"batch", batch.number},
                                               {"records", count},
                                               {"leaders", batch.leaders},
                                               {"entries", count},
                                               {"bytes", batch.bytes},
                                               {"offset", -1}});
  if (batch.leaders > traced_leaders_max || batch.leaders == 0) return;
  for (const PartitionRef ref : written) {
    runtime_.trace().emit("partition_change_committed",
                          {{"topic", std::string_view(ref.topic->name)},
                           {"partition", ref.index.value()},
                           {"leader", ref.get().leader.value()},
                           {"leader_epoch", ref.get().leader_epoch.value()}});
  }
}

Task<Result<ProducerIdBlock>> Reign::allocate_producer_ids(NodeId broker, BrokerEpoch epoch) {
  CO_TRY_VOID(known(broker, epoch));
  std::string path(znodes::producer_ids);
  for (;;) {
    CO_TRY(const auto found, co_await session_->get(path, false));
    znodes::ProducerIdsValue block;
    if (found) {
      CO_TRY(block, znodes::decode_producer_ids(found->data));
    }
    block.broker = broker;
    block.first = block.last + 1;
    block.last = block.first + producer_id_block - 1;
    const std::string value = znodes::producer_ids_value(block);
    KeeperRequest write =
        fence(found ? set_request(path, value, found->stat.version) : create_request(path, value));
    CO_TRY(const ClientReply reply, co_await session_->call(std::move(write)));
    CO_TRY(const FencedReply written, decode_fenced(reply));
    // Another write than ours, or ours whose answer was lost: those ids are given to nobody.
    if (written.error != ErrorCode::ok) continue;
    co_return ProducerIdBlock{ProducerId{block.first}, producer_id_block};
  }
}

}  // namespace qlab::controller
