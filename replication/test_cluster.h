#pragma once
// Three simulated nodes with one partition (and idle ones), and a controller that is the test
// itself.
//
// Each node runs the real Replicas, fetchers included, and a small server for their Fetch requests.
// The test's controller keeps the metadata image and follows the rules of controller/election.h in
// the plainest form.

#include <map>
#include <memory>
#include <vector>

#include "metadata/image.h"
#include "replication/groups/group_host.h"
#include "replication/isr_replicator.h"
#include "replication/replicas.h"
#include "runtime/simulated/run.h"

namespace qlab::replication {

class TestCluster {
 public:
  // `partitions`: the first is the one that all of this is about, the others are there.
  // `groups`: the module of their consensus groups; without, they are copied by fetching.
  explicit TestCluster(std::uint64_t seed, ReplicationOptions options = {},
                       std::int32_t partitions = 1, consensus::ModuleFactory groups = nullptr);
  ~TestCluster();

  runtime::SimulatedWorld& world() { return world_; }
  Replicator* replica(NodeId node);
  NodeId leader() const { return partition().leader; }
  std::vector<NodeId> isr() const { return partition().isr; }

  // Appends one batch of one record at the leader; true once acknowledged.
  bool produce(std::string value, Acks acks, Duration limit = std::chrono::seconds(5));
  Result<storage::AppendResult> append(NodeId node, Bytes batch, Acks acks, Duration limit);

  // Crashes a node; the controller takes it out of the ISR and moves its leadership.
  void crash(NodeId node, runtime::CrashOptions how);
  // The controller gives the partition to another member of the ISR; nobody crashes.
  void move_leadership(NodeId to);
  // Boots it; the controller gives a leaderless partition a leader.
  void restart(NodeId node);
  // While it is mute, a node takes Fetch requests and never answers them, not even later.
  void set_mute(NodeId node, bool is_mute) { mute_[node] = is_mute; }
  // The node keeps none of the fetch sessions that it has.
  void forget_sessions(NodeId node);
  // Proposals so far with a member that has restarted since it fetched.
  int stale_members() const { return stale_members_; }
  bool is_up(NodeId node) const { return up_.at(node); }

  // Runs until all nodes that are up have the leader's log and watermark. Errors: timed_out.
  Result<void> converge(Duration limit);
  // How often a partition was looked at for fetches so far, to ask as a follower and to answer as a
  // leader.
  struct Looks {
    std::uint64_t asking = 0;
    std::uint64_t answering = 0;
  };
  Looks looks(NodeId node);
  // What the groups of a node share. Requires: groups; the node is up.
  const GroupHost& groups(NodeId node);
  // The groups of a node that is up get a message, as if a link from that peer had brought it.
  void tell_groups(NodeId node, NodeId from, const GroupItem& item);
  // Values of the records below the watermark, in order, as `node` has them.
  std::vector<std::string> values(NodeId node);

  static inline const std::string topic = "orders";
  static inline const TopicId topic_id{1, 2};
  static constexpr PartitionIndex index{0};
  static inline const std::vector<NodeId> nodes{NodeId{1}, NodeId{2}, NodeId{3}};

 private:
  struct Program;
  const metadata::Partition& partition() const { return *image_->partition(topic_id, index); }
  static metadata::Records registration_of(NodeId node, BrokerEpoch epoch);
  runtime::Boot boot_of(NodeId node);
  void decide(metadata::Records records);
  Task<Result<IsrAnswer>> alter_isr(NodeId from, IsrProposal proposal);

  ReplicationOptions options_;
  const consensus::ModuleFactory groups_;
  std::map<NodeId, bool> up_;
  std::map<NodeId, bool> mute_;
  metadata::ImagePtr image_ = std::make_shared<const metadata::Image>();
  std::int64_t entries_ = 0;
  int stale_members_ = 0;
  std::map<NodeId, Time> news_due_;
  std::map<NodeId, std::weak_ptr<Program>> programs_;
  runtime::SimulatedWorld
      world_;  // Destroyed first: the programs' last acts find everything else still there.
};

}  // namespace qlab::replication
