#include "replication/isr_replicator.h"

#include <algorithm>

#include "common/check.h"
#include "replication/log_upkeep.h"
#include "runtime/trace.h"

namespace qlab::replication {
namespace {

using storage::Durability;

bool is_newer(const PartitionState& state, const PartitionState& than) {
  if (state.topic_id != than.topic_id) return true;
  if (state.leader_epoch != than.leader_epoch) return state.leader_epoch > than.leader_epoch;
  return state.partition_epoch > than.partition_epoch;
}

}  // namespace

IsrReplicator::IsrReplicator(runtime::Runtime& runtime, TopicPartition partition,
                             std::unique_ptr<storage::Log> log, const ReplicasContext& context)
    : runtime_(runtime),
      partition_(std::move(partition)),
      log_(std::move(log)),
      context_(context),
      watermark_(log_->start()),
      writes_(runtime),
      reads_(runtime),
      changed_(runtime),
      dirty_(runtime),
      gate_(runtime) {
  state_.leader_epoch = no_leader_epoch;  // Older than any decision of the cluster.
  state_.partition_epoch = -1;
}

Task<Result<std::shared_ptr<IsrReplicator>>> IsrReplicator::open(runtime::Runtime& runtime,
                                                                 TopicPartition partition,
                                                                 std::unique_ptr<storage::Log> log,
                                                                 const ReplicasContext& context) {
  std::shared_ptr<IsrReplicator> replica(
      new IsrReplicator(runtime, std::move(partition), std::move(log), context));
  const auto known = co_await read_producers(*replica->log_, replica->producers_);
  if (!known) {
    co_await replica->close();
    co_return fail(known.error());
  }
  if (context.options.log.durability == Durability::sync) {
    replica->gate_.start([raw = replica.get()] { return raw->sync_loop(); });
  }
  co_return replica;
}

Task<Result<void>> IsrReplicator::apply(PartitionState state) {
  const auto alone = co_await writes_.enter_alone();
  if (closed_) co_return Result<void>{};
  if (!is_newer(state, state_)) {
    // Configs change without an epoch, and what comes last is the newest of them.
    state_.min_insync_replicas = state.min_insync_replicas;
    state_.cleanup_policy = state.cleanup_policy;
    advance_watermark();
    changed_.notify_all();
    co_return Result<void>{};
  }
  const bool new_epoch = state.leader_epoch != state_.leader_epoch;
  // What a follower asks its leader for tells that leader what is stored here (position()).
  if (new_epoch && state.leader != context_.self) co_await stored_up_to(log_->end());
  if (closed_) co_return Result<void>{};
  state_ = std::move(state);
  pending_isr_.reset();
  if (new_epoch && is_leader()) become_leader();
  if (new_epoch && !is_leader()) followers_.clear();
  advance_watermark();
  changed_.notify_all();
  reconsider();
  co_return Result<void>{};
}

void IsrReplicator::become_leader() {
  epoch_start_ = log_->end();
  leader_since_ = runtime_.now();
  followers_.clear();
  // Members of the ISR get a whole lag_max to show themselves.
  for (NodeId replica : state_.replicas) {
    if (replica != context_.self) followers_[replica].caught_up_at = runtime_.now();
  }
}

Task<void> IsrReplicator::end_all() {
  closed_ = true;
  changed_.notify_all();
  dirty_.notify_all();
  co_await gate_.close();
}

Task<Result<void>> IsrReplicator::close() {
  if (closed_) co_return Result<void>{};
  co_await end_all();
  const auto no_writes = co_await writes_.enter_alone();
  const auto no_reads = co_await reads_.enter_alone();
  co_return co_await log_->close();
}

Task<Result<void>> IsrReplicator::remove() {
  if (closed_) co_return Result<void>{};
  co_await end_all();
  const auto no_writes = co_await writes_.enter_alone();
  const auto no_reads = co_await reads_.enter_alone();
  co_return co_await log_->remove();
}

std::optional<IsrReplicator::Position> IsrReplicator::position(NodeId leader) const {
  if (closed_ || failed_ || is_leader() || state_.leader != leader) return std::nullopt;
  return Position{log_->end(), log_->latest_epoch(), state_.leader_epoch, log_->start()};
}

Task<Result<void>> IsrReplicator::take(LeaderEpoch leader_epoch, Answer answer) {
  Offset end = log_->end();
  const bool news = !answer.batches.empty() || answer.log_start > log_->start();
  if (news) {
    const auto alone = co_await writes_.enter_alone();
    if (closed_ || is_leader() || state_.leader_epoch != leader_epoch) co_return Result<void>{};
    if (!answer.batches.empty()) {
      CO_TRY_VOID(co_await append_taken(std::move(answer.batches), answer.watermark));
    }
    CO_TRY_VOID(co_await follow_start(answer.log_start));
    end = log_->end();
  }
  co_await stored_up_to(end);
  if (failed_) co_return fail(*failed_);
  if (state_.leader_epoch == leader_epoch && !is_leader()) {
    watermark_ = std::max(watermark_, std::min(answer.watermark, log_->end()));
  }
  changed_.notify_all();
  co_return Result<void>{};
}

bool IsrReplicator::take_watermark(LeaderEpoch leader_epoch, Offset watermark, Offset log_start) {
  if (log_start > log_->start() || stored_end() < log_->end()) return false;
  const bool is_current = !closed_ && !is_leader() && state_.leader_epoch == leader_epoch;
  const Offset next = std::max(watermark_, std::min(watermark, log_->end()));
  if (!is_current || next == watermark_) return true;
  watermark_ = next;
  changed_.notify_all();
  return true;
}

// Requires: the caller is alone at writes_.
Task<Result<void>> IsrReplicator::append_taken(Bytes batches, Offset leader_watermark) {
  CO_TRY(const auto headers, check_batches(batches));
  const BatchHeader& first = headers.front();
  // A log that begins within a batch of its leader's takes that batch whole.
  const bool begins_within = log_->start() == log_->end() && first.base_offset < log_->end() &&
                             first.next_offset() > log_->end();
  if (begins_within) CO_TRY_VOID(co_await log_->reset_to(first.base_offset));
  Offset next = log_->end();
  for (const BatchHeader& header : headers) {
    if (header.base_offset > next && header.base_offset > leader_watermark) {
      co_return fail(Errc::corrupt, "partition {}: offset {} follows {}, above the watermark {}",
                     partition_.name(), header.base_offset, next, leader_watermark);
    }
    next = header.next_offset();
  }
  const auto appended = co_await log_->append_as_follower(std::move(batches));
  if (!appended) {
    if (appended.error().code == Errc::io) fail_for_good(appended.error());
    co_return fail(appended.error());
  }
  for (const BatchHeader& header : headers) producers_.update(header);
  dirty_.notify_all();
  co_return Result<void>{};
}

// Requires: the caller is alone at writes_.
Task<Result<void>> IsrReplicator::follow_start(Offset leader_start) {
  const Offset start = std::min(leader_start, log_->end());
  if (start <= log_->start()) co_return Result<void>{};
  const auto deleted = co_await log_->delete_before(start);
  if (!deleted) {
    if (deleted.error().code == Errc::io) fail_for_good(deleted.error());
    co_return fail(deleted.error());
  }
  watermark_ = std::max(watermark_, log_->start());
  co_return Result<void>{};
}

Task<Result<void>> IsrReplicator::clean() {
  if (closed_ || failed_) co_return Result<void>{};
  CO_TRY(const bool deleted,
         co_await clean_log(*log_, partition_.name(), runtime_.wall_now(), watermark_));
  if (deleted) changed_.notify_all();
  co_return Result<void>{};
}

// Returns once the records before `end` are stored as durability demands, or never will be.
Task<void> IsrReplicator::stored_up_to(Offset end) {
  if (context_.options.log.durability != Durability::sync) co_return;
  while (!closed_ && !failed_ && log_->durable_end() < end && log_->end() >= end)
    co_await changed_.wait();
}

Task<Result<void>> IsrReplicator::truncate(LeaderEpoch leader_epoch, storage::EpochEnd diverging) {
  const auto alone = co_await writes_.enter_alone();
  if (closed_ || is_leader() || state_.leader_epoch != leader_epoch) co_return Result<void>{};
  const Offset common =
      std::min(common_end(log_->end_of_epoch(diverging.epoch), diverging), log_->end());
  runtime_.trace().emit("truncated", {{"topic", std::string_view(partition_.topic)},
                                      {"partition", partition_.partition.value()},
                                      {"from", log_->end().value()},
                                      {"to", common.value()}});
  if (common >= log_->start()) CO_TRY_VOID(co_await log_->truncate_to(common));
  if (common < log_->start()) CO_TRY_VOID(co_await log_->reset_to(common));
  // Only a leader that has lost committed records makes us cut below it.
  watermark_ = std::min(watermark_, common);
  CO_TRY_VOID(co_await read_producers(*log_, producers_));
  changed_.notify_all();
  co_return Result<void>{};
}

Task<Result<void>> IsrReplicator::begin_anew(LeaderEpoch leader_epoch, Offset leader_start) {
  const auto alone = co_await writes_.enter_alone();
  if (closed_ || is_leader() || state_.leader_epoch != leader_epoch) co_return Result<void>{};
  CO_TRY_VOID(co_await log_->reset_to(leader_start));
  producers_.clear();
  watermark_ = leader_start;
  changed_.notify_all();
  co_return Result<void>{};
}

Task<void> IsrReplicator::sync_loop() {
  while (!closed_) {
    if (log_->durable_end() < log_->end()) {
      const auto synced = co_await log_->sync();
      if (!synced) {
        if (!closed_) fail_for_good(synced.error());
        co_return;
      }
    }
    // Also without a sync of its own: in a shared layout that of another log may have been enough.
    advance_watermark();
    changed_.notify_all();
    if (!closed_ && log_->durable_end() >= log_->end()) co_await dirty_.wait();
  }
}

void IsrReplicator::fail_for_good(const Error& error) {
  if (failed_) return;
  failed_ = Error{error.code, fmt::format("partition {}: {}", partition_.name(), error.context)};
  changed_.notify_all();
  context_.on_fatal(*failed_);
}

}  // namespace qlab::replication
