#include "raft/model/raft_model.h"

#include <algorithm>

#include "raft/model/raft_state.h"

namespace qlab::raft::model {

using consensus::EntryKind;
using consensus::Member;
using consensus::MemberRole;
using consensus::ReplicaKey;
using consensus::model::agree;
using consensus::model::counts_in;
using consensus::model::has;
using consensus::model::id_at;
using consensus::model::is_member;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::last_index;
using consensus::model::member_of;

std::optional<Refusal> RaftModel::recover(ReplicaKey self, const consensus::Recovery& recovery,
                                          const consensus::LogView& log) {
  if (refusal_) return std::nullopt;
  Node node;
  const auto before = nodes_.find(self.id);
  if (before != nodes_.end() && before->second.self == self) {
    static_cast<Replica&>(node) = std::move(before->second);
  }
  node.self = self;
  if (nodes_.empty()) {
    configured_ = recovery.base;
    note_witnesses(configured_);
  }
  node.configs.try_emplace(LogIndex{0}, configured_);
  node_ = &(nodes_[self.id] = std::move(node));
  const bool possible = node_->recover(recovery, log, committed_);
  require(possible, recovers, "last={}.{} epoch={}", log.last().epoch, log.last().index,
          recovery.hard_state.epoch);
  return refusal_;
}

std::optional<Refusal> RaftModel::step(NodeId id, const Input& input,
                                       const std::vector<Effect>& effects,
                                       const consensus::Status& status) {
  if (refusal_) return std::nullopt;
  node_ = &nodes_.at(id);
  heard_.reset();
  is_timer_ = std::holds_alternative<in::Timer>(input);
  if (const auto* done = std::get_if<in::WriteDone>(&input)) node_->finish(done->up_to, committed_);
  if (const auto* read = std::get_if<in::Read>(&input)) {
    node_->reads[read->request] = group_commit();
  }
  if (const auto* receive = std::get_if<in::Receive>(&input)) take(*receive);
  for (const Effect& effect : effects) {
    std::visit([this](const auto& alternative) { check(alternative); }, effect);
    if (refusal_) return refusal_;
  }
  const auto* asks = heard_ ? std::get_if<VoteRequest>(&heard_->payload) : nullptr;
  const auto* replies = heard_ ? std::get_if<VoteReply>(&heard_->payload) : nullptr;
  const bool names_term = heard_ && asks == nullptr && (replies == nullptr || !replies->pre_vote);
  if (names_term) {
    require(node_->hard.epoch >= heard_->epoch, term_adopted, "{} after {}", node_->hard.epoch,
            heard_->epoch);
  }
  require(status.epoch == node_->hard.epoch && status.commit == node_->commit &&
              status.last == last_id(node_->log) && (status.role == "leader") == leads(),
          agrees, "role={} epoch={} commit={} last={}.{}", status.role, status.epoch, status.commit,
          status.last.epoch, status.last.index);
  return refusal_;
}

// What an answer tells us counts in the term that it is of.
void RaftModel::take(const in::Receive& input) {
  auto payload = decode(*input.message);
  if (!payload) return;  // Then nothing may come of it.
  heard_ = Heard{input.from, input.message->epoch, std::move(*payload)};
  const auto* vote = heard<VoteReply>();
  if (vote != nullptr && !vote->pre_vote && vote->granted && node_->role == Node::Role::candidate) {
    node_->votes[input.from] = vote->directory;
  }
  const auto* ack = heard<AppendReply>();
  if (ack == nullptr || !ack->accepted || !leads() || ack->match > last_index(node_->log)) return;
  Node::Ack& known = node_->acks[input.from];
  if (known.directory != ack->directory) known = {ack->directory, {}};
  known.match = std::max(known.match, ack->match);
}

void RaftModel::note_witnesses(const Config& config) {
  for (const Member& member : config.members) {
    if (member.role == MemberRole::witness) witnesses_.insert(member.id);
  }
}

bool RaftModel::is_witness(NodeId id) const {
  return witnesses_.contains(id);
}

LogIndex RaftModel::acked_by(NodeId id) const {
  const auto ack = node_->acks.find(id);
  const bool known =
      ack != node_->acks.end() && is_member(node_->config(), {id, ack->second.directory});
  return known ? ack->second.match : LogIndex{0};
}

void RaftModel::check(const out::SaveHardState& effect) {
  const HardState& now = node_->hard;
  const HardState& next = effect.state;
  require(next.epoch >= now.epoch, term_grows, "{} after {}", next.epoch, now.epoch);
  const bool candidacy = next.epoch > now.epoch && next.vote == node_->self;
  if (candidacy) {
    require(!leads() && next.epoch == now.epoch.next(), timeout_next, "{} after {}", next.epoch,
            now.epoch);
  } else if (next.epoch > now.epoch) {
    require(heard_ && heard_->epoch == next.epoch, term_heard, "{} after {}", next.epoch,
            now.epoch);
  } else {
    require(!now.vote || next.vote == now.vote, one_vote, "another in {}", now.epoch);
  }
  if (!candidacy && next.vote && (next.epoch > now.epoch || next.vote != now.vote)) {
    check_vote(next);
  }
  if (next.epoch > now.epoch) {
    node_->role = candidacy ? Node::Role::candidate : Node::Role::follower;
    node_->votes.clear();
    node_->acks.clear();
  }
  node_->save(effect.seq, next);
}

void RaftModel::check_vote(const HardState& state) {
  const auto* request = heard_ ? std::get_if<VoteRequest>(&heard_->payload) : nullptr;
  const bool asked = request != nullptr && !request->pre_vote && heard_->epoch == state.epoch &&
                     *state.vote == ReplicaKey{heard_->from, request->directory};
  if (!require(asked, vote_asked, "for {} in {}", state.vote->id, state.epoch)) return;
  const LogId last = last_id(node_->log);
  require(request->last >= last, vote_up_to_date, "{}.{} against {}.{}", request->last.epoch,
          request->last.index, last.epoch, last.index);
}

void RaftModel::check(const out::Append& effect) {
  LogId last = last_id(node_->log);
  for (const Entry& entry : effect.entries) {
    const bool follows = entry.id.index == last.index.next() && entry.id.epoch >= last.epoch &&
                         entry.id.epoch <= node_->hard.epoch;
    if (!require(follows, log_follows, "{}.{} after {}.{}", entry.id.epoch, entry.id.index,
                 last.epoch, last.index)) {
      return;
    }
    last = entry.id;
  }
  if (leads()) {
    check_lead_append(effect.entries);
  } else {
    const auto* request = heard<AppendRequest>();
    if (!require(request != nullptr, who_appends, "{}.{} unasked", last.epoch, last.index)) return;
    for (const Entry& entry : effect.entries) {
      const auto sent =
          std::find_if(request->entries.begin(), request->entries.end(),
                       [&](const Entry& other) { return is_same_entry(entry, other); });
      require(sent != request->entries.end(), who_appends, "{}.{}", entry.id.epoch, entry.id.index);
    }
    const LogId previous = request->previous;
    require(previous.index >= last_index(node_->log) || has(node_->log, previous), who_appends,
            "behind {}.{}, which is not here", previous.epoch, previous.index);
  }
  if (!refusal_) node_->append(effect.seq, effect.entries);
}

void RaftModel::check_lead_append(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    require(entry.id.epoch == node_->hard.epoch, own_term, "{}.{} in {}", entry.id.epoch,
            entry.id.index, node_->hard.epoch);
    require(entry.id.index != node_->epoch_start || entry.kind == EntryKind::no_op, no_op_first,
            "kind {}", static_cast<int>(entry.kind));
    if (entry.kind != EntryKind::config) continue;
    Replica next;
    next.append({}, {entry});
    if (require(!next.configs.empty(), step_of_change, "no configuration")) {
      check_change(next.config());
    }
  }
}

void RaftModel::check_change(const Config& next) {
  note_witnesses(next);
  const Config& now = node_->config();
  require(node_->config_at() <= node_->commit, one_change, "{} is not committed",
          node_->config_at());
  require(id_at(node_->log, node_->commit).epoch == node_->hard.epoch, own_epoch_first, "commit={}",
          node_->commit);
  if (!now.outgoing.empty()) {
    require(next.outgoing.empty() && next.members == now.members, step_of_change,
            "not the joint's");
    return;
  }
  if (!next.outgoing.empty()) {
    require(next.outgoing == now.members, step_of_change, "outgoing is another");
    return;
  }
  std::set<NodeId> changed;
  for (const auto* half : {&now.members, &next.members}) {
    for (const Member& member : *half) {
      if (counts_in(now, member.id) != counts_in(next, member.id)) changed.insert(member.id);
    }
  }
  require(changed.size() <= 1, step_of_change, "{} at once", changed.size());
}

void RaftModel::check(const out::Truncate& effect) {
  const auto* request = heard<AppendRequest>();
  if (!require(!leads() && request != nullptr, only_conflicts, "from {} unasked", effect.from)) {
    return;
  }
  require(effect.from > node_->commit, committed_stays, "from {} with commit {}", effect.from,
          node_->commit);
  const bool conflicts =
      std::any_of(request->entries.begin(), request->entries.end(), [&](const Entry& entry) {
        return entry.id.index == effect.from && !has(node_->log, entry.id);
      });
  require(conflicts && effect.from <= last_index(node_->log) && has(node_->log, request->previous),
          only_conflicts, "from {}", effect.from);
  if (!refusal_) node_->truncate(effect.seq, effect.from);
}

void RaftModel::check(const out::InstallSnapshot& effect) {
  const auto* request = heard<SnapshotRequest>();
  const bool whole = request != nullptr && !leads() && request->image == effect.meta &&
                     request->position + request->bytes->size() == effect.meta.size;
  require(whole && effect.meta.last.index > node_->commit, image_whole, "{}.{}",
          effect.meta.last.epoch, effect.meta.last.index);
  require(has(committed_, effect.meta.last), image_committed, "{}.{}", effect.meta.last.epoch,
          effect.meta.last.index);
  if (refusal_) return;
  node_->install(effect.seq, effect.meta.last, committed_);
  require(node_->config() == effect.meta.config || !has(node_->log, effect.meta.last), in_force,
          "an image with another at {}", effect.meta.last.index);
}

void RaftModel::check(const out::Commit& effect) {
  require(effect.up_to > node_->commit && effect.up_to <= last_index(node_->log), commit_grows,
          "{} after {}", effect.up_to, node_->commit);
  if (refusal_) return;
  if (leads()) {
    check_lead_commit(effect.up_to);
  } else {
    check_follow_commit(effect.up_to);
  }
  if (!refusal_) commit(effect.up_to);
}

void RaftModel::check_lead_commit(LogIndex up_to) {
  const LogId id = id_at(node_->log, up_to);
  const Config& config = node_->config();
  require(id.epoch == node_->hard.epoch, commit_own_term, "{}.{} in {}", id.epoch, id.index,
          node_->hard.epoch);
  bool in_full = false;
  const bool stored = agree(config, config.commit_quorum, [&](NodeId member) {
    const bool itself = member == node_->self.id;
    const bool there = itself ? is_member(config, node_->self) && node_->is_durable(id)
                              : acked_by(member) >= up_to;
    in_full = in_full || (there && !is_witness(member));
    return there;
  });
  require(stored, commit_quorum, "{}.{}", id.epoch, id.index);
  require(in_full, commit_in_full, "{}.{}", id.epoch, id.index);
}

void RaftModel::check_follow_commit(LogIndex up_to) {
  LogIndex allowed;
  if (const auto* request = heard<AppendRequest>()) {
    const LogId end = request->entries.empty() ? request->previous : request->entries.back().id;
    if (has(node_->log, end)) allowed = std::min(request->commit, end.index);
  } else if (const auto* heartbeat = heard<Heartbeat>()) {
    allowed = heartbeat->commit;
  } else if (const auto* image = heard<SnapshotRequest>()) {
    if (has(node_->log, image->image.last)) allowed = image->image.last.index;
  }
  require(up_to <= allowed, commit_told, "{} with {} allowed", up_to, allowed);
  require(up_to <= group_commit(), commit_told, "{}, and nobody led so far", up_to);
}

// State machine safety, for whoever commits.
void RaftModel::commit(LogIndex up_to) {
  for (LogIndex index = node_->commit.next(); index <= up_to; index = index.next()) {
    const auto at = static_cast<std::size_t>(index.value() - 1);
    const Entry& entry = node_->log[at];
    if (index > group_commit()) {
      committed_.push_back(entry);
      continue;
    }
    const bool same = is_witness(node_->self.id) ? entry.id == committed_[at].id
                                                 : is_same_entry(entry, committed_[at]);
    require(same, one_history, "{}.{} against {}.{}", entry.id.epoch, index,
            committed_[at].id.epoch, index);
  }
  node_->commit = up_to;
}

void RaftModel::check(const out::LeaderKnown& effect) {
  check_term(effect.epoch);
  if (effect.leader != node_->self.id) {
    if (leads() || effect.leader) node_->role = Node::Role::follower;
    if (!effect.leader) return;
    const auto leader = leaders_.find(effect.epoch);
    require(leader != leaders_.end() && leader->second == *effect.leader, leader_known, "{} in {}",
            *effect.leader, effect.epoch);
    return;
  }
  const Config& config = node_->config();
  const bool durable = node_->disk_hard == node_->hard && node_->hard.vote == node_->self;
  const bool elected = agree(config, config.election_quorum, [&](NodeId id) {
    if (id == node_->self.id) return durable && is_member(config, node_->self);
    const auto vote = node_->votes.find(id);
    return vote != node_->votes.end() && is_member(config, {id, vote->second});
  });
  require(node_->role == Node::Role::candidate && durable && elected, leader_elected,
          "{} votes in {}", node_->votes.size(), effect.epoch);
  const auto [at, added] = leaders_.try_emplace(effect.epoch, node_->self.id);
  require(added, one_leader, "{} leads {}", at->second, effect.epoch);
  const Member* member = member_of(config, node_->self.id);
  require(member == nullptr || member->role != MemberRole::witness, witness_follows, "in {}",
          effect.epoch);
  node_->role = Node::Role::leader;
  node_->epoch_start = last_index(node_->log).next();
  node_->acks.clear();
}

void RaftModel::check(const out::Activate& effect) {
  require(leads() && effect.epoch == node_->hard.epoch && effect.ready_at == node_->epoch_start &&
              node_->commit >= effect.ready_at,
          active_leader, "{} at {}", effect.epoch, effect.ready_at);
}

void RaftModel::check(const out::ConfigActive& effect) {
  require(effect.config == node_->config(), in_force, "another, of {}", effect.at.index);
  note_witnesses(effect.config);
}

void RaftModel::check(const out::Outcome& effect) {
  if (effect.fate != consensus::Fate::committed || effect.at.index == LogIndex{0}) return;
  require(has(committed_, effect.at), answered, "{}.{}", effect.at.epoch, effect.at.index);
}

void RaftModel::check(const out::ReadReady& effect) {
  const auto read = node_->reads.find(effect.request);
  const LogIndex least = read == node_->reads.end() ? LogIndex{0} : read->second;
  require(effect.wait_applied >= least, read_fresh, "{} with {} committed", effect.wait_applied,
          least);
}

std::shared_ptr<consensus::model::Model> make_raft_model() {
  return std::make_shared<RaftModel>();
}

}  // namespace qlab::raft::model
