// Elections: pre-vote, votes, stickiness. Source: Raft 5.2, 5.4.1; dissertation 4.2.3, 9.6.
#include "common/check.h"
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::QuorumUse;
using consensus::ReplicaKey;

// Uniform in [T, 2T), or as wide as it was set, so that two followers seldom campaign at once
// (Raft 5.2). In the first T after the leader's link broke there is nobody to hear from, only
// rivals to stay clear of: a tenth of that. Not for longer, or one that no leader can reach outruns
// every election with its epochs.
void Raft::reset_election_deadline() {
  const bool hurries = leader_suspected_ && now_ - leader_suspected_at_ < tuning_.election_timeout;
  const Duration base = hurries ? tuning_.election_timeout / 10 : tuning_.election_timeout;
  const bool is_set = tuning_.election_spread > Duration{} && !hurries;
  const auto spread = static_cast<std::uint64_t>((is_set ? tuning_.election_spread : base).count());
  election_deadline_ = now_ + base + Duration(static_cast<Duration::rep>(random_.below(spread)));
  deadline_reason_ = hurries ? "link_down" : "election_timeout";
}

void Raft::start_election() {
  emit(out::ElectionStarted{hard_state_.epoch.next(), deadline_reason_});
  if (tuning_.pre_vote) {
    become_pre_candidate();
  } else {
    become_candidate(false);
  }
}

// Asks whether an election could be won, before our epoch moves and disturbs anybody.
void Raft::become_pre_candidate() {
  role_ = Role::pre_candidate;
  transferred_ = false;
  trace("BecomePreCandidate", no_node, deadline_reason_);
  reset_election_deadline();
  votes_.clear();
  for (const NodeId voter : consensus::voters_of(config())) ask_for_vote(voter);
  count_vote(self_.id, self_.directory, true);
}

void Raft::become_candidate(bool transfer) {
  save_hard_state(hard_state_.epoch.next(), self_);
  role_ = Role::candidate;
  transferred_ = transfer;
  trace("BecomeCandidate");
  reset_election_deadline();
  votes_.clear();
  set_leader(std::nullopt);
  for (const NodeId voter : consensus::voters_of(config())) ask_for_vote(voter);
}

// A request for a real vote waits for our own: were it lost in a crash together with the end of our
// log, we could ask again in this epoch with a shorter log, and count answers to the longer one.
void Raft::ask_for_vote(NodeId peer) {
  if (peer == self_.id || !consensus::voters_of(config()).contains(peer)) return;
  const bool pre = role_ == Role::pre_candidate;
  const Epoch epoch = pre ? hard_state_.epoch.next() : hard_state_.epoch;
  send(peer, epoch, VoteRequest{pre, transferred_, self_.directory, log_.last()},
       pre ? consensus::WriteSeq{0} : hard_seq_);
}

// Ours counts only if the configuration names us: whoever is being removed may still campaign
// (dissertation 4.2.2).
void Raft::count_vote(NodeId from, DirectoryId directory, bool granted) {
  const bool counts = from == self_.id || is_replica(from, directory);
  if (!counts) return trace("DropRequestVoteResponse", from, "no_member");
  votes_[from] = granted;
  const auto says = [this](bool what) {
    return [this, what](NodeId id) {
      const auto vote = votes_.find(id);
      return vote != votes_.end() && vote->second == what;
    };
  };
  if (!consensus::is_quorum_possible(config(), QuorumUse::elect, says(false))) {
    return become_follower(hard_state_.epoch, leader_);
  }
  if (!consensus::is_quorum(config(), QuorumUse::elect, says(true))) return;
  if (role_ == Role::pre_candidate) {
    become_candidate(false);
  } else {
    become_leader();
  }
}

// Whether to ignore whoever wants to replace the leader (dissertation 4.2.3). Without check-quorum
// a leader that hears of nobody would hold its followers for ever, so it is off then.
bool Raft::hears_leader() const {
  if (!tuning_.check_quorum) return false;
  if (role_ == Role::leader) return true;
  // Whom we heard before a restart is forgotten, and may hold a lease (reads.cc).
  if (tuning_.lease_reads && hard_state_.epoch > Epoch{0} &&
      now_ - started_ < tuning_.election_timeout) {
    return true;
  }
  return role_ == Role::follower && leader_ && !leader_suspected_ &&
         now_ - leader_heard_ < tuning_.election_timeout;
}

void Raft::handle(NodeId from, Epoch epoch, const VoteRequest& request) {
  const bool up_to_date = request.last >= log_.last();  // Raft 5.4.1.
  if (request.pre_vote) {
    const std::string_view why_not = epoch <= hard_state_.epoch ? "epoch_is_over"
                                     : !up_to_date              ? "log_is_behind"
                                     : hears_leader()           ? "hears_leader"
                                                                : "";
    const bool granted = why_not.empty();
    trace(granted ? "GrantPreVote" : "RefusePreVote", from, why_not);
    send(from, granted ? epoch : hard_state_.epoch, VoteReply{true, granted, self_.directory},
         hard_seq_);
    return;
  }
  const ReplicaKey candidate{from, request.directory};
  const bool free = hard_state_.vote ? *hard_state_.vote == candidate : !leader_;
  const bool granted = free && up_to_date;
  if (granted && !hard_state_.vote) {
    save_hard_state(epoch, candidate);
    trace("GrantVote", from);
    reset_election_deadline();
  }
  if (!granted) {
    trace("RefuseVote", from,
          free               ? "log_is_behind"
          : hard_state_.vote ? "voted_for_another"
                             : "knows_leader");
  }
  send(from, epoch, VoteReply{false, granted, self_.directory}, hard_seq_);
}

void Raft::handle(NodeId from, Epoch epoch, const VoteReply& reply) {
  if (reply.pre_vote) {
    const Epoch asked = reply.granted ? hard_state_.epoch.next() : hard_state_.epoch;
    if (role_ != Role::pre_candidate || epoch != asked) {
      return trace("DropRequestVoteResponse", from, "not_asked");
    }
    return count_vote(from, reply.directory, reply.granted);
  }
  if (role_ != Role::candidate) return trace("DropRequestVoteResponse", from, "not_asked");
  count_vote(from, reply.directory, reply.granted);
}

void Raft::become_leader() {
  CHECK(role_ == Role::candidate);
  role_ = Role::leader;
  leadership_.emplace();
  taken_.clear();
  leadership_->heartbeat_due = now_ + tuning_.heartbeat_interval;
  const LogIndex next = log_.last().index.next();
  leadership_->epoch_start = next;
  if (handover_) end_handover(consensus::Fate::rejected, "leads_again");
  keep_peers();
  for (const auto& [peer, link] : links_) leadership_->peers.try_emplace(peer, next, now_);
  trace("BecomeLeader");
  set_leader(self_.id);
  // What earlier epochs left behind is committed through an entry of our own (Raft 5.4.2, 8).
  append({consensus::Entry{
      {hard_state_.epoch, next}, consensus::EntryKind::no_op, std::make_shared<const Bytes>()}});
  replicate_to_all();
}

}  // namespace qlab::raft
