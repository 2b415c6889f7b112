#pragma once
// Kafka's replication of one partition: a leader appends, followers fetch, the ISR says whose
// copies count.
//
// What the leader acknowledges with acks=all is on every member of the ISR; a new leader comes from
// the ISR, so it has it. With durability sync, "on" means durable: the leader counts its own
// durable end, and a follower asks for the next record only once the ones before are durable.
//
// Role changes, appends and truncations come one at a time (writes_); reads and waiting overlap
// them.
//
// Thread: the partition's shard. Source: KIP-101, KIP-279, KIP-497, KIP-595 (truncation on fetch),
// KIP-841, KIP-966.

#include <map>
#include <memory>
#include <optional>

#include "replication/hosted_replica.h"
#include "replication/isr.h"
#include "replication/producer_state.h"
#include "replication/replicas.h"
#include "replication/replicator.h"
#include "runtime/async.h"
#include "storage/turnstile.h"

namespace qlab::replication {

class IsrReplicator : public HostedReplica {
 public:
  // Reads the log's batch headers to learn of its producers.
  // Errors: those of Log::read.
  static Task<Result<std::shared_ptr<IsrReplicator>>> open(runtime::Runtime& runtime,
                                                           TopicPartition partition,
                                                           std::unique_ptr<storage::Log> log,
                                                           const ReplicasContext& context);

  Task<Result<void>> apply(PartitionState state) override;
  Task<Result<storage::AppendResult>> append(Bytes batches, Acks acks, Time deadline) override;
  Task<Result<FetchOutcome>> fetch_as_consumer(ConsumerFetch fetch, std::size_t bytes_max) override;
  Task<Result<FetchOutcome>> fetch_as_replica(ReplicaFetch fetch, LeaderEpoch current,
                                              std::size_t bytes_max) override;
  Task<Result<Offset>> delete_records(Offset before, Time deadline) override;
  storage::Log& log() override { return *log_; }
  Offset high_watermark() const override { return watermark_; }
  bool is_watermark_known() const override { return !is_leader() || watermark_ >= epoch_start_; }
  const PartitionState& state() const override { return state_; }
  bool is_leader() const override { return state_.leader == context_.self && !closed_; }
  Changes& changed() override { return changed_; }
  Task<Result<void>> close() override;
  Task<Result<void>> remove() override;

  // What a fetcher asks the leader for; nothing unless this replica follows `leader`.
  struct Position {
    Offset offset;  // The next record; everything before it is stored as durability demands.
    LeaderEpoch last_epoch;  // Of the record before it.
    LeaderEpoch leader_epoch;
    Offset log_start;
    bool operator==(const Position&) const = default;
  };
  std::optional<Position> position(NodeId leader) const;

  // What the leader of `leader_epoch` answered. Without effect when the epoch has moved on.
  struct Answer {
    Bytes batches;
    Offset watermark;  // The leader's.
    Offset log_start;  // Where its log begins; what lies below is deleted here too.
  };
  // Returns once the batches are stored as durability demands. Errors: of the log; corrupt, for
  // batches that fail their check, or leave a gap where nothing was compacted.
  Task<Result<void>> take(LeaderEpoch leader_epoch, Answer answer);
  // The same for an answer without batches, at once; false, and nothing done, when there is more to
  // do than to take the watermark.
  bool take_watermark(LeaderEpoch leader_epoch, Offset watermark, Offset log_start);
  // Cuts off what the leader does not have (KIP-595); where that is below our start, all goes.
  Task<Result<void>> truncate(LeaderEpoch leader_epoch, storage::EpochEnd diverging);
  // The leader's log begins after our end: begins anew there.
  Task<Result<void>> begin_anew(LeaderEpoch leader_epoch, Offset leader_start);

  Task<Result<void>> clean() override;

  // Asks to take followers that lag out of the ISR.
  void check_lag() override;
  // Asks to take followers into the ISR that have everything, though they fetch nothing.
  void reconsider() override;

  const TopicPartition& partition() const override { return partition_; }
  bool has_failed() const override { return failed_.has_value(); }

 private:
  IsrReplicator(runtime::Runtime& runtime, TopicPartition partition,
                std::unique_ptr<storage::Log> log, const ReplicasContext& context);

  Task<Result<storage::AppendResult>> append_once(Bytes batches, Acks acks, LeaderEpoch& epoch);
  Task<Result<void>> wait_stored(LeaderEpoch epoch, Offset end, Acks acks, Time deadline);
  Result<void> check_epoch(LeaderEpoch current) const;
  Result<void> check_leader(LeaderEpoch current) const;
  Error refusal(Error error) const;
  void become_leader();
  Task<Result<void>> append_taken(Bytes batches, Offset leader_watermark);
  Task<Result<void>> follow_start(Offset leader_start);
  Offset low_watermark() const;
  Task<void> stored_up_to(Offset end);
  Task<void> end_all();
  void advance_watermark();
  Offset stored_end() const;
  std::size_t min_insync() const;
  std::vector<NodeId> maximal_isr() const;

  void maybe_expand(NodeId replica);
  void propose(std::vector<NodeId> isr);
  Task<void> run_proposal(IsrProposal proposal);
  Task<void> sync_loop();
  void fail_for_good(const Error& error);

  runtime::Runtime& runtime_;
  const TopicPartition partition_;
  const std::unique_ptr<storage::Log> log_;
  const ReplicasContext& context_;

  PartitionState state_;
  Offset watermark_;  // <= log_->end(). Goes back only with the log, when it is cut or begun anew.
  ProducerState producers_;
  bool closed_ = false;
  std::optional<Error> failed_;  // Why the log takes no more; set once.

  // As leader, of the current epoch:
  Offset epoch_start_;  // Where the log ended when we began to lead.
  Time leader_since_{};
  std::map<NodeId, Follower> followers_;
  std::optional<std::vector<NodeId>> pending_isr_;  // Proposed, and perhaps already committed.
  Time expand_not_before_{};

  storage::Turnstile writes_;
  storage::Turnstile reads_;  // Fetches visit; closing is alone.
  Changes changed_;
  runtime::Event dirty_;  // Something waits for a sync.
  runtime::Gate gate_;
};

}  // namespace qlab::replication
