// Leading: proposals, the high watermark, BeginQuorumEpoch, check-quorum.
// Source: KIP-595; KAFKA-15489 (check-quorum), KAFKA-16536 (BeginQuorumEpoch goes on).
#include "common/check.h"
#include "consensus/quorum.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::QuorumUse;
using consensus::WriteSeq;

void Kraft::on(const in::Propose& input) {
  CHECK(!input.bodies.empty());
  const Epoch epoch = hard_state_.epoch;
  if (state_ != State::leader || input.expect_epoch.value_or(epoch) != epoch) {
    return answer(input.request, Fate::rejected);
  }
  // Who is to take over must be able to catch up.
  if (leadership_->handover) return answer(input.request, Fate::overloaded);
  std::uint64_t bytes = 0;
  for (const auto& body : input.bodies) bytes += body->size();
  const std::uint64_t before = proposals_.uncommitted_bytes();
  if (before > 0 && before + bytes > tuning_.uncommitted_bytes_max) {
    return answer(input.request, Fate::overloaded);
  }
  std::vector<Entry> entries;
  LogIndex next = log_.last().index;
  for (const auto& body : input.bodies) {
    next = next.next();
    entries.push_back(Entry{{epoch, next}, EntryKind::data, body});
  }
  proposals_.add({input.request, entries.front().id, entries.back().id, bytes});
  append(std::move(entries));
  serve_parked();  // In parallel with our own write (Raft dissertation 10.2.1).
}

// Tells a voter that we lead: nobody would ask us else. After our leadership is durable.
void Kraft::begin_epoch(NodeId peer) {
  const consensus::Member* voter = consensus::find_member(config(), peer);
  send(peer, BeginQuorumEpoch{voter->directory}, hard_seq_);
}

void Kraft::handle(NodeId from, Epoch epoch, const BeginQuorumEpochResponse& response) {
  if (!learn(from, epoch, response.leader)) return;
  if (state_ == State::follower) return fetch();
  if (state_ != State::leader) return;
  const auto replica = leadership_->replicas.find(from);
  if (replica != leadership_->replicas.end()) replica->second.acknowledge_epoch();
}

// What a voter has durably: by its fetches, and ourselves by our own writes.
LogIndex Kraft::match_of(NodeId voter) const {
  if (voter == self_.id) return is_voter() ? durable_ : LogIndex{0};
  const auto replica = leadership_->replicas.find(voter);
  if (replica == leadership_->replicas.end()) return LogIndex{0};
  const bool same_disk = kraft::is_voter(config(), {voter, replica->second.directory()});
  return same_disk ? replica->second.match() : LogIndex{0};
}

// Only up to an entry of our own epoch, and with it all before it (KIP-595; Raft 5.4.2).
void Kraft::advance_high_watermark() {
  const LogIndex reached = consensus::reached_by_quorum<LogIndex>(
      config(), QuorumUse::commit, LogIndex{0}, [this](NodeId voter) { return match_of(voter); });
  if (reached <= commit_ || reached < leadership_->epoch_start) return;
  commit(reached);
  serve_parked();
  serve_reads();
  advance_change();
}

// Since when a quorum, ourselves among it if we vote, has been fetching.
Time Kraft::quorum_contact() const {
  const auto contact = [this](NodeId voter) {
    if (voter == self_.id) return is_voter() ? now_ : Time::min();
    const auto replica = leadership_->replicas.find(voter);
    return replica == leadership_->replicas.end() ? Time::min() : replica->second.contact();
  };
  return consensus::reached_by_quorum<Time>(config(), QuorumUse::commit, Time::min(), contact);
}

// A leader that a quorum has not fetched from for 1.5 fetch timeouts may have been replaced. One
// that is a quorum by itself never resigns for that (KAFKA-16144), one that is no voter does not
// count (KAFKA-16531).
Time Kraft::quorum_deadline() const {
  const bool alone = is_voter() && other_voters().empty();
  if (!tuning_.check_quorum || alone) return Time::max();
  return quorum_contact() + fetch_timeout() * 3 / 2;
}

Time Kraft::leader_deadline() const {
  const Leadership& lead = *leadership_;
  Time due = quorum_deadline();
  if (!other_voters().empty()) due = std::min(due, lead.begin_due);
  if (lead.change) due = std::min(due, lead.change->deadline);
  if (lead.handover) due = std::min(due, lead.handover->deadline);
  for (const auto& [peer, replica] : lead.replicas) {
    if (replica.parked) due = std::min(due, replica.parked->until);
  }
  return due;
}

void Kraft::on_leader_timer() {
  if (now_ >= quorum_deadline()) return resign("check_quorum");
  Leadership& lead = *leadership_;
  if (now_ >= lead.begin_due) {
    lead.begin_due = now_ + fetch_timeout() / 2;
    for (const NodeId voter : other_voters()) {
      const Replica& replica = lead.replicas.try_emplace(voter, now_).first->second;
      const bool fetches = replica.has_fetched() && now_ - replica.contact() < fetch_timeout() / 2;
      if (!fetches) begin_epoch(voter);
    }
  }
  for (auto& [peer, replica] : lead.replicas) {
    if (!replica.parked || now_ < replica.parked->until) continue;
    const Fetch fetch = replica.parked->fetch;
    serve(peer, fetch, true);
  }
  if (lead.change && now_ >= lead.change->deadline) {
    const bool begun = lead.change->appended > LogIndex{0};
    end_change(begun ? Fate::unknown : Fate::rejected, "voter_not_caught_up");
  }
  if (lead.handover && now_ >= lead.handover->deadline) {
    answer(lead.handover->request, Fate::rejected, "successor_not_caught_up");
    lead.handover.reset();
  }
}

}  // namespace qlab::raft::kraft
