#include "controller/routed_controller.h"

namespace qlab::controller {
namespace {

// Between two tries to find who decides. Whoever waits hears of a new one at once (leader_changed);
// one that does not decide yet is asked again soon, and ever later.
constexpr Duration retry_backoff_min = std::chrono::milliseconds(1);
constexpr Duration retry_backoff_max = std::chrono::milliseconds(20);

Error no_controller(std::int16_t api_key) {
  return Error{Errc::timed_out,
               fmt::format("no active controller answered call {} in time", api_key)};
}

}  // namespace

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
  Duration backoff = retry_backoff_min;
  while (!router_.is_stopped() && runtime_.now() < deadline) {
    const std::optional<NodeId> leader = local_.active();
    if (leader) {
      Result<Bytes> reply = co_await router_.call(*leader, api_key, body, deadline);
      if (reply) co_return reply;
      const Errc code = reply.error().code;
      const bool not_done = code == Errc::not_leader || code == Errc::overloaded;
      const bool open = code == Errc::unknown_outcome || code == Errc::closed;
      if (!not_done && !(open && repeat == Repeat::safe)) co_return reply;
    }
    const Time due = std::min(deadline, runtime_.now() + backoff);
    const bool is_changed = co_await changed_.wait_until(due);
    backoff = is_changed ? retry_backoff_min : std::min(2 * backoff, retry_backoff_max);
  }
  if (router_.is_stopped()) co_return fail(Errc::closed, "this node is stopping");
  co_return fail(no_controller(api_key));
}

}  // namespace qlab::controller
