// Failover: everything is read back from the znodes, and every broker is told of everything.
//
// Cost: a read per broker, topic and partition, `in_flight` of them at a time; a write per
// partition whose leader or in-sync replica is gone; requests of all partitions to all brokers.
// Source: Kafka 3.9, KafkaController.onControllerFailover, initializeControllerContext.

#include "common/logging.h"
#include "controller/zk/reign.h"
#include "runtime/trace.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;

Task<Result<void>> Reign::take_over() {
  CO_TRY_VOID(co_await read_brokers());
  std::string topics_path(znodes::topics);
  CO_TRY(auto names, co_await session_->children(topics_path, true));
  CO_TRY_VOID(co_await read_topics(std::move(names)));
  runtime_.trace().emit("reload_topics_read",
                        {{"topics", static_cast<std::int64_t>(context_.topics().size())},
                         {"partitions", static_cast<std::int64_t>(context_.partition_count())},
                         {"bytes", std::exchange(read_bytes_, 0)}});

  Partitions all;
  all.reserve(context_.partition_count());
  context_.for_each([&](PartitionRef ref) { all.push_back(ref); });
  CO_TRY_VOID(co_await read_states(all));
  std::int64_t with_state = 0;
  for (const PartitionRef ref : all) with_state += ref.get().has_state() ? 1 : 0;
  runtime_.trace().emit("reload_states_read",
                        {{"partitions", with_state}, {"bytes", std::exchange(read_bytes_, 0)}});

  CO_TRY_VOID(co_await read_deletions());
  for (const auto& [id, broker] : context_.brokers) channels_.add(id, broker.epoch);
  tell_all({});
  send_batch();
  CO_TRY_VOID(co_await start_replicas());
  CO_TRY_VOID(co_await start_partitions());
  // Brokers may know topics that were deleted by a controller who died before it told them.
  tell_all({});
  tell_that_is_all();
  send_batch();
  runtime_.trace().emit("reload_decided", {{"states_written", states_written_}});
  const RequestCounts sent = std::exchange(sent_, {});
  runtime_.trace().emit("reload_sent", {{"leader_and_isr", sent.leader_and_isr},
                                        {"update_metadata", sent.update_metadata},
                                        {"stop_replica", sent.stop_replica},
                                        {"leader_and_isr_bytes", sent.leader_and_isr_bytes},
                                        {"update_metadata_bytes", sent.update_metadata_bytes},
                                        {"stop_replica_bytes", sent.stop_replica_bytes}});
  channels_.when_drained([this, requests = sent.requests()] {
    runtime_.trace().emit("reload_answered", {{"requests", requests}});
  });
  if (is_over_) co_return fail(Errc::closed, "the reign has ended");
  is_active_ = true;
  runtime_.trace().emit("controller_active", {{"epoch", office_.epoch}});
  log(LogLevel::info, "controller", "active with epoch {}: {} brokers, {} topics, {} partitions",
      office_.epoch, context_.brokers.size(), context_.topics().size(), context_.partition_count());
  post_("reassignments", [](Reign& reign) { return reign.resume_moves(); });
  post_("deletions", [](Reign& reign) { return reign.resume_deletions(); });
  co_return Result<void>{};
}

Task<Result<std::map<NodeId, LiveBroker>>> Reign::registered_brokers() {
  std::string path(znodes::broker_ids);
  CO_TRY(const auto names, co_await session_->children(path, true));
  std::map<NodeId, LiveBroker> brokers;
  const Session::Make make = [&names](std::size_t i) {
    return get_request(fmt::format("{}/{}", znodes::broker_ids, names[i]));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    if (reply.error == ErrorCode::no_node) return {};  // It went just now; its watch tells.
    TRY(const Znode znode, decode_znode(reply));
    read_bytes_ += static_cast<std::int64_t>(znode.data.size());
    TRY(const auto id, znodes::decode_number(path, as_view(names[i])));
    TRY(const auto at, znodes::decode_broker(path, znode.data));
    brokers[NodeId{id}] = {NodeId{id}, BrokerEpoch{znode.stat.czxid}, at};
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(names.size(), make, take));
  co_return brokers;
}

Task<Result<void>> Reign::read_brokers() {
  CO_TRY(context_.brokers, co_await registered_brokers());
  runtime_.trace().emit("reload_brokers_read",
                        {{"brokers", static_cast<std::int64_t>(context_.brokers.size())},
                         {"bytes", std::exchange(read_bytes_, 0)}});
  co_return Result<void>{};
}

// Each topic's znode is watched from here on.
Task<Result<void>> Reign::read_topics(std::vector<std::string> names) {
  const Session::Make make = [&names](std::size_t i) {
    return get_request(znodes::topic(names[i]), true);
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    if (reply.error == ErrorCode::no_node || context_.topic(names[i]) != nullptr) return {};
    TRY(const Znode znode, decode_znode(reply));
    read_bytes_ += static_cast<std::int64_t>(znode.data.size());
    const auto value = znodes::decode_topic(znodes::topic(names[i]), znode.data);
    if (!value || context_.topic(value->id) != nullptr) {
      // The others are to be served; this one shows again once its znode is put right.
      log(LogLevel::error, "controller", "topic '{}' is left out: {}", names[i],
          value ? "its id is another topic's" : value.error().message());
      knows_all_topics_ = false;
      return {};
    }
    context_.add_topic(names[i], *value, znode.stat.version);
    return {};
  };
  co_return co_await session_->call_all(names.size(), make, take);
}

Task<Result<void>> Reign::read_states(Partitions partitions) {
  const Session::Make make = [&partitions](std::size_t i) {
    return get_request(znodes::state(partitions[i].topic->name, partitions[i].index));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    if (reply.error == ErrorCode::no_node) return {};
    TRY(const Znode znode, decode_znode(reply));
    read_bytes_ += static_cast<std::int64_t>(znode.data.size());
    const PartitionRef ref = partitions[i];
    TRY(const auto state,
        znodes::decode_state(znodes::state(ref.topic->name, ref.index), znode.data));
    if (state.controller_epoch > office_.epoch) {
      return fail(Errc::not_leader, "partition {}-{} was decided by the controller of epoch {}",
                  ref.topic->name, ref.index, state.controller_epoch);
    }
    context_.note_state(ref, state, znode.stat.version);
    const auto leader = context_.brokers.find(state.leader);
    ref.get().leader_came_back =
        leader != context_.brokers.end() && BrokerEpoch{znode.stat.mzxid} < leader->second.epoch;
    return {};
  };
  co_return co_await session_->call_all(partitions.size(), make, take);
}

// Marks the topics that are to be deleted, and forgets requests for those that are not there.
Task<Result<void>> Reign::read_deletions() {
  std::string path(znodes::deletions);
  CO_TRY(const auto names, co_await session_->children(path, true));
  std::vector<std::string> unknown;
  for (const std::string& name : names) {
    ZkTopic* const topic = context_.topic(name);
    if (topic != nullptr) topic->to_be_deleted = true;
    if (topic == nullptr) unknown.push_back(znodes::deletion(name));
  }
  co_return co_await delete_all(std::move(unknown));
}

}  // namespace qlab::controller
