// The part of the active controller that has to do with brokers: they come, are heard of, and go.

#include "controller/quorum/active_controller.h"
#include "runtime/trace.h"

namespace qlab::controller {

Task<Result<BrokerEpoch>> ActiveController::register_broker(Registration registration) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  const NodeId id = registration.broker;
  const bool is_heard_of = sessions_.is_alive(id, runtime_.now());
  CO_TRY(auto decision, decide_registration(*decided_, registration, is_heard_of));
  sessions_.touch(id, runtime_.now());
  if (!decision.records.empty() && decided_->broker(id) != nullptr) {
    auto farewell = decide_farewell(*decided_, id, options_, has_kept_log(*decided_, registration));
    CO_TRY_VOID(co_await remove(id, std::move(farewell)));
    if (!epoch_)
      co_return fail(Errc::not_leader, "this node is not the active controller any more");
    // The same call may have been made twice, and the other one may have come first.
    CO_TRY(decision, decide_registration(*decided_, registration, false));
  }
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  co_return decision.answer;
}

Task<Result<HeartbeatReply>> ActiveController::heartbeat(Heartbeat heartbeat) {
  CO_TRY(const metadata::Broker* decided, known(heartbeat.broker, heartbeat.epoch));
  sessions_.touch(heartbeat.broker, runtime_.now());
  sessions_.note_offset(heartbeat.broker, heartbeat.metadata_offset);
  HeartbeatReply reply;
  const metadata::Broker* committed = publisher_.image()->broker(heartbeat.broker);
  reply.caught_up = committed != nullptr && committed->epoch == heartbeat.epoch &&
                    heartbeat.metadata_offset >= committed->registered_at;
  if (heartbeat.want_shutdown) {
    const bool is_fenced = decided->fenced;
    CO_TRY(reply.may_shut_down, co_await hand_over(heartbeat.broker));
    if (reply.may_shut_down && !is_fenced) co_await fence(heartbeat.broker, "shutdown");
  } else if (decided->fenced && !decided->shutting_down && reply.caught_up &&
             !heartbeat.want_fence && !leaving_.contains(heartbeat.broker)) {
    // One that is shutting down comes back as another incarnation, whatever was still on its way.
    auto decision = decide_unfence(*decided_, heartbeat.broker, options_);
    CO_TRY_VOID(co_await carry_out(std::move(decision)));
  } else {
    CO_TRY_VOID(co_await commit({}));
  }
  const metadata::Broker* now = publisher_.image()->broker(heartbeat.broker);
  reply.fenced = now == nullptr || now->epoch != heartbeat.epoch || now->fenced;
  co_return reply;
}

Task<Result<bool>> ActiveController::hand_over(NodeId broker) {
  if (leaving_.contains(broker)) co_return false;  // An earlier heartbeat sees to it.
  auto decision = decide_shutdown(*decided_, broker, options_);
  CO_TRY(const std::size_t moved, co_await remove(broker, std::move(decision)));
  if (moved > 0) {
    handed_over_[broker] = publisher_.image()->offset();
    runtime_.trace().emit("broker_handed_over", {{"broker", broker.value()},
                                                 {"records", static_cast<std::int64_t>(moved)},
                                                 {"offset", handed_over_[broker].value()}});
    co_return false;
  }
  // The others are to know the new leaders before the old one is gone (KIP-631).
  co_return all_have(handed_over_[broker], broker);
}

bool ActiveController::all_have(LogIndex offset, NodeId except) const {
  for (const auto& [id, broker] : publisher_.image()->brokers()) {
    if (id != except && broker.is_active() && sessions_.offset_of(id) < offset) return false;
  }
  return true;
}

Task<Result<std::size_t>> ActiveController::walk(PartitionWalk walk) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  const Epoch epoch = *epoch_;
  std::size_t count = 0;
  while (!walk.done()) {
    metadata::Records records;
    walk.next(*decided_, options_.records_per_move, records);
    count += records.size();
    if (records.empty()) {
      co_await runtime::yield(runtime_);
    } else {
      CO_TRY_VOID(co_await commit(std::move(records)));
    }
    if (epoch_ != epoch) {
      co_return fail(Errc::not_leader, "the controller leads epoch {} no longer", epoch);
    }
  }
  co_return count;
}

Task<Result<std::size_t>> ActiveController::carry_out(LongDecision decision) {
  const std::size_t count = decision.records.size();
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  CO_TRY(const std::size_t rest, co_await walk(std::move(decision.rest)));
  co_return count + rest;
}

Task<Result<std::size_t>> ActiveController::remove(NodeId broker, LongDecision decision) {
  const auto mark = leaving_.insert(broker);
  auto done = co_await carry_out(std::move(decision));
  leaving_.erase(mark);
  co_return done;
}

Task<void> ActiveController::watch_sessions(Epoch epoch) {
  while (epoch_ == epoch) {
    for (NodeId broker : sessions_.take_expired(runtime_.now())) {
      gate_.start([this, broker] { return fence(broker, "session_timeout"); });
    }
    co_await progress_.wait_until(sessions_.next_expiry(runtime_.now()));
  }
}

Task<void> ActiveController::fence(NodeId broker, std::string_view reason) {
  if (!epoch_) co_return;
  const metadata::Broker* known = decided_->broker(broker);
  if (known == nullptr || known->fenced) co_return;
  runtime_.trace().emit("broker_fenced", {{"broker", broker.value()}, {"reason", reason}});
  auto decision = decide_fence(*decided_, broker, options_);
  const auto fenced = co_await remove(broker, std::move(decision));
  // Whoever leads next starts sessions of its own and finds out for itself.
  if (!fenced) {
    runtime_.trace().emit("broker_fencing_failed", {{"broker", broker.value()}});
    co_return;
  }
  runtime_.trace().emit("broker_removed", {{"broker", broker.value()},
                                           {"reason", reason},
                                           {"records", static_cast<std::int64_t>(*fenced)},
                                           {"offset", publisher_.image()->offset().value()}});
}

Task<void> ActiveController::finish_what_is_left(Epoch epoch, metadata::Records unfinished) {
  if (epoch_ != epoch) co_return;
  auto walks = walks_left(*decided_, options_);
  bool goes_on = unfinished.empty();
  if (!goes_on) {
    const auto cleaned = co_await commit(std::move(unfinished));
    goes_on = cleaned.has_value();
  }
  for (std::size_t w = 0; goes_on && epoch_ == epoch && w < walks.size(); ++w) {
    const auto walked = co_await walk(std::move(walks[w]));
    goes_on = walked.has_value();
  }
}

Task<void> ActiveController::rebalance(Epoch epoch) {
  Time due = runtime_.now() + options_.rebalance_interval;
  while (epoch_ == epoch) {
    co_await progress_.wait_until(due);
    if (epoch_ != epoch) co_return;
    if (runtime_.now() < due) continue;
    due = runtime_.now() + options_.rebalance_interval;
    if (!options_.auto_rebalance || !is_imbalanced(*decided_, options_)) continue;
    auto preferred = preferred_walk(*decided_, options_);
    const auto walked = co_await walk(std::move(preferred));
    if (!walked) co_return;
  }
}

}  // namespace qlab::controller
