#include "controller/quorum/routed_controller.h"

#include "runtime/transport.h"

namespace qlab::controller {
namespace {

// Between two tries to find who decides. An election takes tens of milliseconds at the least.
constexpr Duration retry_backoff = std::chrono::milliseconds(20);
// Calls of others that are being answered at a time; more are dropped and time out at the caller.
constexpr std::size_t calls_served_max = 4096;

Error no_controller(std::int16_t api_key) {
  return Error{Errc::timed_out,
               fmt::format("no active controller answered call {} in time", api_key)};
}

}  // namespace

RoutedController::RoutedController(runtime::Runtime& runtime, NodeId self,
                                   const MetadataMachine& machine, ActiveController* active)
    : runtime_(runtime), self_(self), machine_(machine), active_(active), gate_(runtime) {}

Task<Result<BrokerEpoch>> RoutedController::register_broker(Registration registration,
                                                            Time deadline) {
  CO_TRY(const Bytes body, co_await call(broker_registration_key, encode_registration(registration),
                                         Repeat::safe, deadline));
  co_return decode_broker_epoch(body);
}

Task<Result<HeartbeatReply>> RoutedController::heartbeat(Heartbeat heartbeat, Time deadline) {
  CO_TRY(const Bytes body,
         co_await call(broker_heartbeat_key, encode_heartbeat(heartbeat), Repeat::safe, deadline));
  co_return decode_heartbeat_reply(body);
}

Task<Result<std::vector<TopicOutcome>>> RoutedController::create_topics(
    std::vector<NewTopic> topics, bool validate_only, Time deadline) {
  Bytes request = encode_creation(TopicCreation{std::move(topics), validate_only});
  CO_TRY(const Bytes body,
         co_await call(create_topics_key, std::move(request), Repeat::unsafe, deadline));
  co_return decode_created(body);
}

Task<Result<std::vector<TopicOutcome>>> RoutedController::delete_topics(
    std::vector<std::string> names, Time deadline) {
  CO_TRY(const Bytes body,
         co_await call(delete_topics_key, encode_deletion(names), Repeat::unsafe, deadline));
  co_return decode_deleted(body);
}

Task<Result<std::vector<AlterationOutcome>>> RoutedController::alter_partition(
    AlterPartition request, Time deadline) {
  // Safe: the partition epoch makes it a compare and swap.
  CO_TRY(const Bytes body,
         co_await call(alter_partition_key, encode_alteration(request), Repeat::safe, deadline));
  co_return decode_altered(body);
}

Task<Result<ProducerIdBlock>> RoutedController::allocate_producer_ids(NodeId broker,
                                                                      BrokerEpoch epoch,
                                                                      Time deadline) {
  // Safe: a block that was given out twice over is only lost, never shared.
  CO_TRY(const Bytes body,
         co_await call(allocate_producer_ids_key, encode_id_request({broker, epoch}), Repeat::safe,
                       deadline));
  co_return decode_id_block(body);
}

Task<Result<Bytes>> RoutedController::administer(wire::ApiKey api, Bytes request, Time deadline) {
  // All of them say what is to be, not what is to be added to it; but who asks twice to create
  // partitions is told that they are there already.
  const Repeat repeat = api == wire::ApiKey::create_partitions ? Repeat::unsafe : Repeat::safe;
  co_return co_await call(static_cast<std::int16_t>(api), std::move(request), repeat, deadline);
}

Task<Result<Bytes>> RoutedController::call(std::int16_t api_key, Bytes body, Repeat repeat,
                                           Time deadline) {
  while (!stopped_ && runtime_.now() < deadline) {
    const std::optional<NodeId> leader = machine_.leader();
    if (leader) {
      Result<Bytes> reply = co_await call_node(*leader, api_key, body, deadline);
      if (reply) co_return reply;
      const Errc code = reply.error().code;
      const bool not_done = code == Errc::not_leader || code == Errc::overloaded;
      const bool open = code == Errc::unknown_outcome || code == Errc::closed;
      if (!not_done && !(open && repeat == Repeat::safe)) co_return reply;
    }
    co_await runtime::sleep_until(runtime_, std::min(deadline, runtime_.now() + retry_backoff));
  }
  if (stopped_) co_return fail(Errc::closed, "this node is stopping");
  co_return fail(no_controller(api_key));
}

Task<Result<Bytes>> RoutedController::call_node(NodeId node, std::int16_t api_key, Bytes body,
                                                Time deadline) {
  if (node == self_) co_return co_await serve(api_key, std::move(body));

  const std::uint64_t id = ++last_call_;
  runtime::Completion<Result<Bytes>> completion(runtime_.executor());
  if (!runtime_.transport().send(node, runtime::Channel::controller_call,
                                 encode_call({id, api_key, std::move(body)}))) {
    co_return fail(Errc::not_leader, "node {} cannot be reached", node);
  }
  pending_.emplace(id, Pending{node, completion});
  const runtime::TimerId timer =
      runtime_.call_at(deadline, [this, id, api_key] { finish(id, fail(no_controller(api_key))); });
  Result<Bytes> reply = co_await completion.wait();
  runtime_.cancel(timer);
  co_return reply;
}

void RoutedController::finish(std::uint64_t id, Result<Bytes> reply) {
  const auto at = pending_.find(id);
  if (at == pending_.end()) return;
  auto completion = std::move(at->second.reply);
  pending_.erase(at);
  completion.set(std::move(reply));
}

void RoutedController::on_reply(NodeId, Bytes payload) {
  auto reply = decode_reply(payload);
  if (reply) finish(reply->id, std::move(reply->body));
}

void RoutedController::on_link_down(NodeId peer) {
  std::vector<std::uint64_t> broken;
  for (const auto& [id, pending] : pending_) {
    if (pending.to == peer) broken.push_back(id);
  }
  for (std::uint64_t id : broken) {
    finish(id, fail(Errc::unknown_outcome, "the link to node {} broke while a call was on its way",
                    peer));
  }
}

void RoutedController::on_call(NodeId from, Bytes payload) {
  auto call = decode_call(payload);
  if (!call || gate_.is_closed() || gate_.running() >= calls_served_max) return;
  gate_.start([this, from, request = std::move(*call)]() mutable {
    return answer(from, std::move(request));
  });
}

Task<void> RoutedController::answer(NodeId to, Call call) {
  Reply reply;
  reply.id = call.id;
  reply.body = co_await serve(call.api_key, std::move(call.body));
  runtime_.transport().send(to, runtime::Channel::controller_reply, encode_reply(reply));
}

Task<Result<Bytes>> RoutedController::serve(std::int16_t api_key, Bytes body) {
  if (active_ == nullptr || !active_->is_active()) {
    co_return fail(Errc::not_leader, "node {} is not the active controller", self_);
  }
  switch (api_key) {
    case broker_registration_key: {
      CO_TRY(Registration registration, decode_registration(body));
      CO_TRY(const BrokerEpoch epoch, co_await active_->register_broker(std::move(registration)));
      co_return encode_broker_epoch(epoch);
    }
    case broker_heartbeat_key: {
      CO_TRY(const Heartbeat heartbeat, decode_heartbeat(body));
      CO_TRY(const HeartbeatReply reply, co_await active_->heartbeat(heartbeat));
      co_return encode_heartbeat_reply(reply);
    }
    case create_topics_key: {
      CO_TRY(TopicCreation creation, decode_creation(body));
      CO_TRY(const auto outcomes,
             co_await active_->create_topics(std::move(creation.topics), creation.validate_only));
      co_return encode_created(outcomes);
    }
    case delete_topics_key: {
      CO_TRY(auto names, decode_deletion(body));
      CO_TRY(const auto outcomes, co_await active_->delete_topics(std::move(names)));
      co_return encode_deleted(outcomes);
    }
    case alter_partition_key: {
      CO_TRY(AlterPartition request, decode_alteration(body));
      CO_TRY(const auto outcomes, co_await active_->alter_partition(std::move(request)));
      co_return encode_altered(outcomes);
    }
    case allocate_producer_ids_key: {
      CO_TRY(const ProducerIdRequest request, decode_id_request(body));
      CO_TRY(const ProducerIdBlock block,
             co_await active_->allocate_producer_ids(request.broker, request.epoch));
      co_return encode_id_block(block);
    }
    default:
      co_return co_await active_->administer(api_key, std::move(body));
  }
}

Task<void> RoutedController::stop() {
  stopped_ = true;
  while (!pending_.empty()) {
    finish(pending_.begin()->first, fail(Errc::closed, "this node is stopping"));
  }
  co_await gate_.close();
}

}  // namespace qlab::controller
