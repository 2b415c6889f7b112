// Voters that come and go, one at a time. Source: KIP-853, AddRaftVoter, RemoveRaftVoter,
// UpdateRaftVoter.
#include <algorithm>

#include "consensus/config.h"
#include "consensus/quorum.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::Config;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::Member;
using consensus::MemberRole;

namespace {

bool is_voter_of(const Config& config, const Member& member) {
  const Member* there = consensus::find_member(config, member.id);
  return there != nullptr && consensus::counts(*there);
}

// Whose disk the member is on is another, for sure.
bool is_other_disk(const Member& a, const Member& b) {
  return a.directory != b.directory && a.directory != DirectoryId{} && b.directory != DirectoryId{};
}

void put(Config& config, const Member& member) {
  std::erase_if(config.members, [&](const Member& m) { return m.id == member.id; });
  config.members.push_back(member);
  std::sort(config.members.begin(), config.members.end());
}

// The next configuration on the way to the target, with one voter more or less; whoever only
// watches and what else is said of a voter (UpdateRaftVoter) follows in the same. Voters come
// before others go, so that the group never has fewer than it has to. A voter on another disk is
// another voter: the old one goes first, as both have one id.
Config next_towards(const Config& now, const Config& target) {
  Config next = target;
  next.members.clear();
  for (const Member& member : now.members) {
    if (consensus::counts(member)) next.members.push_back(member);
  }
  for (const Member& member : target.members) {
    const Member* there = consensus::find_member(now, member.id);
    const bool votes = there != nullptr && consensus::counts(*there);
    if (votes != consensus::counts(member)) continue;
    if (!votes || !is_other_disk(*there, member)) put(next, member);
  }
  for (const Member& member : target.members) {
    if (!consensus::counts(member) || is_voter_of(now, member)) continue;
    put(next, member);
    return next;
  }
  for (const Member& member : now.members) {
    if (!consensus::counts(member)) continue;
    const Member* wanted = consensus::find_member(target, member.id);
    const bool stays = wanted != nullptr && consensus::counts(*wanted);
    if (stays && !is_other_disk(member, *wanted)) continue;
    std::erase_if(next.members, [&](const Member& m) { return m.id == member.id; });
    if (wanted != nullptr && !stays) put(next, *wanted);
    return next;
  }
  return next;
}

std::string_view refusal_of(const Config& target) {
  if (!target.outgoing.empty()) return "joint_configuration";
  if (target.election_quorum != 0 || target.commit_quorum != 0) return "not_a_majority";
  for (const Member& member : target.members) {
    if (member.role == MemberRole::witness) return "witness";
    if (member.weight != 1 || member.group != 0) return "not_a_majority";
  }
  if (!consensus::check_config(target)) return "invalid_configuration";
  return {};
}

}  // namespace

// Carried out as a sequence of changes by one voter, each committed before the next is appended.
// Not before an entry of our own epoch is committed: else a change of a leader before us could
// still be under way (Ongaro, raft-dev 2015).
void Kraft::on(const in::Reconfigure& input) {
  if (state_ != State::leader) return answer(input.request, Fate::rejected);
  Leadership& lead = *leadership_;
  if (lead.change) return answer(input.request, Fate::overloaded);
  std::string_view refusal = refusal_of(input.target);
  if (refusal.empty()) refusal = refusal_of(config());
  if (refusal.empty() && !lead.activated) refusal = "epoch_start_not_committed";
  if (!refusal.empty()) return answer(input.request, Fate::rejected, refusal);
  lead.change = Change{input.request, input.target, LogIndex{0}, now_ + 10 * fetch_timeout()};
  advance_change();
}

// Whether an observer has had, within the last fetch timeout, all that we had (KIP-853).
bool Kraft::is_caught_up(const Member& member) const {
  const auto replica = leadership_->replicas.find(member.id);
  if (replica == leadership_->replicas.end() || !replica->second.caught_up()) return false;
  const DirectoryId disk = replica->second.directory();
  if (member.directory != DirectoryId{} && member.directory != disk) return false;
  return now_ - *replica->second.caught_up() <= fetch_timeout();
}

void Kraft::advance_change() {
  if (!leadership_) return;
  if (!leadership_->change) {
    // A change that removes us may be of a leader before us, and still want committing.
    if (!is_voter() && voters_.at().index <= commit_ && leadership_->activated) resign("removed");
    return;
  }
  Change& change = *leadership_->change;
  if (voters_.at().index > commit_) return;  // Also one that was given up before it was committed.
  const Config next = next_towards(config(), change.target);
  if (next == config()) return end_change(Fate::committed);
  for (const Member& member : next.members) {
    const bool is_added = consensus::counts(member) && !is_voter_of(config(), member);
    if (is_added && member.id != self_.id && !is_caught_up(member)) return;
  }
  const consensus::LogId id{hard_state_.epoch, log_.last().index.next()};
  change.appended = id.index;
  change.deadline = now_ + 10 * fetch_timeout();
  trace("AppendVoters");
  append({Entry{id, EntryKind::config, std::make_shared<const Bytes>(encode_config(next))}});
  serve_parked();
}

// A leader that is no voter any more goes once that is committed, and not before (KIP-853).
void Kraft::end_change(Fate fate, std::string_view reason) {
  const Change change = *std::exchange(leadership_->change, std::nullopt);
  out::Outcome outcome{change.request, fate, {}, std::nullopt, reason};
  if (fate == Fate::committed) outcome.at = voters_.at();
  emit(outcome);
  if (fate == Fate::committed && !is_voter()) resign("removed");
}

}  // namespace qlab::raft::kraft
