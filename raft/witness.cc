// Witnesses: members that vote and acknowledge, and keep no bodies. Not in the dissertation;
// docs/raft.md has the argument.
//
// Safety is Raft's own: a witness' log has the ids of a full one, so it grants votes by the same
// comparison, and whoever wins one has, in full, all that this witness ever acknowledged. What is
// ours is when to use them: an entry on the leader and a witness alone is safe, and out of reach
// while that leader is down.
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::EntryKind;
using consensus::MemberRole;
using consensus::QuorumUse;

bool Raft::is_witness(NodeId id) const {
  const consensus::Member* member = consensus::find_member(config(), id);
  return member != nullptr && member->role == MemberRole::witness;
}

LogIndex Raft::match_of(NodeId id) const {
  if (id == self_.id) return is_self(config()) ? durable_ : LogIndex{0};
  const Progress& progress = leadership_->peers.at(id);
  return is_replica(id, progress.directory()) ? progress.match() : LogIndex{0};
}

// Up to where any full replica that counts has the log durably.
LogIndex Raft::stored_in_full() const {
  LogIndex full;
  for (const NodeId id : consensus::voters_of(config())) {
    if (!is_witness(id)) full = std::max(full, match_of(id));
  }
  return full;
}

// Up to where a quorum has the log durably, and at least one of it in full: two witnesses may be a
// majority of three.
LogIndex Raft::stored_on_quorum() const {
  const auto& members = config().members;
  const bool witnesses = std::any_of(members.begin(), members.end(), [](const auto& member) {
    return member.role == MemberRole::witness;
  });
  const bool left_out = witnesses && !witnesses_stand_in();
  const LogIndex index = consensus::reached_by_quorum<LogIndex>(
      config(), QuorumUse::commit, LogIndex{0},
      [&](NodeId id) { return left_out && is_witness(id) ? LogIndex{0} : match_of(id); });
  return witnesses ? std::min(index, stored_in_full()) : index;
}

// A witness' copy counts only while the full replicas that keep up are no quorum by themselves. One
// on another disk keeps up, and counts for nothing.
bool Raft::witnesses_stand_in() const {
  const Time since = now_ - tuning_.election_timeout;
  return !consensus::is_quorum(config(), QuorumUse::commit, [&](NodeId id) {
    if (is_witness(id)) return false;
    if (id == self_.id) return is_self(config());
    const Progress& progress = leadership_->peers.at(id);
    return links_.contains(id) && is_replica(id, progress.directory()) && progress.keeps_up(since);
  });
}

// How far a witness may get. It must not be ahead of all full replicas but one, or that one is
// needed to elect anybody: it gets what is committed, and so is on enough of them, unless it stands
// in. And never more than a full replica has on its disk, ourselves included: were that lost in a
// crash, nobody could ever win its vote again.
LogIndex Raft::witness_limit() const {
  return witnesses_stand_in() ? std::max(commit_, stored_in_full()) : commit_;
}

void Raft::feed_witnesses() {
  for (const auto& [peer, progress] : leadership_->peers) {
    if (is_witness(peer)) replicate(peer, false);
  }
}

// What is behind a configuration that makes the peer a witness goes there without what it says, but
// for configurations. So when that configuration is cut again, nothing stripped is left.
void Raft::strip(NodeId peer, std::vector<Entry>& entries) const {
  static const auto nothing = std::make_shared<const Bytes>();
  const LogIndex limit = witness_limit();
  while (!entries.empty() && entries.back().id.index > limit) entries.pop_back();
  for (Entry& entry : entries) {
    const consensus::Member* member = consensus::find_member(configs_.at(entry.id.index), peer);
    const bool bare = member != nullptr && member->role == MemberRole::witness;
    if (bare && entry.kind != EntryKind::config) entry = {entry.id, EntryKind::no_op, nothing};
  }
}

// A leader's own no-op begins its epoch: one behind another entry of its epoch was stripped.
void Raft::note_stripped(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (bare_from_) return;
    const bool is_first = log_.epoch_of(entry.id.index.prev()) != entry.id.epoch;
    if (entry.kind == EntryKind::no_op && !is_first) bare_from_ = entry.id.index;
  }
}

// Whether the target has a replica keep everything that is known to have entries without bodies.
bool Raft::takes_who_is_bare(const consensus::Config& target) const {
  return std::any_of(target.members.begin(), target.members.end(), [this](const auto& member) {
    const auto peer = leadership_->peers.find(member.id);
    if (member.role == MemberRole::witness || peer == leadership_->peers.end()) return false;
    const bool is_it =
        member.directory == DirectoryId{} || peer->second.directory() == member.directory;
    return is_it && peer->second.is_bare();
  });
}

}  // namespace qlab::raft
