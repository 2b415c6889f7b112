// The leader's part of IsrReplicator: appends, fetches, the watermark, and who is in sync.

#include <algorithm>

#include "common/check.h"
#include "replication/isr_replicator.h"
#include "replication/log_upkeep.h"
#include "runtime/trace.h"

namespace qlab::replication {
namespace {

using storage::Durability;

// Between two tries of a proposal whose outcome is open.
constexpr Duration proposal_backoff = std::chrono::milliseconds(50);
// So long after a change of leaders, batches may come that follow ones refused just before it.
constexpr Duration gap_grace = std::chrono::seconds(1);
// After a refused expansion: the follower is fenced, and will be for some heartbeats.
constexpr Duration expand_backoff = std::chrono::milliseconds(100);

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Task<Result<storage::AppendResult>> IsrReplicator::append(Bytes batches, Acks acks, Time deadline) {
  LeaderEpoch epoch = no_leader_epoch;
  CO_TRY(const storage::AppendResult appended,
         co_await append_once(std::move(batches), acks, epoch));
  if (acks == Acks::none) co_return appended;
  CO_TRY_VOID(co_await wait_stored(epoch, appended.next, acks, deadline));
  co_return appended;
}

Task<Result<storage::AppendResult>> IsrReplicator::append_once(Bytes batches, Acks acks,
                                                               LeaderEpoch& epoch) {
  const auto alone = co_await writes_.enter_alone();
  CO_TRY_VOID(check_leader(no_leader_epoch));
  if (failed_) co_return fail(*failed_);
  if (acks == Acks::all && state_.isr.size() < min_insync()) {
    co_return fail(Errc::not_enough_replicas,
                   "partition {} has {} replicas in sync; min.insync.replicas is {}",
                   partition_.name(), state_.isr.size(), min_insync());
  }
  CO_TRY(auto headers, headers_of(batches));
  for (const BatchHeader& header : headers) {
    const auto duplicate = producers_.check(header);
    if (!duplicate) co_return fail(refusal(duplicate.error()));
    if (!*duplicate) continue;
    epoch = state_.leader_epoch;
    co_return **duplicate;
  }
  epoch = state_.leader_epoch;
  for (auto& [node, follower] : followers_) note_append(follower, log_->end(), runtime_.now());
  const auto appended = co_await log_->append_as_leader(std::move(batches), epoch);
  if (!appended) {
    if (appended.error().code == Errc::io) fail_for_good(appended.error());
    co_return fail(appended.error());
  }
  Offset base = appended->base;
  for (BatchHeader& header : headers) {
    header.base_offset = base;
    base = header.next_offset();
    producers_.update(header);
  }
  CHECK(base == appended->next);
  dirty_.notify_all();
  advance_watermark();
  changed_.notify_all();
  co_return *appended;
}

// What a producer has in flight to a broker that is about to lead is refused until it does, and the
// rest is then ahead of its turn. The rest is refused in the same way, so that the producer sends
// all of it again, in order: librdkafka before 2.3 ends for good otherwise (its issue 3584).
Error IsrReplicator::refusal(Error error) const {
  if (error.code != Errc::out_of_sequence || runtime_.now() >= leader_since_ + gap_grace)
    return error;
  return {Errc::not_leader, fmt::format("partition {} has a new leader here, and {}",
                                        partition_.name(), error.context)};
}

Task<Result<void>> IsrReplicator::wait_stored(LeaderEpoch epoch, Offset end, Acks acks,
                                              Time deadline) {
  while (true) {
    if (failed_) co_return fail(*failed_);
    if (closed_ || state_.leader_epoch != epoch || !is_leader()) {
      co_return fail(Errc::unknown_outcome,
                     "partition {}: the leadership of epoch {} ended before the records were "
                     "committed; they may or may not be",
                     partition_.name(), epoch);
    }
    if (acks == Acks::leader && stored_end() >= end) break;
    if (acks == Acks::all && watermark_ >= end) break;
    const bool woken = co_await changed_.wait_until(deadline);
    if (!woken) {
      co_return fail(
          Errc::timed_out,
          "partition {}: records before offset {} were not committed in time; they may be yet",
          partition_.name(), end);
    }
  }
  co_return Result<void>{};
}

Result<void> IsrReplicator::check_epoch(LeaderEpoch current) const {
  if (closed_) return fail(Errc::not_leader, "partition {} is closed here", partition_.name());
  return replication::check_epoch(partition_, state_.leader_epoch, current);
}

Result<void> IsrReplicator::check_leader(LeaderEpoch current) const {
  TRY_VOID(check_epoch(current));
  if (!is_leader()) {
    return fail(Errc::not_leader, "partition {} is led by broker {}", partition_.name(),
                state_.leader);
  }
  return {};
}

Task<Result<FetchOutcome>> IsrReplicator::fetch_as_consumer(ConsumerFetch fetch,
                                                            std::size_t bytes_max) {
  const auto visit = co_await reads_.visit();
  const Offset offset = fetch.offset;
  CO_TRY_VOID(fetch.takes_followers ? check_epoch(fetch.current) : check_leader(fetch.current));
  if (offset < log_->start() || offset > log_->end()) {
    co_return fail(Errc::out_of_range, "partition {} has offsets [{}, {}]; {} was asked for",
                   partition_.name(), log_->start(), log_->end(), offset);
  }
  FetchOutcome outcome;
  if (is_leader() && fetch.takes_followers) {
    outcome.preferred_replica =
        closest_replica(context_.self, state_.isr, followers_, fetch.near, offset);
  }
  if (offset < watermark_ && bytes_max > 0 && !outcome.preferred_replica) {
    CO_TRY(storage::ReadResult read, co_await log_->read(offset, watermark_, bytes_max));
    outcome.batches = std::move(read.batches);
  }
  outcome.high_watermark = watermark_;
  outcome.log_start = log_->start();
  co_return outcome;
}

Task<Result<FetchOutcome>> IsrReplicator::fetch_as_replica(ReplicaFetch fetch, LeaderEpoch current,
                                                           std::size_t bytes_max) {
  const auto visit = co_await reads_.visit();
  CO_TRY_VOID(check_leader(current));
  if (!contains(state_.replicas, fetch.replica) || fetch.replica == context_.self) {
    co_return fail(Errc::not_found, "broker {} has no replica of partition {}", fetch.replica,
                   partition_.name());
  }
  FetchOutcome outcome;
  outcome.high_watermark = watermark_;
  outcome.log_start = log_->start();
  if (fetch.offset >= log_->start() && fetch.last_fetched_epoch != no_leader_epoch) {
    outcome.diverging = divergence(log_->end_of_epoch(fetch.last_fetched_epoch),
                                   fetch.last_fetched_epoch, fetch.offset);
    if (outcome.diverging) co_return outcome;
  }
  if (fetch.offset < log_->start() || fetch.offset > log_->end()) {
    outcome.is_out_of_range = true;
    co_return outcome;
  }
  const LeaderEpoch epoch = state_.leader_epoch;
  Follower& follower = followers_[fetch.replica];
  if (fetch.broker_epoch < follower.broker_epoch) {
    co_return fail(Errc::fenced, "broker {} was registered with epoch {} since {}", fetch.replica,
                   follower.broker_epoch, fetch.broker_epoch);
  }
  follower.broker_epoch = fetch.broker_epoch;
  note_fetch(follower, fetch.offset, log_->end(), runtime_.now());
  if (std::exchange(follower.log_start, fetch.log_start) != fetch.log_start) {
    changed_.notify_all();  // Somebody may wait for the low watermark.
  }
  maybe_expand(fetch.replica);
  advance_watermark();
  if (fetch.offset < log_->end() && bytes_max > 0) {
    CO_TRY(storage::ReadResult read, co_await log_->read(fetch.offset, log_->end(), bytes_max));
    outcome.batches = std::move(read.batches);
    if (state_.leader_epoch != epoch)
      co_return fail(Errc::not_leader, "the leadership of epoch {} ended", epoch);
  }
  outcome.high_watermark = watermark_;
  co_return outcome;
}

Task<Result<Offset>> IsrReplicator::delete_records(Offset before, Time deadline) {
  CO_TRY_VOID(check_leader(no_leader_epoch));
  if (!storage::deletes_segments(state_.cleanup_policy)) {
    co_return fail(Errc::unsupported, "partition {}: its cleanup.policy deletes no records",
                   partition_.name());
  }
  const Offset wanted = before.value() == -1 ? watermark_ : before;
  if (wanted.value() < 0 || wanted > watermark_) {
    co_return fail(Errc::out_of_range, "partition {}: {} is not in [0, {}]", partition_.name(),
                   wanted, watermark_);
  }
  const LeaderEpoch epoch = state_.leader_epoch;
  {
    const auto alone = co_await writes_.enter_alone();
    CO_TRY_VOID(check_leader(epoch));
    if (failed_) co_return fail(*failed_);
    const auto deleted = co_await log_->delete_before(wanted);
    if (!deleted && deleted.error().code == Errc::io) fail_for_good(deleted.error());
    CO_TRY_VOID(deleted);
  }
  changed_.notify_all();
  while (low_watermark() < wanted) {
    const bool woken = co_await changed_.wait_until(deadline);
    CO_TRY_VOID(check_leader(epoch));
    if (!woken && low_watermark() < wanted) {
      co_return fail(Errc::timed_out, "partition {}: not all replicas in sync begin at {} yet",
                     partition_.name(), wanted);
    }
  }
  co_return low_watermark();
}

// The least log start of the replicas in sync.
Offset IsrReplicator::low_watermark() const {
  Offset low = log_->start();
  for (const NodeId replica : state_.isr) {
    const auto follower = followers_.find(replica);
    if (follower != followers_.end()) low = std::min(low, follower->second.log_start);
  }
  return low;
}

Offset IsrReplicator::stored_end() const {
  return context_.options.log.durability == Durability::sync ? log_->durable_end() : log_->end();
}

std::size_t IsrReplicator::min_insync() const {
  return std::min(static_cast<std::size_t>(state_.min_insync_replicas), state_.replicas.size());
}

std::vector<NodeId> IsrReplicator::maximal_isr() const {
  std::vector<NodeId> isr = state_.isr;
  for (NodeId member : pending_isr_.value_or(std::vector<NodeId>{})) {
    if (!contains(isr, member)) isr.push_back(member);
  }
  return isr;
}

void IsrReplicator::advance_watermark() {
  if (!is_leader()) return;
  const std::vector<NodeId> isr = maximal_isr();
  if (!contains(isr, context_.self)) return;
  const Offset next = replication::high_watermark(
      {watermark_, stored_end(), min_insync(), state_.isr.size()}, context_.self, isr, followers_);
  if (next == watermark_) return;
  watermark_ = next;
  changed_.notify_all();
}

void IsrReplicator::maybe_expand(NodeId replica) {
  if (contains(state_.isr, replica) || pending_isr_ || runtime_.now() < expand_not_before_) return;
  const Follower& follower = followers_.at(replica);
  const Offset offset = follower.acknowledged;
  // It must have all that is committed, and all that was there when this leader began (KAFKA-6361).
  if (offset < watermark_ || offset < epoch_start_) return;
  if (context_.may_join && !context_.may_join(replica, follower.broker_epoch)) return;
  std::vector<NodeId> isr = state_.isr;
  isr.push_back(replica);
  propose(std::move(isr));
}

void IsrReplicator::reconsider() {
  if (!is_leader() || pending_isr_ || state_.isr.size() == state_.replicas.size()) return;
  for (const auto& [replica, follower] : followers_) {
    // Who lacks something is to fetch it first.
    if (follower.acknowledged >= log_->end()) maybe_expand(replica);
  }
}

void IsrReplicator::check_lag() {
  if (!is_leader() || pending_isr_) return;
  auto isr = shrunk_isr(context_.self, state_.isr, followers_, log_->end(), runtime_.now(),
                        context_.options.lag_max);
  if (isr) propose(std::move(*isr));
}

void IsrReplicator::propose(std::vector<NodeId> isr) {
  if (gate_.is_closed()) return;
  pending_isr_ = isr;
  IsrProposal proposal{state_.topic_id,        partition_.partition, state_.leader_epoch,
                       state_.partition_epoch, std::move(isr),       {}};
  for (const NodeId member : proposal.isr) {
    const auto follower = followers_.find(member);
    proposal.isr_epochs.push_back(follower == followers_.end() ? BrokerEpoch{-1}
                                                               : follower->second.broker_epoch);
  }
  gate_.start([this, proposal = std::move(proposal)] { return run_proposal(proposal); });
}

Task<void> IsrReplicator::run_proposal(IsrProposal proposal) {
  const auto still_ours = [&] {
    return !closed_ && is_leader() && state_.leader_epoch == proposal.leader_epoch &&
           state_.partition_epoch == proposal.partition_epoch && pending_isr_.has_value();
  };
  while (still_ours()) {
    const Result<IsrAnswer> answer = co_await context_.propose_isr(proposal);
    if (!still_ours()) co_return;
    if (answer) {
      state_.isr = answer->isr;
      state_.partition_epoch = answer->partition_epoch;
      pending_isr_.reset();
      advance_watermark();
      changed_.notify_all();
      reconsider();
      co_return;
    }
    // Refused for certain: it was not done. Otherwise it may have been, so the proposed members
    // keep counting until newer metadata comes or a try succeeds.
    if (answer.error().code == Errc::invalid) {
      pending_isr_.reset();
      expand_not_before_ = runtime_.now() + expand_backoff;
      advance_watermark();
      // Who has nothing new to fetch says nothing more.
      co_await runtime::sleep_until(runtime_, expand_not_before_);
      reconsider();
      co_return;
    }
    if (answer.error().code == Errc::fenced) co_return;
    co_await runtime::sleep_for(runtime_, proposal_backoff);
  }
}

}  // namespace qlab::replication
