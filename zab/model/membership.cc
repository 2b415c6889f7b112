// Who votes, and how that changes. Source: S; ZooKeeper's Leader (reconfig).
#include <algorithm>

#include "zab/model/zab_state.h"

namespace qlab::zab::model {

using consensus::Member;
using consensus::MemberRole;
using consensus::model::agree;
using consensus::model::counts_in;
using consensus::model::has;
using consensus::model::id_at;

// Of the last configuration in the log, or of a later one that we heard of. One without an outgoing
// half was decided: what went before it is needed no more.
bool ZabModel::is_quorum(const std::function<bool(NodeId)>& says_yes) const {
  if (agree(node_->config(), 0, says_yes)) return true;
  const LogId ours = id_at(node_->log, node_->config_at());
  return std::any_of(node_->heard_configs.upper_bound(ours), node_->heard_configs.end(),
                     [&](const auto& known) {
                       return known.second.outgoing.empty() && agree(known.second, 0, says_yes);
                     });
}

// In the last configuration, or in one that we heard of.
bool ZabModel::is_voter(NodeId id) const {
  if (counts_in(node_->config(), id)) return true;
  return std::any_of(node_->heard_configs.begin(), node_->heard_configs.end(),
                     [id](const auto& known) { return counts_in(known.second, id); });
}

// In our epoch with our history, durably. Requires: we lead.
bool ZabModel::is_synced(NodeId id) const {
  const Leadership& lead = *node_->lead;
  if (id == node_->self.id) {
    return lead.is_in_epoch && node_->disk_hard.synced_epoch == lead.epoch &&
           node_->is_durable(lead.history);
  }
  const auto learner = lead.learners.find(id);
  return learner != lead.learners.end() && learner->second.is_synced;
}

// What was in force there.
const Config& ZabModel::config_at(LogIndex index) const {
  return std::prev(node_->configs.upper_bound(index))->second;
}

bool ZabModel::knows(LogId at, const Config& config) const {
  const auto known = node_->heard_configs.find(at);
  if (known != node_->heard_configs.end() && known->second == config) return true;
  return has(node_->log, at) && config_at(at.index) == config;
}

void ZabModel::check_change(const Config& next) {
  const Config& now = node_->config();
  require(node_->config_at() <= node_->commit, one_change, "{} is not committed",
          node_->config_at());
  if (!now.outgoing.empty()) {
    require(next.outgoing.empty() && next.members == now.members, both_halves, "not the end of it");
    return;
  }
  require(next.outgoing == now.members, both_halves, "another is outgoing");
  Config target = next;
  target.outgoing.clear();
  const bool in_step = agree(target, 0, [this](NodeId id) { return is_synced(id); });
  require(in_step, joiners_synced, "{} members", target.members.size());
  const bool possible =
      next.election_quorum == 0 && next.commit_quorum == 0 &&
      std::none_of(next.members.begin(), next.members.end(),
                   [](const Member& member) { return member.role == MemberRole::witness; });
  require(possible, both_halves, "with witnesses or quorums of other sizes");
}

// One after the other, when several come at once; the last of them counts.
void ZabModel::check(const out::ConfigActive& effect) {
  const LogId at = effect.at;
  const bool there = has(node_->log, at) && config_at(at.index) == effect.config;
  require(there, in_force, "another at {}.{}", at.epoch, at.index);
  node_->in_force = effect.config;
}

}  // namespace qlab::zab::model
