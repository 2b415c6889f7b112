// Membership: configurations in the log, learners that catch up, joint consensus.
// Source: dissertation 4; Ongaro, "bug in single-server membership changes" (raft-dev, 2015).
#include <algorithm>

#include "common/check.h"
#include "consensus/config.h"
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Config;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::Member;
using consensus::MemberRole;
using consensus::QuorumUse;

namespace {

constexpr int rounds_max = 10;                // Of catching up.
constexpr int silent_election_timeouts = 10;  // A learner that silent is given up.

bool counts_in(const Config& config, NodeId id) {
  return consensus::voters_of(config).contains(id);
}

bool has_plain_majorities(const Config& config) {
  if (config.election_quorum != 0 || config.commit_quorum != 0) return false;
  return std::all_of(config.members.begin(), config.members.end(), [](const Member& member) {
    return !consensus::counts(member) || (member.weight == 1 && member.group == 0);
  });
}

std::size_t voters_in_one_only(const Config& a, const Config& b) {
  std::size_t count = 0;
  for (const NodeId id : consensus::voters_of(a)) count += counts_in(b, id) ? 0 : 1;
  for (const NodeId id : consensus::voters_of(b)) count += counts_in(a, id) ? 0 : 1;
  return count;
}

struct QuorumSizes {
  std::uint32_t elect;
  std::uint32_t commit;
};
QuorumSizes sizes_of(const Config& config, std::uint32_t voters) {
  const std::uint32_t majority = voters / 2 + 1;
  return {config.election_quorum != 0 ? config.election_quorum : majority,
          config.commit_quorum != 0 ? config.commit_quorum : majority};
}

// Whether among the voters of `old` quorums of both sizes meet. The joint configuration has the new
// sizes for both halves, so the old half passes from its sizes to those.
bool sizes_overlap(const Config& old, const Config& next) {
  if (old.election_quorum == next.election_quorum && old.commit_quorum == next.commit_quorum) {
    return true;
  }
  const auto voters = static_cast<std::uint32_t>(consensus::voters_of(old).size());
  const QuorumSizes before = sizes_of(old, voters);
  const QuorumSizes after = sizes_of(next, voters);
  return after.elect <= voters && after.commit <= voters && before.elect + after.commit > voters &&
         after.elect + before.commit > voters && before.elect + after.elect > voters;
}

bool has_weights(const Config& config) {
  Config plain = config;
  plain.election_quorum = plain.commit_quorum = 0;
  return !has_plain_majorities(plain);
}

}  // namespace

// Whether what `directory` says is the word of the member of that id: a wiped disk is another
// replica (KIP-853). A member without a directory was written by hand, and is any.
bool Raft::is_replica(NodeId id, const std::optional<DirectoryId>& directory) const {
  const Member* member = consensus::find_member(config(), id);
  if (member == nullptr || !directory) return false;
  return member->directory == DirectoryId{} || member->directory == *directory;
}

bool Raft::is_self(const Config& config) const {
  const Member* member = consensus::find_member(config, self_.id);
  return member != nullptr &&
         (member->directory == DirectoryId{} || member->directory == self_.directory);
}

// In either half: a voter that is demoted may lead until the change is over.
bool Raft::may_lead(const Config& config) const {
  if (!is_self(config)) return false;
  for (const auto* members : {&config.members, &config.outgoing}) {
    for (const Member& member : *members) {
      if (member.id == self_.id && member.role == MemberRole::voter) return true;
    }
  }
  return false;
}

// Whoever the last configuration removes may still be needed to commit it (dissertation 4.2.2).
bool Raft::may_campaign() const {
  if (may_lead(config())) return true;
  return configs_.active_at().index > commit_ && may_lead(configs_.previous());
}

bool Raft::is_alone(QuorumUse use) const {
  return is_self(config()) &&
         consensus::is_quorum(config(), use, [this](NodeId id) { return id == self_.id; });
}

void Raft::note_configs(const std::vector<Entry>& entries) {
  bool changed = false;
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::config) continue;
    configs_.append(entry.id, consensus::decode_config(*entry.body).value());
    changed = true;
  }
  if (changed) config_changed();
}

// It counts from the moment it is in the log, and no longer when it is cut from it (4.1).
void Raft::config_changed() {
  emit(out::ConfigActive{config(), configs_.active_at()});
  if (leadership_) keep_peers();
}

// A leader follows the log of every member, of whoever is about to become one, and of whoever has
// connected.
void Raft::keep_peers() {
  Leadership& lead = *leadership_;
  std::set<NodeId> members;
  const auto add = [&](const std::vector<Member>& more) {
    for (const Member& member : more) members.insert(member.id);
  };
  add(config().members);
  add(config().outgoing);
  if (lead.change) add(lead.change->target.members);
  members.erase(self_.id);
  for (const NodeId id : members) lead.peers.try_emplace(id, log_.last().index.next(), now_);
  std::erase_if(lead.peers, [&](const auto& peer) {
    return !members.contains(peer.first) && !links_.contains(peer.first);
  });
}

// Whether the replica of that id has that disk now, as far as we have heard of it.
bool Raft::is_known_as(NodeId id, DirectoryId directory) const {
  if (id == self_.id) return directory == self_.directory;
  const auto peer = leadership_->peers.find(id);
  return peer != leadership_->peers.end() && peer->second.directory() == directory;
}

// Why the change cannot be made; empty when it can.
std::string_view Raft::objection_to(const Config& target) const {
  const Config& now = config();
  if (!target.outgoing.empty() || !consensus::check_config(target)) return "invalid_configuration";
  Config joint = target;
  joint.outgoing = now.members;
  if (!consensus::check_config(joint) || !sizes_overlap(now, target)) {
    return "quorums_would_not_meet";
  }
  const bool sizes_change =
      now.election_quorum != target.election_quorum || now.commit_quorum != target.commit_quorum;
  if (sizes_change && (has_weights(now) || has_weights(target))) return "quorums_would_not_meet";
  for (const Member& member : target.members) {
    const Member* old = consensus::find_member(now, member.id);
    if (old == nullptr) continue;
    const bool was = old->role == MemberRole::witness;
    if (was != (member.role == MemberRole::witness)) return "a_witness_holds_no_bodies";
    if (old->directory == member.directory) continue;
    // Two replicas of one id cannot be told apart in a quorum: one goes before the other comes.
    const bool named = old->directory == DirectoryId{} && is_known_as(member.id, member.directory);
    if (!named) return "another_replica";
  }
  return {};
}

void Raft::on(const in::Reconfigure& input) {
  if (role_ != Role::leader) return answer(input.request, Fate::rejected);
  Leadership& lead = *leadership_;
  if (lead.change || configs_.active_at().index > commit_ || !config().outgoing.empty()) {
    return answer(input.request, Fate::overloaded, {}, "change_under_way");
  }
  // A change of an earlier epoch may be in some log still, and meet this one without a common
  // quorum (Ongaro, 2015): only when an entry of ours is committed it never comes back.
  if (!lead.activated) return answer(input.request, Fate::overloaded, {}, "epoch_not_committed");
  if (handover_) return answer(input.request, Fate::overloaded, {}, "transfer");
  const std::string_view objection = objection_to(input.target);
  if (!objection.empty()) return answer(input.request, Fate::rejected, {}, objection);
  if (input.target == config()) {
    return answer(input.request, Fate::committed, configs_.active_at());
  }
  lead.change = Change{input.request, input.target, now_, 0, {}, now_, std::nullopt};
  keep_peers();
  begin_round();
  go_on_with_change();
}

// Those of the target that count, and do not yet.
std::vector<NodeId> Raft::newcomers() const {
  std::vector<NodeId> found;
  for (const NodeId id : consensus::voters_of(leadership_->change->target)) {
    if (id != self_.id && !counts_in(config(), id)) found.push_back(id);
  }
  return found;
}

void Raft::begin_round() {
  Change& change = *leadership_->change;
  ++change.round;
  change.round_end = log_.last().index;
  change.round_began = now_;
}

// A newcomer would hold up commits until it has the log, so it gets it first: in rounds, each up to
// where the log ended when it began, until one is shorter than an election timeout (4.2.1).
void Raft::go_on_with_change() {
  Leadership& lead = *leadership_;
  if (!lead.change || lead.change->entry) return;
  Change& change = *lead.change;
  if (takes_who_is_bare(change.target)) {
    const consensus::RequestId request = change.request;
    lead.change.reset();
    keep_peers();
    return answer(request, Fate::rejected, {}, "a_witness_holds_no_bodies");
  }
  for (const NodeId id : newcomers()) {
    const Progress& progress = lead.peers.at(id);
    if (now_ - std::max(progress.heard(), change.began) >=
        silent_election_timeouts * tuning_.election_timeout) {
      const consensus::RequestId request = change.request;
      lead.change.reset();
      keep_peers();
      return answer(request, Fate::rejected, {}, "learner_is_silent");
    }
    const Member& member = *consensus::find_member(change.target, id);
    const bool itself = progress.directory() && (member.directory == DirectoryId{} ||
                                                 member.directory == *progress.directory());
    if (!itself || progress.match() < change.round_end) return;
  }
  if (now_ - change.round_began >= tuning_.election_timeout) {
    if (change.round < rounds_max) return begin_round();
    const consensus::RequestId request = change.request;
    lead.change.reset();
    return answer(request, Fate::rejected, {}, "learner_is_slow");
  }
  Config next = change.target;
  const bool direct = has_plain_majorities(config()) && has_plain_majorities(next) &&
                      voters_in_one_only(config(), next) <= 1;
  if (!direct) next.outgoing = config().members;
  append_config(std::move(next));
}

void Raft::append_config(Config config) {
  Leadership& lead = *leadership_;
  CHECK(lead.activated);
  CHECK(configs_.active_at().index <= commit_);
  const consensus::LogId at{hard_state_.epoch, log_.last().index.next()};
  if (lead.change) lead.change->entry = at;
  trace(config.outgoing.empty() ? "AppendConfiguration" : "AppendJointConfiguration");
  auto body = std::make_shared<const Bytes>(consensus::encode_config(config));
  append({Entry{at, EntryKind::config, std::move(body)}});
  replicate_to_all();
}

// The log is committed up to the last configuration, or beyond.
void Raft::config_committed() {
  Leadership& lead = *leadership_;
  CHECK(commit_ >= configs_.active_at().index);
  if (!config().outgoing.empty()) {
    Config next = config();
    next.outgoing.clear();
    return append_config(std::move(next));
  }
  if (lead.change && lead.change->entry && lead.change->entry->index <= commit_) {
    answer(lead.change->request, Fate::committed, *lead.change->entry);
    lead.change.reset();
    keep_peers();
  }
  // One that has left serves until here: nobody else may know of the change (4.2.2).
  if (!may_lead(config())) leave();
}

// Whoever has everything need not wait for a timeout to succeed us (dissertation 4.2.2, 3.10).
void Raft::leave() {
  const NodeId next = best_successor();
  if (next != no_node && leadership_->peers.at(next).confirmed() == log_.last().index) {
    trace("SendTimeoutNow", next);
    send(next, hard_state_.epoch, TimeoutNow{}, consensus::WriteSeq{0});
  }
  give_up_leadership("removed");
}

// Leadership ends.
void Raft::end_change() {
  Leadership& lead = *leadership_;
  if (!lead.change) return;
  const Change change = *std::exchange(lead.change, std::nullopt);
  if (!change.entry) return answer(change.request, Fate::rejected);
  if (!config().outgoing.empty()) return answer(change.request, Fate::unknown);
  doubtful_.push_back(Proposal{change.request, *change.entry, *change.entry});
}

}  // namespace qlab::raft
