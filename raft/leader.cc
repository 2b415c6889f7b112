// Leading: proposals, commit, heartbeats, check-quorum.
// Source: Raft 5.3, 5.4.2; dissertation 6.2, 10.2.1.
#include "common/check.h"
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;
using consensus::QuorumUse;
using consensus::WriteSeq;

void Raft::answer(consensus::RequestId request, Fate fate, LogId at, std::string_view reason) {
  const auto hint = fate == Fate::rejected && leader_ != self_.id ? leader_ : std::nullopt;
  emit(out::Outcome{request, fate, at, hint, reason});
}

void Raft::conclude(const Proposal& proposal, Fate fate) {
  const LogId at = fate == Fate::committed ? proposal.last : LogId{};
  if (!proposal.asker) return answer(proposal.request, fate, at);
  // What is committed is so without us; a refusal tells of nothing that a crash could take back.
  send(proposal.asker->node, hard_state_.epoch, ForwardReply{proposal.asker->ticket, fate, at},
       hard_seq_);
}

void Raft::on(const in::Propose& input) {
  CHECK(!input.bodies.empty());
  const Epoch epoch = hard_state_.epoch;
  const bool in_time = input.expect_epoch.value_or(epoch) == epoch;
  const bool can_forward = tuning_.forward_proposals && role_ != Role::leader && leader_ &&
                           !input.expect_epoch && links_.contains(*leader_);
  if (can_forward) return forward(input);
  if (role_ != Role::leader || !in_time) return answer(input.request, Fate::rejected);
  propose(input.bodies, Proposal{input.request, {}, {}});
}

// False: it was refused, and its maker was told.
bool Raft::propose(std::vector<std::shared_ptr<const Bytes>> bodies, Proposal proposal) {
  Leadership& lead = *leadership_;
  for (const auto& body : bodies) proposal.bytes += body->size();
  const bool full = lead.uncommitted_bytes > 0 &&
                    lead.uncommitted_bytes + proposal.bytes > tuning_.uncommitted_bytes_max;
  // While leadership is handed over the successor must catch up (dissertation 3.10).
  if (full || handover_) {
    conclude(proposal, full ? Fate::overloaded : Fate::rejected);
    return false;
  }
  std::vector<Entry> entries;
  LogIndex next = log_.last().index;
  for (auto& body : bodies) {
    next = next.next();
    entries.push_back(Entry{{hard_state_.epoch, next}, EntryKind::data, std::move(body)});
  }
  lead.uncommitted_bytes += proposal.bytes;
  proposal.first = entries.front().id;
  proposal.last = entries.back().id;
  lead.proposals.push_back(std::move(proposal));
  append(std::move(entries));
  replicate_to_all();  // In parallel with our own write (dissertation 10.2.1).
  return true;
}

// An entry is committed when a quorum has it durably and it is of our own epoch; earlier ones are
// committed with it, never by counting (Raft 5.4.2, figure 8). May end our leadership.
void Raft::advance_leader_commit() {
  const LogIndex index = stored_on_quorum();
  if (index > commit_ && log_.epoch_of(index) == hard_state_.epoch) lead_commit(index);
  if (leadership_) feed_witnesses();
}

void Raft::lead_commit(LogIndex index) {
  Leadership& lead = *leadership_;
  advance_commit(index);
  if (!lead.activated && commit_ >= lead.epoch_start) {
    lead.activated = true;
    trace("AdvanceCommitIndex");
    emit(out::Activate{hard_state_.epoch, lead.epoch_start});
  }
  while (!lead.proposals.empty() && lead.proposals.front().last.index <= commit_) {
    lead.uncommitted_bytes -= lead.proposals.front().bytes;
    conclude(lead.proposals.front(), Fate::committed);
    lead.proposals.pop_front();
  }
  for (auto& [peer, progress] : lead.peers) tell_commit(peer, progress);
  if (commit_ >= configs_.active_at().index) config_committed();
}

// Since when a quorum, ourselves in it if we count, has been heard of.
Time Raft::quorum_contact() const {
  return consensus::reached_by_quorum<Time>(config(), QuorumUse::commit, Time{}, [this](NodeId id) {
    if (id == self_.id) return is_self(config()) ? now_ : Time{};
    return leadership_->peers.at(id).heard();
  });
}

void Raft::on_leader_timer() {
  // A leader that a quorum has not answered for an election timeout may have been replaced; its
  // clients should look elsewhere (dissertation 6.2).
  if (tuning_.check_quorum && !is_alone(QuorumUse::commit) &&
      now_ - quorum_contact() >= tuning_.election_timeout) {
    return give_up_leadership("check_quorum");
  }
  if (now_ < leadership_->heartbeat_due) return;
  leadership_->heartbeat_due = now_ + tuning_.heartbeat_interval;
  send_heartbeats();
  go_on_with_change();
  advance_leader_commit();  // A full replica that is silent now lets witnesses stand in.
}

void Raft::give_up_leadership(std::string_view reason) {
  trace("StepDown", no_node, reason);
  become_follower(hard_state_.epoch, std::nullopt);
}

void Raft::end_leadership() {
  if (leadership_->activated) emit(out::Deactivate{hard_state_.epoch});
  for (const PendingRead& read : leadership_->reads) refuse_read(read);
  for (const Proposal& proposal : leadership_->proposals) {
    if (proposal.asker) {
      conclude(proposal, Fate::unknown);
    } else {
      doubtful_.push_back(proposal);
    }
  }
  end_change();
  if (!doubtful_.empty()) doubtful_deadline_ = now_ + tuning_.election_timeout;
  leadership_.reset();
}

void Raft::handle(NodeId from, Epoch, const AppendReply& reply) {
  Progress* progress = answers_to(from, reply.directory);
  if (progress == nullptr) return;
  if (reply.match > log_.last().index) return trace("DropAppendEntriesResponse", from, "match");
  progress->set_bare(reply.bare);
  if (reply.accepted) {
    progress->accepted(reply.match, now_);
    if (reply.match > commit_) advance_leader_commit();
    if (!leadership_ || !leadership_->peers.contains(from)) return;  // A change was committed.
    tell_commit(from, *progress);
    go_on_with_change();
    go_on_with_handover();
  } else {
    // Where the peer's last candidate lies in our log: the end of its epoch here, or before.
    const LogIndex ours = log_.end_of_epoch(reply.hint.epoch).index;
    if (!progress->refused(reply.rejected, std::min(ours, reply.hint.index))) return;
  }
  replicate(from, false);
}

void Raft::handle(NodeId from, Epoch, const HeartbeatReply& reply) {
  Progress* progress = answers_to(from, reply.directory);
  if (progress == nullptr) return;
  if (reply.round > leadership_->round) return trace("DropAppendEntriesResponse", from, "round");
  progress->acknowledge_round(reply.round);
  serve_reads();
  // Still behind: what was sent may be lost (where links do not keep what they take).
  if (progress->phase() == Progress::Phase::snapshot) {
    if (progress->snapshot_stalls()) offer_snapshot(from);
    return;
  }
  progress->allow_probe();
  if (progress->match() < log_.last().index) replicate(from, true);
}

}  // namespace qlab::raft
