#pragma once
// The event-sourced controller: decides while its consensus group leads, stands by otherwise.
//
// It decides on an image of its own: the committed one with all that it decided since. Losing
// leadership drops that image and nothing else, so failover needs no reload (KIP-500).
//
// Thread: the home shard. Decisions are made in one go from the request to the proposal, without an
// await between.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "consensus/driver.h"
#include "controller/controller.h"
#include "controller/options.h"
#include "controller/quorum/creation_pace.h"
#include "controller/quorum/decisions.h"
#include "controller/quorum/sessions.h"
#include "metadata/publisher.h"
#include "runtime/async.h"

namespace qlab::controller {

// Errors of every request: not_leader (not active, or no longer), unknown_outcome (leadership was
// lost while the decision was on its way), fenced (the broker's epoch is stale).
class ActiveController {
 public:
  ActiveController(runtime::Runtime& runtime, const metadata::Publisher& publisher,
                   ControllerOptions options);

  // Requires: before any request; the driver outlives this.
  void bind(consensus::Driver& driver) { driver_ = &driver; }
  // Ends the watch over sessions.
  Task<void> stop();

  void activate(Epoch epoch);
  void deactivate(Epoch epoch);
  bool is_active() const { return epoch_.has_value(); }
  std::optional<Epoch> epoch() const { return epoch_; }  // In which it is active.

  Task<Result<BrokerEpoch>> register_broker(Registration registration);
  Task<Result<HeartbeatReply>> heartbeat(Heartbeat heartbeat);
  Task<Result<std::vector<TopicOutcome>>> create_topics(std::vector<NewTopic> topics,
                                                        bool validate_only);
  Task<Result<std::vector<TopicOutcome>>> delete_topics(std::vector<std::string> names);
  Task<Result<std::vector<AlterationOutcome>>> alter_partition(AlterPartition request);
  Task<Result<ProducerIdBlock>> allocate_producer_ids(NodeId broker, BrokerEpoch epoch);
  // As of Controller::administer.
  Task<Result<Bytes>> administer(std::int16_t api_key, Bytes request);

 private:
  // Replays the records onto the decided image, proposes them, and returns when they are committed
  // and published; what is more than an entry holds goes in several, adjacent. With no records it
  // returns when everything decided before is: an answer must not tell of what may yet be dropped.
  Task<Result<void>> commit(metadata::Records records);
  Task<Result<void>> settle();
  Result<const metadata::Broker*> known(NodeId broker, BrokerEpoch epoch) const;
  // Commits a decision and, piece by piece, what is left of it. Returns how many records that took.
  Task<Result<std::size_t>> walk(PartitionWalk walk);
  Task<Result<std::size_t>> carry_out(LongDecision decision);
  // The same while the broker is not to be unfenced.
  Task<Result<std::size_t>> remove(NodeId broker, LongDecision decision);
  // Moves what the broker leads; returns whether nothing is left to move and all have heard of it.
  Task<Result<bool>> hand_over(NodeId broker);
  bool all_have(LogIndex offset, NodeId except) const;

  // The loops of the active controller.
  Task<void> watch_sessions(Epoch epoch);
  // `unfinished`: removes the topics that were forming when the epoch began.
  Task<void> finish_what_is_left(Epoch epoch, metadata::Records unfinished);
  Task<void> rebalance(Epoch epoch);
  Task<void> fence(NodeId broker, std::string_view reason);

  template <class Request, class Decide>
  Task<Result<Bytes>> carry_out_call(Bytes request, Decide decide);
  Task<Result<Bytes>> elect_all(Bytes request);

  runtime::Runtime& runtime_;
  const metadata::Publisher& publisher_;
  ControllerOptions options_;
  consensus::Driver* driver_ = nullptr;

  std::optional<Epoch> epoch_;  // In which we are active.
  metadata::ImagePtr
      decided_;  // Committed image plus what was decided since; never null while active.
  std::uint64_t decided_count_ = 0;    // Batches decided in this epoch.
  std::uint64_t committed_count_ = 0;  // committed_count_ <= decided_count_
  Sessions sessions_;
  CreationPace creation_pace_;
  std::multiset<NodeId> leaving_;           // Removals that are under way.
  std::map<NodeId, LogIndex> handed_over_;  // Of brokers that shut down: the last of their moves.
  runtime::Event progress_;                 // A batch was committed, or we are no longer active.
  runtime::Gate gate_;
};

}  // namespace qlab::controller
