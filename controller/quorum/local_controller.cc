#include "controller/quorum/local_controller.h"

namespace qlab::controller {

Result<void> LocalController::check_active() const {
  if (active_ != nullptr && active_->is_active()) return {};
  return fail(Errc::not_leader, "node {} is not the active controller", self_);
}

Task<Result<BrokerEpoch>> LocalController::register_broker(Registration registration, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->register_broker(std::move(registration));
}

Task<Result<HeartbeatReply>> LocalController::heartbeat(Heartbeat heartbeat, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->heartbeat(heartbeat);
}

Task<Result<std::vector<TopicOutcome>>> LocalController::create_topics(std::vector<NewTopic> topics,
                                                                       bool validate_only, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->create_topics(std::move(topics), validate_only);
}

Task<Result<std::vector<TopicOutcome>>> LocalController::delete_topics(
    std::vector<std::string> names, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->delete_topics(std::move(names));
}

Task<Result<std::vector<AlterationOutcome>>> LocalController::alter_partition(
    AlterPartition request, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->alter_partition(std::move(request));
}

Task<Result<ProducerIdBlock>> LocalController::allocate_producer_ids(NodeId broker,
                                                                     BrokerEpoch epoch, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->allocate_producer_ids(broker, epoch);
}

Task<Result<Bytes>> LocalController::administer(wire::ApiKey api, Bytes request, Time) {
  CO_TRY_VOID(check_active());
  co_return co_await active_->administer(static_cast<std::int16_t>(api), std::move(request));
}

}  // namespace qlab::controller
