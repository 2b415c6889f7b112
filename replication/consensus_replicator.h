#pragma once
// Replication of one partition by a consensus group of its replicas: what a quorum has in the
// group's log, durably, is committed, and goes from there into the partition's log, in order, on
// each of them. A partition's log so has committed records only; its end is the high watermark.
//
// The leader gives offsets and leader epoch to a batch when it proposes it: all that was proposed
// before is applied by then, or its own. So an entry's body is what a follower's log takes, and one
// that is there already (after a restart) is told by its offset.
//
// The group elects its leader, and the cluster's metadata says where clients go. A group's leader
// that the metadata does not name hands leadership to the one that they name, and claims it for
// itself when that one cannot take it. It takes records only as the leader of both.
//
// Thread: the partition's shard. Source: Raft (Ongaro 2014), Kafka's KIP-497 for the claim.

#include <memory>
#include <optional>

#include "replication/groups/group.h"
#include "replication/hosted_replica.h"
#include "replication/producer_state.h"
#include "replication/replicas.h"
#include "storage/turnstile.h"

namespace qlab::replication {

class ConsensusReplicator final : public HostedReplica,
                                  private GroupOwner,
                                  public std::enable_shared_from_this<ConsensusReplicator> {
 public:
  // A leader's batches that wait to be committed; beyond it an append waits.
  static constexpr std::size_t proposed_bytes_max = 16u << 20;

  // Joins the group, or begins it with these replicas as its voters.
  // Requires: host and context outlive it. Errors: those of Log::read; corrupt, when the log lacks
  // what the group knows to be in it; invalid, when it has records and the group was never here.
  static Task<Result<std::shared_ptr<ConsensusReplicator>>> open(
      GroupHost& host, TopicPartition partition, TopicId topic, std::vector<NodeId> replicas,
      std::unique_ptr<storage::Log> log, const ReplicasContext& context);

  Task<Result<void>> apply(PartitionState state) override;
  // acks=leader waits for a quorum as acks=all does. min.insync.replicas does not count here.
  Task<Result<storage::AppendResult>> append(Bytes batches, Acks acks, Time deadline) override;
  Task<Result<FetchOutcome>> fetch_as_consumer(ConsumerFetch fetch, std::size_t bytes_max) override;
  // Errors: unsupported, always: copies travel in the group.
  Task<Result<FetchOutcome>> fetch_as_replica(ReplicaFetch fetch, LeaderEpoch current,
                                              std::size_t bytes_max) override;
  // Returns once it is committed and done here: the others do it in the same place.
  Task<Result<Offset>> delete_records(Offset before, Time deadline) override;
  storage::Log& log() override { return *log_; }
  Offset high_watermark() const override { return log_->end(); }
  bool is_watermark_known() const override { return true; }
  const PartitionState& state() const override { return state_; }
  bool is_leader() const override;
  Changes& changed() override { return changed_; }
  Task<Result<void>> close() override;

  const TopicPartition& partition() const override { return partition_; }
  bool has_failed() const override { return failed_.has_value(); }
  Task<Result<void>> remove() override;
  Task<Result<void>> clean() override;
  void check_lag() override { reconsider(); }
  void reconsider() override;

  const Group& group() const { return *group_; }

 private:
  ConsensusReplicator(GroupHost& host, TopicPartition partition, GroupId id,
                      std::unique_ptr<storage::Log> log, const ReplicasContext& context);

  void on_committed() override;
  void on_lead(std::optional<Epoch> epoch) override;
  void on_leader_known() override { changed_.notify_all(); }
  Task<Result<void>> catch_up(Offset end) override;
  Task<Result<Settled>> settle() override;
  void on_records(NodeId from, bool is_request, Bytes body) override;

  Result<void> check_epoch(LeaderEpoch current) const;
  Result<void> check_leader(LeaderEpoch current) const;
  Task<Result<void>> wait_for_room(std::size_t bytes, Time deadline);
  Task<Result<void>> wait_applied(Epoch epoch, Offset end, Time deadline);
  Task<void> apply_all();
  Task<Result<void>> apply_some();
  Task<Result<void>> add(Bytes batches);
  Task<void> settle_leadership();
  Task<bool> hand_over();
  Task<Result<IsrAnswer>> propose_isr(std::vector<NodeId> isr, bool claims);
  Task<void> expand_isr(std::vector<NodeId> isr);
  // What a replica that lags asks another for, and gets. An answer is
  //   begin:i64 (as in the request) start:i64 (of the sender's log) is_all:u8 batches
  struct Asked {
    NodeId leader;
    Offset begin;
  };
  struct Records {
    NodeId from;
    Offset start;
    bool is_all;  // Nothing was left to send of what was asked for.
    Bytes batches;
  };
  Task<Result<bool>> copy(Records records);
  // Errors: why it is refused.
  Result<void> take_request(NodeId from, ByteView body);
  Result<void> take_records(NodeId from, Bytes body);
  Task<void> serve_records(NodeId to, Offset from, Offset end);
  Task<void> end_all(bool is_gone);
  void fail_for_good(const Error& error);

  GroupHost& host_;
  runtime::Runtime& runtime_;
  const TopicPartition partition_;
  const GroupId id_;
  const std::unique_ptr<storage::Log> log_;
  const ReplicasContext& context_;
  std::shared_ptr<Group> group_;

  PartitionState state_;
  ProducerState producers_;  // Of what is applied.
  bool closed_ = false;
  std::optional<Error> failed_;  // Why the log takes no more; set once.
  bool applying_ = false;

  // As the group's leader:
  std::optional<Epoch> leads_;
  Offset proposed_end_;             // One past the last record proposed; >= log_->end().
  std::size_t proposed_bytes_ = 0;  // Not applied yet.
  ProducerState proposed_;          // Producers of what is applied and proposed.
  bool settling_ = false;           // Who leads, with the metadata.
  bool expanding_ = false;

  std::optional<Asked> asked_;      // While we catch up.
  std::optional<Records> records_;  // That came as the answer.
  bool serving_ = false;            // Records to a replica that lags; one at a time.

  storage::Turnstile writes_;
  storage::Turnstile reads_;  // Fetches visit; closing is alone.
  Changes changed_;
  runtime::Event records_came_;
  runtime::Gate gate_;
};

}  // namespace qlab::replication
