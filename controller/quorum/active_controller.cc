#include "controller/quorum/active_controller.h"

#include <algorithm>

#include "common/check.h"
#include "controller/quorum/decision_trace.h"
#include "controller/quorum/topic_maker.h"

namespace qlab::controller {
namespace {

std::size_t new_replicas(const metadata::Records& records) {
  std::size_t replicas = 0;
  for (const metadata::Record& record : records) {
    const auto* made = std::get_if<metadata::PartitionRecord>(&record);
    if (made != nullptr) replicas += made->replicas.size();
  }
  return replicas;
}

}  // namespace

ActiveController::ActiveController(runtime::Runtime& runtime, const metadata::Publisher& publisher,
                                   ControllerOptions options)
    : runtime_(runtime),
      publisher_(publisher),
      options_(options),
      sessions_(options.session_timeout),
      progress_(runtime),
      gate_(runtime) {}

Task<void> ActiveController::stop() {
  epoch_.reset();
  progress_.notify_all();
  co_await gate_.close();
}

void ActiveController::activate(Epoch epoch) {
  if (gate_.is_closed()) return;
  epoch_ = epoch;
  decided_ = publisher_.image();
  decided_count_ = committed_count_ = 0;
  sessions_.clear();
  handed_over_.clear();
  for (const auto& [id, broker] : decided_->brokers()) {
    if (!broker.fenced) sessions_.touch(id, runtime_.now());
  }
  runtime_.trace().emit("controller_active", {{"epoch", epoch.value()}});
  gate_.start([this, epoch] { return watch_sessions(epoch); });
  // Decided here and now: what is forming when that task has its turn may be ours.
  gate_.start([this, epoch, unfinished = decide_cleanup(*decided_)] {
    return finish_what_is_left(epoch, unfinished);
  });
  gate_.start([this, epoch] { return rebalance(epoch); });
}

void ActiveController::deactivate(Epoch epoch) {
  if (epoch_ != epoch) return;
  epoch_.reset();
  decided_.reset();
  runtime_.trace().emit("controller_inactive", {{"epoch", epoch.value()}});
  progress_.notify_all();
}

Task<Result<void>> ActiveController::commit(metadata::Records records) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  if (records.empty()) co_return co_await settle();

  const Epoch epoch = *epoch_;
  const std::uint64_t count = ++decided_count_;
  // The log index is not known yet. Only a broker's registered_at depends on it, and that is read
  // from committed images.
  metadata::Delta unused;
  decided_ = std::make_shared<const metadata::Image>(
      decided_->replay(records, decided_->offset(), unused));
  DecisionTrace told(runtime_.trace(), epoch, count, records, *decided_);

  std::vector<Bytes> bodies;
  for (std::size_t at = 0; at < records.size(); at += options_.records_per_entry) {
    const std::size_t end = std::min(records.size(), at + options_.records_per_entry);
    bodies.push_back(metadata::encode_entry({records.begin() + static_cast<std::ptrdiff_t>(at),
                                             records.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  told.note_entries(bodies);
  const consensus::ProposeResult result = co_await driver_->propose(std::move(bodies), epoch);

  const bool still_active = epoch_ == epoch;
  if (result.fate == consensus::Fate::committed) {
    if (still_active) {
      committed_count_ = std::max(committed_count_, count);
      if (committed_count_ == decided_count_) decided_ = publisher_.image();
      progress_.notify_all();
    }
    told.committed(result.at.index);
    co_return Result<void>{};
  }
  // The decided image holds what the log does not: nothing that follows may be decided on it.
  if (still_active) {
    deactivate(epoch);
    driver_->resign(epoch);
  }
  if (result.fate == consensus::Fate::unknown) {
    co_return fail(Errc::unknown_outcome,
                   "the controller lost its leadership of epoch {} on the way", epoch);
  }
  co_return fail(Errc::not_leader, "the controller leads epoch {} no longer; nothing was changed",
                 epoch);
}

Task<Result<void>> ActiveController::settle() {
  const Epoch epoch = *epoch_;
  const std::uint64_t count = decided_count_;
  while (epoch_ == epoch && committed_count_ < count) co_await progress_.wait();
  if (epoch_ != epoch)
    co_return fail(Errc::not_leader, "the controller leads epoch {} no longer", epoch);
  co_return Result<void>{};
}

Result<const metadata::Broker*> ActiveController::known(NodeId broker, BrokerEpoch epoch) const {
  if (!epoch_) return fail(Errc::not_leader, "this node is not the active controller");
  const metadata::Broker* found = decided_->broker(broker);
  if (found == nullptr) return fail(Errc::fenced, "broker {} is not registered", broker);
  if (found->epoch != epoch) {
    return fail(Errc::fenced, "broker {} is registered with epoch {}, not {}", broker, found->epoch,
                epoch);
  }
  return found;
}

Task<Result<std::vector<TopicOutcome>>> ActiveController::create_topics(
    std::vector<NewTopic> topics, bool validate_only) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  const Epoch epoch = *epoch_;
  TopicMaker maker(std::move(topics), options_);
  bool is_begun = false;
  while (!maker.done()) {
    if (epoch_ != epoch) {
      co_return fail(is_begun ? Errc::unknown_outcome : Errc::not_leader,
                     "the controller leads epoch {} no longer", epoch);
    }
    const std::size_t entry_max = options_.records_per_entry;
    const std::size_t allowed = creation_pace_.allowed(runtime_.now());
    const std::size_t awaited = std::min(entry_max, CreationPace::replicas_at_once_min);
    if (allowed < awaited && !validate_only) {
      co_await runtime::sleep_until(runtime_, creation_pace_.due(awaited));
      continue;
    }
    const std::size_t records_max = validate_only ? entry_max : std::min(entry_max, allowed);
    auto records = maker.next(*decided_, records_max, runtime_.random());
    if (validate_only || records.empty()) {
      co_await runtime::yield(runtime_);
      continue;
    }
    creation_pace_.note(runtime_.now(), new_replicas(records));
    const auto committed = co_await commit(std::move(records));
    // Topics that came before in the request may be there.
    if (!committed && is_begun)
      co_return fail(Errc::unknown_outcome, "{}", committed.error().context);
    if (!committed) co_return fail(committed.error());
    is_begun = true;
  }
  CO_TRY_VOID(co_await commit({}));
  co_return maker.take_outcomes();
}

Task<Result<std::vector<TopicOutcome>>> ActiveController::delete_topics(
    std::vector<std::string> names) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  auto decision = decide_removal(*decided_, names);
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  co_return std::move(decision.answer);
}

Task<Result<std::vector<AlterationOutcome>>> ActiveController::alter_partition(
    AlterPartition request) {
  CO_TRY_VOID(known(request.broker, request.epoch));
  auto decision = decide_alterations(*decided_, request, options_);
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  co_return std::move(decision.answer);
}

Task<Result<ProducerIdBlock>> ActiveController::allocate_producer_ids(NodeId broker,
                                                                      BrokerEpoch epoch) {
  CO_TRY_VOID(known(broker, epoch));
  auto decision = decide_producer_ids(*decided_);
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  co_return decision.answer;
}

}  // namespace qlab::controller
