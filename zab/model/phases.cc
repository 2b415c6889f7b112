// How a node comes into an epoch: election, discovery, synchronisation. Source: Z, phases 1 and 2.
#include <algorithm>

#include "zab/model/zab_state.h"

namespace qlab::zab::model {

using consensus::model::has;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::last_index;
using consensus::model::member_of;

// What a node takes for true of itself, it says in its trace.
void ZabModel::check(const out::Trace& effect) {
  if (effect.action == "FLEDecide") return decide(effect.peer);
  if (effect.action == "LeaderShutdown" || effect.action == "LearnerShutdown") {
    node_->lead.reset();
    node_->session.reset();
    node_->voted = {};
    node_->votes.clear();
    if (heard_ && std::holds_alternative<Notification>(heard_->payload)) {
      hear(std::get<Notification>(heard_->payload));
    }
  }
  if (!node_->lead) return;
  if (effect.action == "LeaderDropsLearner") node_->lead->learners.erase(effect.peer);
  const auto info = node_->infos.find(effect.peer);
  if (effect.action != "LeaderProcessFOLLOWERINFO" || info == node_->infos.end()) return;
  Learner learner;
  learner.link = info->second.first;
  learner.session = info->second.second.session;
  learner.accepted = info->second.second.accepted_epoch;
  node_->lead->learners[effect.peer] = learner;
}

void ZabModel::decide(NodeId leader) {
  require(!node_->lead && !node_->session, elected, "within a session");
  if (leader != node_->self.id) {
    node_->session.emplace();
    node_->session->leader = leader;
    return;
  }
  const bool chosen = is_quorum([&](NodeId id) {
    return id == node_->self.id ||
           std::any_of(node_->votes.begin(), node_->votes.end(), [&](const auto& vote) {
             return vote.first == id && vote.second.leader == node_->self.id;
           });
  });
  require(chosen, elected, "{} votes heard", node_->votes.size());
  const auto* member = member_of(node_->config(), node_->self.id);
  require(member == nullptr || member->weight > 0, weightless, "{}", node_->self.id);
  node_->lead.emplace();
  node_->lead->history_epoch = node_->hard.synced_epoch;
  node_->lead->history = last_id(node_->log);
}

void ZabModel::check(const out::SaveHardState& effect) {
  const HardState& now = node_->hard;
  const HardState& next = effect.state;
  require(next.epoch >= now.epoch && next.synced_epoch >= now.synced_epoch &&
              next.synced_epoch <= next.epoch,
          epoch_grows, "{}, {} after {}, {}", next.epoch, next.synced_epoch, now.epoch,
          now.synced_epoch);
  const bool enters = next.synced_epoch > now.synced_epoch;
  if (node_->lead) {
    if (next.epoch > now.epoch) check_proposed(next.epoch);
    if (enters) begin_epoch(next.synced_epoch);
  } else {
    if (next.epoch > now.epoch) check_accepted(next.epoch);
    if (enters) enter_epoch(next.synced_epoch);
  }
  if (!refusal_) node_->save(effect.seq, next);
}

void ZabModel::check_proposed(Epoch epoch) {
  Leadership& lead = *node_->lead;
  const bool asked =
      is_quorum([&](NodeId id) { return id == node_->self.id || lead.learners.contains(id); });
  require(asked && lead.epoch == Epoch{0}, epoch_proposed, "{} with {} learners", epoch,
          lead.learners.size());
  for (const auto& [id, learner] : lead.learners) {
    require(learner.accepted < epoch, epoch_later, "{}, and {} accepted {}", epoch, id,
            learner.accepted);
  }
  lead.epoch = epoch;
}

void ZabModel::check_accepted(Epoch epoch) {
  require(heard<LeaderInfo>() != nullptr && heard_->epoch == epoch, epoch_accepted, "{}", epoch);
  is_accepted_ = true;
}

void ZabModel::begin_epoch(Epoch epoch) {
  Leadership& lead = *node_->lead;
  const auto ack_of = [&](NodeId id) -> const AckEpoch* {
    const auto learner = lead.learners.find(id);
    const bool counts =
        learner != lead.learners.end() && learner->second.ack && !learner->second.ack->again;
    return counts ? &*learner->second.ack : nullptr;
  };
  const auto accepted = [&](NodeId id) {
    return id == node_->self.id ? node_->disk_hard.epoch == epoch : ack_of(id) != nullptr;
  };
  require(epoch == lead.epoch && is_quorum(accepted), epoch_quorum, "{} of {}", epoch, lead.epoch);
  const auto is_behind = [&](NodeId id) {
    if (id == node_->self.id || !accepted(id)) return accepted(id);
    const AckEpoch& ack = *ack_of(id);
    return std::tie(ack.current_epoch, ack.last) <= std::tie(lead.history_epoch, lead.history);
  };
  require(is_quorum(is_behind), history_latest, "{}.{} of epoch {}", lead.history.epoch,
          lead.history.index, lead.history_epoch);
  const auto [at, added] = epochs_.try_emplace(epoch, Begun{node_->self.id, node_->log});
  require(added, one_leader, "{} leads {}", at->second.leader, epoch);
  lead.is_in_epoch = true;
}

void ZabModel::enter_epoch(Epoch epoch) {
  require(heard<NewLeader>() != nullptr && heard_->epoch == epoch && node_->hard.epoch == epoch,
          enters_epoch, "{} with {} accepted", epoch, node_->hard.epoch);
  if (!refusal_) check_history(epoch);
}

// The initial history, and nothing behind it but what the epoch proposed.
void ZabModel::check_history(Epoch epoch) {
  const auto begun = epochs_.find(epoch);
  if (!require(begun != epochs_.end(), enters_epoch, "{}, which nobody began", epoch)) return;
  const Log& history = begun->second.history;
  const Log& log = node_->log;
  const bool same = log.size() >= history.size() &&
                    std::equal(history.begin(), history.end(), log.begin(), is_same_entry);
  const bool own =
      last_index(log) == last_index(history) || !same || log[history.size()].id.epoch == epoch;
  require(same && own, same_history, "{}.{} with {}.{}", last_id(history).epoch,
          last_id(history).index, last_id(log).epoch, last_id(log).index);
}

void ZabModel::check(const out::LeaderKnown& effect) {
  node_->known = effect.leader;
  if (!effect.leader) return;
  const auto begun = epochs_.find(effect.epoch);
  const bool begins = begun != epochs_.end() && begun->second.leader == *effect.leader;
  if (effect.leader != node_->self.id) {
    const auto& session = node_->session;
    require(session && session->is_up_to_date && session->leader == *effect.leader &&
                session->epoch == effect.epoch && begins && begun->second.is_established,
            leader_known, "{} in {}", *effect.leader, effect.epoch);
    return;
  }
  const bool leads = node_->lead && node_->lead->is_in_epoch && begins &&
                     node_->lead->epoch == effect.epoch &&
                     is_quorum([this](NodeId id) { return is_synced(id); });
  if (!require(leads, established, "in {}", effect.epoch)) return;
  const LogId last = last_id(committed_);
  require(has(node_->log, last), has_committed, "without {}.{}", last.epoch, last.index);
  node_->lead->is_established = true;
  begun->second.is_established = true;
}

void ZabModel::check(const out::Activate& effect) {
  require(serves() && !node_->is_active && effect.epoch == node_->lead->epoch &&
              effect.ready_at == node_->lead->history.index && node_->commit >= effect.ready_at,
          activated, "{} at {} with commit {}", effect.epoch, effect.ready_at, node_->commit);
  node_->is_active = true;
}

void ZabModel::check(const out::Deactivate& effect) {
  require(node_->is_active && !node_->lead, deactivated, "in {}", effect.epoch);
  node_->is_active = false;
}

}  // namespace qlab::zab::model
