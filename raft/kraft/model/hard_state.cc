// Epochs, votes and leaders: what a replica remembers. Source: KIP-595, "Quorum State", "Vote";
// KIP-853, "Vote"; KIP-996.
#include <algorithm>

#include "raft/kraft/model/kraft_state.h"

namespace qlab::raft::kraft::model {

using consensus::MemberRole;
using consensus::model::agree;
using consensus::model::last_id;
using consensus::model::last_index;

bool is_voter(const Config& config, ReplicaKey replica) {
  const consensus::Member* member = consensus::model::member_of(config, replica.id);
  return member != nullptr && member->role != MemberRole::observer &&
         consensus::model::is_member(config, replica);
}

// Until a change is committed, those that it removes may be needed to commit it.
bool KraftModel::may_campaign() const {
  const auto& configs = node_->configs;
  auto first = std::prev(configs.upper_bound(node_->commit));
  return std::any_of(first, configs.end(),
                     [this](const auto& known) { return is_voter(known.second, node_->self); });
}

std::optional<NodeId> KraftModel::named_leader() const {
  if (!heard_) return std::nullopt;
  if (heard<BeginQuorumEpoch>() != nullptr || heard<EndQuorumEpoch>() != nullptr) {
    return heard_->from;
  }
  if (const auto* response = heard<FetchResponse>()) {
    return response->status == FetchStatus::ok ? std::optional(heard_->from) : response->leader;
  }
  if (const auto* response = heard<FetchSnapshotResponse>()) return response->leader;
  if (const auto* response = heard<VoteResponse>()) return response->leader;
  if (const auto* response = heard<BeginQuorumEpochResponse>()) return response->leader;
  return std::nullopt;
}

void KraftModel::check(const out::SaveHardState& effect) {
  const HardState& now = node_->hard;
  const HardState& next = effect.state;
  const bool is_new = next.epoch > now.epoch;
  require(next.epoch >= now.epoch, epoch_grows, "{} after {}", next.epoch, now.epoch);
  if (is_new) {
    check_new_epoch(next);
  } else {
    require(!now.vote || next.vote == now.vote, one_vote, "another in {}", now.epoch);
    require(!now.leader || next.leader == now.leader, one_leader, "another in {}", now.epoch);
  }
  const bool votes = next.vote && (is_new || next.vote != now.vote);
  if (votes && next.vote != node_->self) check_vote(next);
  if (next.leader && (is_new || next.leader != now.leader)) check_leader(next);
  if (refusal_) return;
  if (is_new) {
    node_->role = next.vote == node_->self ? Role::candidate : Role::unattached;
    node_->follows.reset();
    node_->piece.reset();
    node_->fetchers.clear();
  } else if (votes) {
    node_->role = Role::unattached;
  }
  if (next.leader) node_->role = *next.leader == node_->self.id ? Role::leader : Role::follower;
  node_->ballot.reset();
  node_->hears_leader = false;
  node_->open.reset();
  node_->save(effect.seq, next);
}

void KraftModel::check_new_epoch(const HardState& next) {
  const HardState& now = node_->hard;
  const bool follows_ours = next.epoch == now.epoch.next();
  if (next.vote != node_->self) {
    const bool after_resigning =
        node_->role == Role::resigned && follows_ours && !next.vote && !next.leader;
    require(after_resigning || (heard_ && heard_->epoch == next.epoch), epoch_heard, "{} after {}",
            next.epoch, now.epoch);
    return;
  }
  require(!leads() && follows_ours && !next.leader, candidate_next, "{} after {}", next.epoch,
          now.epoch);
  require(may_campaign(), candidate_voter, "in {}", next.epoch);
  if (!node_->asks_first) return;
  const Config& config = node_->config();
  const auto& ballot = node_->ballot;
  const bool won = agree(config, config.election_quorum, [&](NodeId id) {
    return id == node_->self.id || (ballot && ballot->pre_vote && ballot->granted.contains(id));
  });
  require(won, pre_vote_won, "{} yes before {}", ballot ? ballot->granted.size() : 0, next.epoch);
}

void KraftModel::check_vote(const HardState& next) {
  const auto* vote = heard<Vote>();
  const bool is_asked = vote != nullptr && !vote->pre_vote && heard_->epoch == next.epoch &&
                        is_for_us(vote->voter) &&
                        *next.vote == ReplicaKey{heard_->from, vote->candidate};
  if (!require(is_asked, vote_asked, "for {} in {}", next.vote->id, next.epoch)) return;
  const LogId last = last_id(node_->log);
  require(vote->last >= last, vote_up_to_date, "{}.{} against {}.{}", vote->last.epoch,
          vote->last.index, last.epoch, last.index);
  require(!next.leader, vote_unled, "{} leads {}", next.leader.value_or(no_node), next.epoch);
}

void KraftModel::check_leader(const HardState& next) {
  if (*next.leader == node_->self.id) return check_elected(next.epoch);
  const auto leader = leaders_.find(next.epoch);
  const bool known = leader != leaders_.end() && leader->second.id == *next.leader && heard_ &&
                     heard_->epoch == next.epoch && named_leader() == next.leader;
  require(known, leader_known, "{} in {}", *next.leader, next.epoch);
}

void KraftModel::check_elected(Epoch epoch) {
  require(node_->role != Role::resigned, resigned_is_over, "{} led {} before", node_->self.id,
          epoch);
  const Config& config = node_->config();
  const auto& ballot = node_->ballot;
  const bool durable = node_->disk_hard == node_->hard && node_->hard.vote == node_->self;
  const bool elected = agree(config, config.election_quorum, [&](NodeId id) {
    if (id == node_->self.id) return is_voter(config, node_->self);
    return ballot && !ballot->pre_vote && ballot->granted.contains(id);
  });
  require(node_->role == Role::candidate && durable && elected, leader_elected, "{} votes in {}",
          ballot ? ballot->granted.size() : 0, epoch);
  const auto [at, added] = leaders_.try_emplace(epoch, node_->self);
  require(added || at->second == node_->self, one_leader, "{} leads {}", at->second.id, epoch);
  node_->epoch_start = last_index(node_->log).next();
  node_->led_since = node_->now;
  node_->fetchers.clear();
}

}  // namespace qlab::raft::kraft::model
