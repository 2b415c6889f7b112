#pragma once
// Who votes, as far as a node knows: by its own log, by a later configuration that it heard of, and
// by those that its peers go by. While a change is under way these differ. Pure.
//
// Source: ZooKeeper's lastSeenQuorumVerifier, which travels with notifications.

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "consensus/types.h"

namespace qlab::zab {

// Whether what the node says weighs anything: it votes in one half, and not with weight 0.
bool has_weight(const consensus::Config& config, NodeId node);

class Configurations {
 public:
  struct Known {
    consensus::LogId at;  // Its entry, or the image it was in force at; 0: as configured.
    consensus::Config config;
  };

  // `base` is what the entries behind the image change.
  Configurations(Known logged, consensus::Config base);

  // The last in our log, committed or not.
  const Known& logged() const { return logged_; }
  // What we go by: that, or a later one that others have. Such a one is decided, as the entry that
  // needs both halves was committed: nothing needs the old half any more, and it may be gone.
  const consensus::Config& in_force() const { return latest().config; }
  consensus::LogId at() const { return latest().at; }
  bool is_voter(NodeId node) const { return voters_.contains(node); }  // In either half.
  bool weighs(NodeId node) const { return has_weight(in_force(), node); }

  // Our log changes: it gets one; is cut before `from`; an image takes the place of what lies
  // before its end, or (`whole`) of everything. True: logged() is another.
  void append(Known entry);
  bool truncate(LogIndex from, consensus::LogId image);
  void compact(const consensus::SnapshotMeta& image);
  bool install(const consensus::SnapshotMeta& image, bool whole);

  // A peer says where its configuration is, and names it if it knows that ours is another.
  void hear(NodeId peer, consensus::LogId at, const std::optional<consensus::Config>& config);
  // Goes by one that others have, if it is later than ours and decided. True: who votes changes.
  bool adopt(consensus::LogId at, const consensus::Config& config);
  // Our stream to the peer ended: what it goes by is nothing to us, as it will not follow us.
  void forget(NodeId peer) { heard_.erase(peer); }

  // What to tell a peer in a notification: ours, when its own is another.
  std::optional<consensus::Config> news_for(NodeId peer);
  // Whether it said that its own is another, and was not told ours since our stream began.
  bool is_untold(NodeId peer) const;
  void begin_stream(NodeId peer) { told_.erase(peer); }

  // A leader needs the quorums of the configuration it goes by itself.
  const consensus::Config& of(NodeId candidate) const;
  // In ours, or in one of those that our peers go by.
  bool is_voter_anywhere(NodeId node) const;
  bool weighs_anywhere(NodeId node) const;
  const std::map<NodeId, Known>& heard() const { return heard_; }

 private:
  const Known& latest() const { return adopted_ ? *adopted_ : logged_; }
  void set_logged(Known known);

  Known logged_;
  consensus::Config base_;
  std::deque<Known> entries_;  // Of the log behind the image, ascending.
  std::optional<Known> adopted_;
  std::set<NodeId> voters_;                  // Of the one in force, both halves.
  std::map<NodeId, Known> heard_;            // That peers go by and ours is another.
  std::map<NodeId, consensus::LogId> at_;    // Where theirs is, as they said last.
  std::map<NodeId, consensus::LogId> told_;  // Where ours was when we told them.
};

}  // namespace qlab::zab
