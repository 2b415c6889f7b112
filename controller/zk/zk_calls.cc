// The part of the zk controller that brokers and clients call.

#include "common/logging.h"
#include "controller/administer.h"
#include "controller/zk/reign.h"
#include "controller/zk/zk_controller.h"
#include "controller/zk/znodes.h"
#include "wire/kafka/controlled_shutdown.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;

template <class T>
Task<void> ZkController::answer(std::function<Task<Result<T>>(Reign& reign)> work,
                                std::shared_ptr<std::optional<Result<T>>> slot) {
  const std::shared_ptr<Reign> reign = reign_;
  if (!is_active()) {
    slot->emplace(fail(Errc::not_leader, "this node is not the active controller any more"));
    co_return;
  }
  auto outcome = co_await work(*reign);
  const bool is_moved = !outcome && outcome.error().code == Errc::not_leader;
  // What was under way may have been written or not.
  if (!outcome && outcome.error().code == Errc::closed) {
    outcome = fail(Errc::unknown_outcome, "the controller's session ended on the way");
  }
  slot->emplace(std::move(outcome));
  if (is_moved && reign == reign_) co_await resign();
}

template <class T>
Task<Result<T>> ZkController::decide(std::function<Task<Result<T>>(Reign& reign)> work,
                                     Time deadline) {
  if (!is_active()) co_return fail(Errc::not_leader, "this node is not the active controller");
  auto slot = std::make_shared<std::optional<Result<T>>>();
  const bool taken =
      events_.put([this, work = std::move(work), slot] { return answer<T>(work, slot); });
  if (!taken) co_return fail(Errc::overloaded, "the controller has too many events to work off");
  while (!slot->has_value()) {
    if (stopping_) co_return fail(Errc::closed, "the controller was stopped");
    if (runtime_.now() >= deadline) {
      co_return fail(Errc::timed_out, "the controller did not come to it in time");
    }
    co_await events_.progress().wait_until(deadline);
  }
  co_return std::move(**slot);
}

Task<Result<BrokerEpoch>> ZkController::register_broker(Registration registration, Time deadline) {
  for (;;) {
    if (stopping_) co_return fail(Errc::closed, "the controller was stopped");
    const std::shared_ptr<Session> session = session_;
    if (session && session->is_connected()) break;
    if (runtime_.now() >= deadline) {
      co_return fail(Errc::timed_out, "there is no session with a keeper");
    }
    co_await changed_.wait_until(std::min(deadline, runtime_.now() + options_.retry_backoff));
  }
  auto registered = co_await create_registration(std::move(registration));
  trace_traffic();
  co_return registered;
}

Task<Result<BrokerEpoch>> ZkController::create_registration(Registration registration) {
  const std::shared_ptr<Session> session = session_;
  std::string path = znodes::broker(registration.broker);
  const znodes::BrokerValue at{registration.endpoint.host, registration.endpoint.port,
                               registration.rack};
  const std::string value = znodes::broker_value(at, runtime_.wall_now());
  for (const std::string& parent : znodes::top_level()) {
    if (!std::string_view(path).starts_with(parent + "/")) continue;
    KeeperRequest above = create_request(parent, "");
    CO_TRY_VOID(co_await session->call(std::move(above)));
  }
  for (;;) {
    KeeperRequest create = create_request(path, value, true);
    CO_TRY_VOID(co_await session->call(std::move(create)));
    CO_TRY(const auto found, co_await session->get(path, false));
    if (!found) continue;  // Whoever had it has gone since.
    const std::int64_t owner = found->stat.ephemeral_owner;
    if (owner == session->id()) {
      registered_ = Registered{owner, BrokerEpoch{found->stat.czxid}};
      co_return registered_->epoch;
    }
    if (!old_sessions_.contains(owner)) {
      co_return fail(Errc::exists, "broker {} is registered by the session {:x}, which lives",
                     registration.broker, static_cast<std::uint64_t>(owner));
    }
    // KAFKA-7165: it is ours, and its session is known to be over.
    KeeperRequest gone = delete_request(path);
    CO_TRY_VOID(co_await session->call(std::move(gone)));
  }
}

Task<Result<HeartbeatReply>> ZkController::heartbeat(Heartbeat heartbeat, Time deadline) {
  if (stopping_) co_return fail(Errc::closed, "the controller was stopped");
  const std::shared_ptr<Session> session = session_;
  if (!registered_ || registered_->epoch != heartbeat.epoch || session->is_over() ||
      registered_->session != session->id()) {
    co_return fail(Errc::fenced, "the session that registered broker {} with epoch {} is over",
                   heartbeat.broker, heartbeat.epoch);
  }
  if (!session->is_connected()) {
    co_return fail(Errc::timed_out, "there is no connection to a keeper");
  }
  HeartbeatReply reply;
  reply.caught_up = true;
  reply.fenced = heartbeat.want_fence;
  if (heartbeat.want_shutdown) {
    CO_TRY(reply.may_shut_down, co_await ask_to_go(heartbeat.epoch, deadline));
  }
  co_return reply;
}

Task<Result<bool>> ZkController::ask_to_go(BrokerEpoch epoch, Time deadline) {
  wire::ControlledShutdownRequest request;
  request.broker_id = options_.self;
  request.broker_epoch = epoch;
  Bytes body = encode_newest(request);
  Bytes answered;
  if (is_active()) {
    CO_TRY(answered, co_await controlled_shutdown(std::move(body), deadline));
  } else {
    if (!active_) co_return fail(Errc::not_leader, "there is no active controller");
    const NodeId to = *active_;
    CO_TRY(answered,
           co_await send_(to, wire::ApiKey::controlled_shutdown, std::move(body), deadline));
  }
  CO_TRY(const auto response, decode_newest<wire::ControlledShutdownResponse>(answered));
  if (response.error_code == wire::KafkaError::stale_broker_epoch) {
    co_return fail(Errc::fenced, "the controller knows another epoch of broker {}", options_.self);
  }
  co_return response.error_code == wire::KafkaError::none&& response.remaining_partitions.empty();
}

Task<Result<Bytes>> ZkController::controlled_shutdown(Bytes request, Time deadline) {
  CO_TRY(const auto message, decode_newest<wire::ControlledShutdownRequest>(request));
  using Left = std::vector<TopicPartition>;
  std::function<Task<Result<Left>>(Reign&)> work = [message](Reign& reign) {
    return reign.shut_down(message.broker_id, message.broker_epoch);
  };
  auto left = co_await decide<Left>(std::move(work), deadline);
  wire::ControlledShutdownResponse response;
  if (!left && left.error().code == Errc::fenced) {
    response.error_code = wire::KafkaError::stale_broker_epoch;
    co_return encode_newest(response);
  }
  if (!left) co_return fail(left.error());
  for (TopicPartition& one : *left) {
    response.remaining_partitions.push_back({std::move(one.topic), one.partition});
  }
  co_return encode_newest(response);
}

Task<Result<std::vector<TopicOutcome>>> ZkController::create_topics(std::vector<NewTopic> topics,
                                                                    bool validate_only,
                                                                    Time deadline) {
  if (!is_active()) co_return fail(Errc::not_leader, "this node is not the active controller");
  const std::shared_ptr<Reign> reign = reign_;
  co_return co_await reign->create_topics(std::move(topics), validate_only, deadline);
}

Task<Result<std::vector<TopicOutcome>>> ZkController::delete_topics(std::vector<std::string> names,
                                                                    Time deadline) {
  if (!is_active()) co_return fail(Errc::not_leader, "this node is not the active controller");
  const std::shared_ptr<Reign> reign = reign_;
  co_return co_await reign->delete_topics(std::move(names), deadline);
}

Task<Result<std::vector<AlterationOutcome>>> ZkController::alter_partition(AlterPartition request,
                                                                           Time deadline) {
  using Outcomes = std::vector<AlterationOutcome>;
  std::function<Task<Result<Outcomes>>(Reign&)> work =
      [request = std::move(request)](Reign& reign) { return reign.alter_partition(request); };
  co_return co_await decide<Outcomes>(std::move(work), deadline);
}

Task<Result<ProducerIdBlock>> ZkController::allocate_producer_ids(NodeId broker, BrokerEpoch epoch,
                                                                  Time deadline) {
  std::function<Task<Result<ProducerIdBlock>>(Reign&)> work = [broker, epoch](Reign& reign) {
    return reign.allocate_producer_ids(broker, epoch);
  };
  co_return co_await decide<ProducerIdBlock>(std::move(work), deadline);
}

Task<Result<Bytes>> ZkController::administer(wire::ApiKey api, Bytes request, Time deadline) {
  std::function<Task<Result<Bytes>>(Reign&)> work =
      [api, request = std::move(request)](Reign& reign) { return reign.administer(api, request); };
  co_return co_await decide<Bytes>(std::move(work), deadline);
}

}  // namespace qlab::controller
