#include "replication/consensus_replicator.h"

#include <algorithm>

#include "common/check.h"
#include "replication/groups/group_codec.h"
#include "replication/groups/group_host.h"
#include "replication/log_upkeep.h"

namespace qlab::replication {
namespace {

constexpr std::size_t applied_bytes = 1u << 20;  // At a time.
// Between two tries on a disk that is full.
constexpr Duration no_space_backoff = std::chrono::milliseconds(50);

consensus::Config config_of(const std::vector<NodeId>& replicas) {
  consensus::Config config;
  for (const NodeId replica : replicas) {
    config.members.push_back({replica, consensus::MemberRole::voter});
  }
  std::sort(config.members.begin(), config.members.end());
  return config;
}

bool is_newer(const PartitionState& state, const PartitionState& than) {
  if (state.topic_id != than.topic_id) return true;
  if (state.leader_epoch != than.leader_epoch) return state.leader_epoch > than.leader_epoch;
  return state.partition_epoch > than.partition_epoch;
}

}  // namespace

ConsensusReplicator::ConsensusReplicator(GroupHost& host, TopicPartition partition, GroupId id,
                                         std::unique_ptr<storage::Log> log,
                                         const ReplicasContext& context)
    : host_(host),
      runtime_(host.runtime()),
      partition_(std::move(partition)),
      id_(id),
      log_(std::move(log)),
      context_(context),
      writes_(runtime_),
      reads_(runtime_),
      changed_(runtime_),
      records_came_(runtime_),
      gate_(runtime_) {
  state_.leader_epoch = no_leader_epoch;  // Older than any decision of the cluster.
  state_.partition_epoch = -1;
}

Task<Result<std::shared_ptr<ConsensusReplicator>>> ConsensusReplicator::open(
    GroupHost& host, TopicPartition partition, TopicId topic, std::vector<NodeId> replicas,
    std::unique_ptr<storage::Log> log, const ReplicasContext& context) {
  const GroupId id{topic, partition.partition};
  std::shared_ptr<ConsensusReplicator> replica(
      new ConsensusReplicator(host, std::move(partition), id, std::move(log), context));
  Result<void> known = co_await read_producers(*replica->log_, replica->producers_);
  std::optional<GroupState> state = known ? host.take(id) : std::nullopt;
  const Offset end = replica->log_->end();
  if (known && state && end < state->base.end) {
    known = fail(Errc::corrupt, "partition {} ends at offset {}, and its group knows of {}",
                 replica->partition_.name(), end, state->base.end);
  }
  if (known && !state && end > Offset{0}) {
    known = fail(Errc::invalid,
                 "partition {} has records that no consensus group wrote: replicator=consensus "
                 "takes over no log of another replicator",
                 replica->partition_.name());
  }
  if (!known) {
    if (state) host.give_back(id, std::move(*state));
    static_cast<void>(co_await replica->log_->close());  // The first error says more.
    co_return fail(known.error());
  }
  if (!state) {
    state = GroupState{{}, {{}, Offset{0}, config_of(replicas)}, {}};
    host.bear(id, *state);
  }
  replica->group_ = host.add(id, std::move(*state), *replica);
  replica->group_->start();
  co_return replica;
}

Task<Result<void>> ConsensusReplicator::apply(PartitionState state) {
  if (closed_) co_return Result<void>{};
  if (is_newer(state, state_)) {
    state_ = std::move(state);
  } else {  // Configs change without an epoch.
    state_.min_insync_replicas = state.min_insync_replicas;
    state_.cleanup_policy = state.cleanup_policy;
  }
  changed_.notify_all();
  reconsider();
  co_return Result<void>{};
}

// A leader epoch below one that the log has seen is not the newest that the cluster has decided.
bool ConsensusReplicator::is_leader() const {
  return !closed_ && leads_ && state_.leader == context_.self &&
         state_.leader_epoch >= log_->latest_epoch();
}

Result<void> ConsensusReplicator::check_epoch(LeaderEpoch current) const {
  if (closed_) return fail(Errc::not_leader, "partition {} is closed here", partition_.name());
  return replication::check_epoch(partition_, state_.leader_epoch, current);
}

Result<void> ConsensusReplicator::check_leader(LeaderEpoch current) const {
  TRY_VOID(check_epoch(current));
  if (is_leader()) return {};
  return fail(Errc::not_leader, "partition {} is led by broker {}, as far as is known here",
              partition_.name(), group_->status().leader.value_or(no_node));
}

void ConsensusReplicator::on_lead(std::optional<Epoch> epoch) {
  leads_ = epoch;
  proposed_end_ = log_->end();
  proposed_bytes_ = 0;
  if (epoch) {
    proposed_ = producers_;
  } else {
    proposed_.clear();
  }
  changed_.notify_all();
  reconsider();
}

Task<Result<void>> ConsensusReplicator::wait_for_room(std::size_t bytes, Time deadline) {
  while (proposed_bytes_ > 0 && proposed_bytes_ + bytes > proposed_bytes_max) {
    const bool woken = co_await changed_.wait_until(deadline);
    if (!woken) {
      co_return fail(Errc::overloaded, "partition {}: {} bytes wait to be committed",
                     partition_.name(), proposed_bytes_);
    }
    CO_TRY_VOID(check_leader(no_leader_epoch));
  }
  co_return Result<void>{};
}

Task<Result<storage::AppendResult>> ConsensusReplicator::append(Bytes batches, Acks acks,
                                                                Time deadline) {
  CO_TRY_VOID(check_leader(no_leader_epoch));
  CO_TRY_VOID(co_await wait_for_room(batches.size(), deadline));
  CO_TRY_VOID(check_leader(no_leader_epoch));
  if (failed_) co_return fail(*failed_);
  CO_TRY(auto headers, headers_of(batches));
  const Epoch epoch = *leads_;
  for (const BatchHeader& header : headers) {
    CO_TRY(const auto duplicate, proposed_.check(header));
    if (!duplicate) continue;
    if (acks != Acks::none) CO_TRY_VOID(co_await wait_applied(epoch, duplicate->next, deadline));
    co_return *duplicate;
  }
  storage::AppendResult result{proposed_end_, proposed_end_};
  std::span<std::byte> left(batches);
  for (BatchHeader& header : headers) {
    stamp_batch(left, result.next, state_.leader_epoch);
    header.base_offset = result.next;
    result.next = header.next_offset();
    proposed_.update(header);
    left = left.subspan(header.total_bytes());
  }
  proposed_end_ = result.next;
  proposed_bytes_ += batches.size();
  group_->propose(std::make_shared<const Bytes>(std::move(batches)), epoch);
  if (acks != Acks::none) CO_TRY_VOID(co_await wait_applied(epoch, result.next, deadline));
  co_return result;
}

Task<Result<void>> ConsensusReplicator::wait_applied(Epoch epoch, Offset end, Time deadline) {
  while (true) {
    if (failed_) co_return fail(*failed_);
    if (closed_ || leads_ != epoch) {
      co_return fail(Errc::unknown_outcome,
                     "partition {}: the leadership of term {} ended before the records were "
                     "committed; they may or may not be",
                     partition_.name(), epoch);
    }
    if (log_->end() >= end) co_return Result<void>{};
    const bool woken = co_await changed_.wait_until(deadline);
    if (!woken) {
      co_return fail(
          Errc::timed_out,
          "partition {}: records before offset {} were not committed in time; they may be yet",
          partition_.name(), end);
    }
  }
}

void ConsensusReplicator::on_committed() {
  if (closed_ || failed_ || std::exchange(applying_, true)) return;
  gate_.start([this] { return apply_all(); });
}

Task<void> ConsensusReplicator::apply_all() {
  while (!closed_ && !failed_ && group_->has_more()) {
    const auto applied = co_await apply_some();
    if (closed_) break;
    if (!applied && applied.error().code == Errc::no_space) {
      co_await runtime::sleep_for(runtime_, no_space_backoff);  // The log stays usable.
    } else if (!applied) {
      fail_for_good(applied.error());
    }
    changed_.notify_all();
  }
  applying_ = false;
}

// Adjacent batches make one append.
Task<Result<void>> ConsensusReplicator::apply_some() {
  const auto alone = co_await writes_.enter_alone();
  if (closed_ || !group_->has_more()) co_return Result<void>{};
  const auto entries = group_->next(applied_bytes);
  Bytes batches;
  for (const consensus::Entry& entry : entries) {
    if (const auto before = deleted_before(entry)) {
      CO_TRY_VOID(co_await add(std::exchange(batches, {})));
      CO_TRY_VOID(co_await log_->delete_before(std::min(*before, log_->end())));
    } else if (first_offset_of(entry)) {
      batches.insert(batches.end(), entry.body->begin(), entry.body->end());
    }
  }
  CO_TRY_VOID(co_await add(std::move(batches)));
  for (const consensus::Entry& entry : entries) {
    if (leads_ == entry.id.epoch && first_offset_of(entry)) proposed_bytes_ -= entry.body->size();
  }
  group_->set_applied(entries.back().id.index);
  co_return Result<void>{};
}

// Requires: the caller is alone at writes_.
Task<Result<void>> ConsensusReplicator::add(Bytes batches) {
  CO_TRY(const auto headers, headers_of(batches));
  std::size_t there = 0;  // Bytes of what a life before this one has applied, or catch_up().
  for (const BatchHeader& header : headers) {
    if (header.next_offset() > log_->end()) break;
    there += header.total_bytes();
  }
  batches.erase(batches.begin(), batches.begin() + static_cast<std::ptrdiff_t>(there));
  if (batches.empty()) co_return Result<void>{};
  CO_TRY(const auto fresh, headers_of(batches));
  if (fresh.front().base_offset != log_->end()) {
    co_return fail(Errc::corrupt, "offset {} was committed behind {}", fresh.front().base_offset,
                   log_->end());
  }
  CO_TRY_VOID(co_await log_->append_as_follower(std::move(batches)));
  for (const BatchHeader& header : fresh) producers_.update(header);
  co_return Result<void>{};
}

Task<Result<ConsensusReplicator::Settled>> ConsensusReplicator::settle() {
  const auto self = shared_from_this();
  const auto alone = co_await writes_.enter_alone();
  Settled settled{group_->applied(), log_->end()};
  if (closed_) co_return settled;
  CO_TRY_VOID(co_await log_->sync());
  co_return settled;
}

Task<Result<void>> ConsensusReplicator::clean() {
  if (closed_ || failed_) co_return Result<void>{};
  CO_TRY(const bool deleted,
         co_await clean_log(*log_, partition_.name(), runtime_.wall_now(), log_->end()));
  if (deleted) changed_.notify_all();
  co_return Result<void>{};
}

Task<void> ConsensusReplicator::end_all(bool is_gone) {
  closed_ = true;
  host_.remove(id_, is_gone);
  changed_.notify_all();
  records_came_.notify_all();
  co_await gate_.close();
}

Task<Result<void>> ConsensusReplicator::close() {
  if (closed_) co_return Result<void>{};
  co_await end_all(false);
  const auto no_writes = co_await writes_.enter_alone();
  const auto no_reads = co_await reads_.enter_alone();
  co_return co_await log_->close();
}

Task<Result<void>> ConsensusReplicator::remove() {
  if (closed_) co_return Result<void>{};
  co_await end_all(true);
  const auto no_writes = co_await writes_.enter_alone();
  const auto no_reads = co_await reads_.enter_alone();
  co_return co_await log_->remove();
}

void ConsensusReplicator::fail_for_good(const Error& error) {
  if (failed_) return;
  failed_ = Error{error.code, fmt::format("partition {}: {}", partition_.name(), error.context)};
  changed_.notify_all();
  context_.on_fatal(*failed_);
}

}  // namespace qlab::replication
