// What ConsensusReplicator does besides appending: reads, who leads, and records for those who lag.

#include <algorithm>

#include "common/check.h"
#include "common/logging.h"
#include "replication/consensus_replicator.h"
#include "replication/groups/group_codec.h"
#include "replication/groups/group_host.h"
#include "replication/log_upkeep.h"
#include "runtime/trace.h"

namespace qlab::replication {
namespace {

constexpr std::size_t records_bytes = 1u << 20;  // In one answer to a replica that lags.
// Between two tries of what somebody else must do first.
constexpr Duration backoff = std::chrono::milliseconds(50);
// Between two looks at a replica that is not in sync yet.
constexpr Duration expand_pause = std::chrono::milliseconds(200);
// For one answer; then another is asked.
constexpr Duration records_patience = std::chrono::seconds(1);

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Task<Result<FetchOutcome>> ConsensusReplicator::fetch_as_consumer(ConsumerFetch fetch,
                                                                  std::size_t bytes_max) {
  const auto visit = co_await reads_.visit();
  CO_TRY_VOID(fetch.takes_followers ? check_epoch(fetch.current) : check_leader(fetch.current));
  if (fetch.offset < log_->start() || fetch.offset > log_->end()) {
    co_return fail(Errc::out_of_range, "partition {} has offsets [{}, {}]; {} was asked for",
                   partition_.name(), log_->start(), log_->end(), fetch.offset);
  }
  FetchOutcome outcome;
  outcome.high_watermark = log_->end();
  if (fetch.offset < outcome.high_watermark && bytes_max > 0) {
    CO_TRY(storage::ReadResult read,
           co_await log_->read(fetch.offset, outcome.high_watermark, bytes_max));
    outcome.batches = std::move(read.batches);
  }
  outcome.log_start = log_->start();
  co_return outcome;
}

Task<Result<FetchOutcome>> ConsensusReplicator::fetch_as_replica(ReplicaFetch, LeaderEpoch,
                                                                 std::size_t) {
  co_return fail(Errc::unsupported, "partition {} is copied by a consensus group, not by fetching",
                 partition_.name());
}

Task<Result<Offset>> ConsensusReplicator::delete_records(Offset before, Time deadline) {
  CO_TRY_VOID(check_leader(no_leader_epoch));
  if (!storage::deletes_segments(state_.cleanup_policy)) {
    co_return fail(Errc::unsupported, "partition {}: its cleanup.policy deletes no records",
                   partition_.name());
  }
  const Offset wanted = before.value() == -1 ? log_->end() : before;
  if (wanted.value() < 0 || wanted > log_->end()) {
    co_return fail(Errc::out_of_range, "partition {}: {} is not in [0, {}]", partition_.name(),
                   wanted, log_->end());
  }
  if (failed_) co_return fail(*failed_);
  const Epoch epoch = *leads_;
  if (wanted > log_->start()) {
    group_->propose(std::make_shared<const Bytes>(encode_delete(wanted)), epoch);
  }
  while (log_->start() < wanted) {
    const bool woken = co_await changed_.wait_until(deadline);
    if (failed_) co_return fail(*failed_);
    if (closed_ || leads_ != epoch) {
      co_return fail(Errc::not_leader, "partition {}: the leadership of term {} ended",
                     partition_.name(), epoch);
    }
    if (!woken && log_->start() < wanted) {
      co_return fail(Errc::timed_out, "partition {}: it does not begin at {} yet",
                     partition_.name(), wanted);
    }
  }
  co_return log_->start();
}

void ConsensusReplicator::reconsider() {
  if (closed_ || failed_ || !leads_) return;
  if (!is_leader()) {
    if (state_.leader_epoch == no_leader_epoch || std::exchange(settling_, true)) return;
    gate_.start([this] { return settle_leadership(); });
    return;
  }
  std::vector<NodeId> isr = state_.isr;
  bool is_awaited = false;
  for (const consensus::PeerStatus& peer : group_->status().peers) {
    const bool may_join = !context_.may_join || context_.may_join(peer.id, BrokerEpoch{-1});
    if (contains(isr, peer.id) || !may_join) continue;
    is_awaited = true;
    if (peer.match >= group_->applied()) isr.push_back(peer.id);
  }
  if (!is_awaited || std::exchange(expanding_, true)) return;
  gate_.start([this, isr] { return expand_isr(isr); });
}

// We lead the group, and the metadata name another, or nobody: one of the two follows the other.
Task<void> ConsensusReplicator::settle_leadership() {
  while (!closed_ && leads_ && !is_leader()) {
    const bool has_handed_over = co_await hand_over();
    if (has_handed_over || closed_ || !leads_ || is_leader()) break;
    std::vector<NodeId> isr;
    for (const NodeId member : state_.isr) {
      const bool may_join = !context_.may_join || context_.may_join(member, BrokerEpoch{-1});
      if (member != context_.self && may_join) isr.push_back(member);
    }
    isr.push_back(context_.self);
    const std::int32_t based_on = state_.partition_epoch;
    const auto answer = co_await propose_isr(std::move(isr), true);
    if (closed_ || !leads_ || is_leader()) break;
    if (answer) {
      runtime_.trace().emit("leadership_claimed", {{"topic", std::string_view(partition_.topic)},
                                                   {"partition", partition_.partition.value()},
                                                   {"term", leads_->value()}});
    }
    // What became of it, or what it should have been based on, comes with the metadata.
    if (state_.partition_epoch == based_on) {
      co_await changed_.wait_until(runtime_.now() + backoff);
    }
  }
  settling_ = false;
  if (!closed_ && leads_ && !is_leader()) reconsider();
}

// True: another than we leads the group now, or will.
Task<bool> ConsensusReplicator::hand_over() {
  const NodeId to = state_.leader;
  const bool is_there = to != context_.self && contains(state_.replicas, to) &&
                        group_->is_linked(to) &&
                        (!context_.may_join || context_.may_join(to, BrokerEpoch{-1}));
  if (!is_there) co_return false;
  const auto transferred = co_await group_->transfer(to);
  co_return transferred.has_value();
}

Task<Result<IsrAnswer>> ConsensusReplicator::propose_isr(std::vector<NodeId> isr, bool claims) {
  IsrProposal proposal{state_.topic_id,        partition_.partition, state_.leader_epoch,
                       state_.partition_epoch, std::move(isr),       {}};
  proposal.isr_epochs.resize(proposal.isr.size(), BrokerEpoch{-1});
  proposal.claims_leadership = claims;
  co_return co_await context_.propose_isr(std::move(proposal));
}

// Who may join and lacks something is looked at again, and so is a proposal that was refused.
Task<void> ConsensusReplicator::expand_isr(std::vector<NodeId> isr) {
  const std::int32_t based_on = state_.partition_epoch;
  bool is_done = false;
  if (isr.size() > state_.isr.size()) {
    const auto answer = co_await propose_isr(std::move(isr), false);
    is_done = answer.has_value();
    if (answer && state_.partition_epoch == based_on && !closed_) {
      state_.isr = answer->isr;
      state_.partition_epoch = answer->partition_epoch;
      changed_.notify_all();
    }
  }
  if (!is_done && !closed_) co_await runtime::sleep_for(runtime_, expand_pause);
  expanding_ = false;
  reconsider();
}

// The whole of it is alone at writes_: nothing is applied before the copy is whole. Who has all of
// it asks once all the same, as the deletions that led to the image are in it alone.
Task<Result<void>> ConsensusReplicator::catch_up(Offset end) {
  const auto self = shared_from_this();
  const auto alone = co_await writes_.enter_alone();
  bool is_done = false;
  while (!closed_ && !is_done) {
    const auto leader = group_->status().leader;
    if (!leader || *leader == context_.self) {
      co_await runtime::sleep_for(runtime_, backoff);
      continue;
    }
    records_.reset();
    asked_ = Asked{*leader, log_->end()};
    BytesWriter request;
    request.put(log_->end().value());
    request.put(end.value());
    host_.send(*leader, {id_, GroupItem::Kind::records_request, request.take()}, false);
    co_await records_came_.wait_until(runtime_.now() + records_patience);
    asked_.reset();
    if (!records_) continue;
    Records records = std::move(*records_);
    const auto copied = co_await copy(std::move(records));
    if (!copied && copied.error().code != Errc::no_space) co_return fail(copied.error());
    is_done = copied.value_or(false) && log_->end() >= end;
    if (!copied.value_or(false)) co_await runtime::sleep_for(runtime_, backoff);
  }
  records_.reset();
  if (closed_) co_return fail(Errc::aborted, "partition {} was closed", partition_.name());
  CO_TRY_VOID(co_await log_->sync());
  changed_.notify_all();
  co_return Result<void>{};
}

// Requires: the caller is alone at writes_. False: nothing of it goes on from where the log ends.
Task<Result<bool>> ConsensusReplicator::copy(Records records) {
  if (records.start > log_->end()) {
    CO_TRY_VOID(co_await log_->reset_to(records.start));
    producers_.clear();
  }
  CO_TRY(const auto headers, headers_of(records.batches));
  std::size_t there = 0;  // Bytes of what is in the log.
  std::vector<BatchHeader> fresh;
  for (const BatchHeader& header : headers) {
    if (header.next_offset() > log_->end()) fresh.push_back(header);
    if (fresh.empty()) there += header.total_bytes();
  }
  if (!fresh.empty()) {
    // A log that begins within a batch of its leader's takes that batch whole.
    const bool begins_within =
        log_->start() == log_->end() && fresh.front().base_offset < log_->end();
    if (begins_within) CO_TRY_VOID(co_await log_->reset_to(fresh.front().base_offset));
    Bytes batches(records.batches.begin() + static_cast<std::ptrdiff_t>(there),
                  records.batches.end());
    const auto appended = co_await log_->append_as_follower(std::move(batches));
    if (!appended && appended.error().code == Errc::out_of_range) {
      host_.refuse(records.from, "records that do not go on from where the log ends");
      co_return false;
    }
    CO_TRY_VOID(appended);
    for (const BatchHeader& header : fresh) producers_.update(header);
  }
  CO_TRY_VOID(co_await log_->delete_before(std::min(records.start, log_->end())));
  co_return !fresh.empty() || records.is_all;
}

void ConsensusReplicator::on_records(NodeId from, bool is_request, Bytes body) {
  if (closed_ || failed_) return;
  const auto taken = is_request ? take_request(from, body) : take_records(from, std::move(body));
  if (!taken) host_.refuse(from, taken.error().context);
}

Result<void> ConsensusReplicator::take_request(NodeId from, ByteView body) {
  BytesReader in(body);
  const Offset begin{in.get<std::int64_t>()};
  const Offset end{in.get<std::int64_t>()};
  if (!in.ok() || in.left() > 0 || begin < Offset{0} || end < Offset{0}) {
    return fail(Errc::corrupt, "no request of records");
  }
  // Who lags itself answers nobody: another leads, or it is asked again.
  if (end > log_->end() || begin > log_->end() || std::exchange(serving_, true)) return {};
  gate_.start([this, from, begin, end] { return serve_records(from, begin, end); });
  return {};
}

Result<void> ConsensusReplicator::take_records(NodeId from, Bytes body) {
  if (!asked_ || asked_->leader != from) {
    return fail(Errc::corrupt, "records that it was not asked for");
  }
  BytesReader in(body);
  const Offset begin{in.get<std::int64_t>()};
  const Offset start{in.get<std::int64_t>()};
  const bool is_all = in.get<std::uint8_t>() != 0;
  const ByteView batches = in.get_bytes(in.left());
  const auto headers = check_batches(batches);
  if (!in.ok() || start < Offset{0} || !headers) {
    return fail(Errc::corrupt, "records that do not decode");
  }
  if (begin != asked_->begin) return fail(Errc::corrupt, "records that were asked for before");
  records_ = Records{from, start, is_all, Bytes(batches.begin(), batches.end())};
  records_came_.notify_all();
  return {};
}

// Where compaction has taken away all that is left below `end`, the batch behind it says so.
Task<void> ConsensusReplicator::serve_records(NodeId to, Offset from, Offset end) {
  const auto visit = co_await reads_.visit();
  const Offset start = log_->start();
  const Offset begin = std::max(from, start);
  const bool is_all = begin >= end;
  Result<storage::ReadResult> read{storage::ReadResult{}};
  if (!closed_ && !is_all) {
    read = co_await log_->read(begin, end, records_bytes);
    if (read && read->batches.empty()) read = co_await log_->read(begin, log_->end(), 1);
  }
  serving_ = false;
  if (closed_) co_return;
  if (!read) {
    qlab::log(LogLevel::warn, "replica", "{}: no records for broker {}: {}, it asks again",
              partition_.name(), to, read.error().message());
    co_return;
  }
  BytesWriter answer;
  answer.put(from.value());
  answer.put(start.value());
  answer.put(static_cast<std::uint8_t>(is_all));
  answer.put_bytes(read->batches);
  host_.send(to, {id_, GroupItem::Kind::records, answer.take()}, false);
}

}  // namespace qlab::replication
