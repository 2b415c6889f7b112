// Phase 3: proposals and commits in one order, for as long as a quorum is heard.
// Source: Zab, phase 3; ZooKeeper's Leader (PROPOSAL, ACK, COMMIT, INFORM) and its tick.
#include "common/check.h"
#include "consensus/quorum.h"
#include "zab/zab.h"

namespace qlab::zab {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;

void Zab::on(const in::Propose& input) {
  CHECK(!input.bodies.empty());
  if (!leadership_ || leadership_->phase != Phase::broadcast ||
      input.expect_epoch.value_or(leadership_->epoch) != leadership_->epoch) {
    return answer(input.request, Fate::rejected);
  }
  Leadership& lead = *leadership_;
  std::uint64_t bytes = 0;
  for (const auto& body : input.bodies) bytes += body->size();
  if (lead.uncommitted_bytes > 0 &&
      lead.uncommitted_bytes + bytes > tuning_.uncommitted_bytes_max) {
    return answer(input.request, Fate::overloaded);
  }
  if (!has_room_for(input.bodies.size())) {
    answer(input.request, Fate::rejected);
    return look("zxid_rollover");
  }
  std::vector<Entry> entries;
  LogIndex next = log_.last().index;
  for (const auto& body : input.bodies) {
    next = next.next();
    entries.push_back(Entry{{lead.epoch, next}, EntryKind::data, body});
  }
  lead.uncommitted_bytes += bytes;
  lead.proposals.push_back({input.request, entries.front().id, entries.back().id, bytes});
  append(std::move(entries));
  feed_all();  // In parallel with our own write.
}

// Whether the epoch's counter can still number them.
bool Zab::has_room_for(std::size_t entries) const {
  const auto used = static_cast<std::uint64_t>(log_.last().index - leadership_->history.index);
  return used + entries <= options_.counter_max;
}

void Zab::feed_all() {
  for (const auto& [peer, learner] : leadership_->learners) feed(peer);
}

// To a voter what is proposed; to an observer what is committed.
void Zab::feed_broadcast(NodeId peer, Learner& learner) {
  const bool votes = configs_.is_voter(peer);
  const LogIndex end = votes ? log_.last().index : commit_;
  while (learner.next <= end) {
    if (learner.window.is_full(tuning_.inflight_messages_max, tuning_.inflight_bytes_max)) return;
    const LogId previous{*log_.epoch_of(learner.next.prev()), learner.next.prev()};
    auto entries = log_.read(learner.next, tuning_.batch_bytes_max);
    while (entries.back().id.index > end) entries.pop_back();
    std::uint64_t bytes = 0;
    for (const Entry& entry : entries) bytes += entry.body->size();
    learner.next = entries.back().id.index.next();
    learner.window.sent(learner.next.prev(), bytes);
    if (votes) {
      send(peer, leadership_->epoch, Proposal{learner.session, previous, std::move(entries)});
    } else {
      learner.told = learner.next.prev();
      send(peer, leadership_->epoch, Inform{learner.session, previous, std::move(entries)});
    }
  }
}

// Everything up to what a quorum of those that are in our epoch has durably.
void Zab::advance_leader_commit() {
  if (!leadership_ || leadership_->phase != Phase::broadcast) return;
  Leadership& lead = *leadership_;
  const auto stored = [&](NodeId id) {
    if (id == self_.id) return durable_;
    const auto learner = lead.learners.find(id);
    const bool is_in = learner != lead.learners.end() && learner->second.is_synced();
    return is_in ? learner->second.match : LogIndex{0};
  };
  const auto index = consensus::reached_by_quorum<LogIndex>(
      configs_.in_force(), consensus::QuorumUse::commit, commit_, stored);
  if (index <= commit_) return;
  advance_commit(index);
  while (!lead.proposals.empty() && lead.proposals.front().last.index <= commit_) {
    lead.uncommitted_bytes -= lead.proposals.front().bytes;
    answer(lead.proposals.front().request, Fate::committed, lead.proposals.front().last);
    lead.proposals.pop_front();
  }
  advance_change();
  if (!leadership_) return;  // Handed over.
  for (auto& [peer, learner] : lead.learners) {
    if (!configs_.is_voter(peer)) feed(peer);
    tell_commit(peer, learner);
  }
}

void Zab::tell_commit(NodeId peer, Learner& learner) {
  if (!learner.is_forwarded()) return;
  const LogIndex known = std::min(commit_, learner.next.prev());
  if (known <= learner.told) return;
  learner.told = known;
  send(peer, leadership_->epoch, Commit{learner.session, known});
}

// In our epoch with our history, durably.
bool Zab::is_synced(NodeId id) const {
  if (id == self_.id) return written_ >= leadership_->seq;
  const auto learner = leadership_->learners.find(id);
  return learner != leadership_->learners.end() && learner->second.is_synced();
}

bool Zab::has_synced_quorum() const {
  return is_quorum([this](NodeId id) { return is_synced(id); });
}

// Without a quorum of learners we lead nobody: another may, without our knowing.
void Zab::drop_learner(NodeId peer, std::string_view reason) {
  trace("LeaderDropsLearner", peer, reason);
  leadership_->learners.erase(peer);
  if (leadership_->phase == Phase::broadcast && !has_synced_quorum()) look("no_quorum");
}

// Ends their sessions, and lets them know by ending our streams to them.
void Zab::cut_learners(const std::vector<NodeId>& peers, std::string_view reason) {
  for (const NodeId peer : peers) {
    if (!leadership_) return;
    if (links_.contains(peer)) emit(out::CloseLink{peer});
    drop_learner(peer, reason);
  }
}

Duration Zab::limit_of(const Learner& learner) const {
  return learner.is_synced() ? sync_limit_ : init_limit_;
}

void Zab::on_leader_timer() {
  if (leadership_->phase != Phase::broadcast && now_ >= leadership_->deadline) {
    return look("init_limit");
  }
  std::vector<NodeId> silent;
  for (const auto& [peer, learner] : leadership_->learners) {
    if (now_ >= learner.heard + limit_of(learner)) silent.push_back(peer);
  }
  cut_learners(silent, "silent");
  if (!leadership_ || now_ < leadership_->ping_due) return;
  leadership_->ping_due = now_ + tuning_.heartbeat_interval;
  ping_all();
}

void Zab::on_learner_timer() {
  const bool serves = session_->phase == Phase::broadcast;
  if (now_ < session_->heard + (serves ? sync_limit_ : init_limit_)) return;
  look(serves ? "sync_limit" : "init_limit");
}

void Zab::handle(NodeId from, Epoch epoch, const Proposal& proposal) {
  const Session* session = session_with(from, proposal.session, epoch);
  if (session == nullptr) return;
  if (!session->is_acknowledged) return trace("DropProposal", from, "before_new_leader");
  for (const Entry& entry : proposal.entries) {
    if (entry.id.epoch != epoch) return trace("DropProposal", from, "of_another_epoch");
  }
  accept_entries("DropProposal", proposal.previous, proposal.entries);
}

// Acknowledged is what the learner has durably, which a commit needs; and its window opens.
void Zab::handle(NodeId from, Epoch epoch, const Ack& ack) {
  Learner* learner = learner_of(from, ack.session, epoch);
  if (learner == nullptr) return;
  if (learner->stage < Stage::diff || ack.up_to >= learner->next || ack.up_to < learner->match) {
    return trace("DropAck", from, "not_asked");
  }
  learner->match = ack.up_to;
  learner->window.acknowledged(ack.up_to);
  advance_leader_commit();
  if (leadership_ && leadership_->learners.contains(from)) feed(from);
}

// Between NEWLEADER and UPTODATE we know of a commit, and do not act on it (ZOOKEEPER-4394).
void Zab::handle(NodeId from, Epoch epoch, const Commit& commit) {
  Session* session = session_with(from, commit.session, epoch);
  if (session == nullptr) return;
  if (!session->is_acknowledged) return trace("DropCommit", from, "before_new_leader");
  if (commit.up_to > log_.last().index) {
    trace("DropCommit", from, "gap");
    return look("gap");
  }
  session->commit = std::max(session->commit, commit.up_to);
  if (session->phase == Phase::broadcast) advance_commit(session->commit);
}

void Zab::handle(NodeId from, Epoch epoch, const Inform& inform) {
  Session* session = session_with(from, inform.session, epoch);
  if (session == nullptr) return;
  if (!session->is_acknowledged) return trace("DropInform", from, "before_new_leader");
  if (!accept_entries("DropInform", inform.previous, inform.entries)) return;
  session->commit = std::max(session->commit, log_.last().index);
  if (session->phase == Phase::broadcast) advance_commit(session->commit);
}

}  // namespace qlab::zab
