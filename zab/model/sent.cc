// What a leader says to its learners. Source: Z l.1.1 to l.3.4; ZooKeeper's LearnerHandler, Leader.
#include <algorithm>

#include "zab/model/zab_state.h"

namespace qlab::zab::model {

using consensus::model::counts_in;
using consensus::model::has;
using consensus::model::is_same_entry;

// Null: refused.
Learner* ZabModel::receiver(const out::Send& send, SessionNumber session) {
  if (!require(node_->lead.has_value(), who_leads, "to {}", send.to)) return nullptr;
  Leadership& lead = *node_->lead;
  require(send.message->epoch == lead.epoch && lead.epoch == node_->hard.epoch, message_epoch,
          "{} in {}", send.message->epoch, lead.epoch);
  const auto learner = lead.learners.find(send.to);
  const bool ours = learner != lead.learners.end() && learner->second.session == session;
  require(ours, of_session, "to {} in session {}", send.to, session);
  return refusal_ ? nullptr : &learner->second;
}

void ZabModel::check_sent(const out::Send& send, const LeaderInfo& info) {
  if (receiver(send, info.session) == nullptr) return;
  require(node_->hard_state_after(send.after).epoch == node_->lead->epoch, epoch_saved_first,
          "{} after write {}", node_->lead->epoch, send.after);
}

// Who gets our history: it has accepted the epoch, and we are in it.
Learner* ZabModel::syncing(const out::Send& send, SessionNumber session) {
  Learner* learner = receiver(send, session);
  if (learner == nullptr) return nullptr;
  require(node_->lead->is_in_epoch, who_leads, "to {} in {}", send.to, node_->lead->epoch);
  require(learner->ack.has_value() && !learner->new_leader, in_order, "to {}", send.to);
  return refusal_ ? nullptr : learner;
}

// Who was sent NEWLEADER.
Learner* ZabModel::forwarded(const out::Send& send, SessionNumber session) {
  Learner* learner = receiver(send, session);
  if (learner == nullptr) return nullptr;
  require(learner->new_leader.has_value(), in_order, "to {} before NEWLEADER", send.to);
  return refusal_ ? nullptr : learner;
}

void ZabModel::check_sent(const out::Send& send, const Trunc& trunc) {
  Learner* learner = syncing(send, trunc.session);
  if (learner == nullptr) return;
  require(has(node_->log, trunc.to), own_history, "{}.{}", trunc.to.epoch, trunc.to.index);
  const Node& other = nodes_.at(send.to);
  const bool syncs = other.session && other.session->leader == node_->self.id &&
                     other.session->number == trunc.session && !other.session->is_acknowledged;
  require(trunc.to.index < learner->sent.index && (!syncs || has(other.log, trunc.to)), trunc_back,
          "{}.{}", trunc.to.epoch, trunc.to.index);
  learner->sent = trunc.to;
}

// Entries behind what the learner was sent so far.
void ZabModel::check_run(Learner& learner, LogId previous, const std::vector<Entry>& entries) {
  require(previous == learner.sent, in_order, "behind {}.{} and not {}.{}", previous.epoch,
          previous.index, learner.sent.epoch, learner.sent.index);
  require(has(node_->log, previous), own_history, "behind {}.{}", previous.epoch, previous.index);
  for (const Entry& entry : entries) {
    const bool ours =
        has(node_->log, entry.id) &&
        is_same_entry(entry, node_->log[static_cast<std::size_t>(entry.id.index.value() - 1)]);
    if (!require(ours, own_history, "{}.{}", entry.id.epoch, entry.id.index)) return;
    learner.sent = entry.id;
  }
}

void ZabModel::check_sent(const out::Send& send, const Diff& diff) {
  Learner* learner = syncing(send, diff.session);
  if (learner != nullptr) check_run(*learner, diff.previous, diff.entries);
}

void ZabModel::check_sent(const out::Send& send, const Snap& snap) {
  Learner* learner = syncing(send, snap.session);
  if (learner == nullptr) return;
  const LogId last = snap.image.last;
  require(has(committed_, last) && last.index <= node_->commit, image_committed, "{}.{}",
          last.epoch, last.index);
  require(snap.position == 0 || snap.position == learner->image_sent, in_order, "a piece at {}",
          snap.position);
  learner->image_sent = snap.position + snap.bytes.size();
  if (learner->image_sent == snap.image.size) learner->sent = last;
}

void ZabModel::check_sent(const out::Send& send, const NewLeader& announced) {
  Learner* learner = syncing(send, announced.session);
  if (learner == nullptr) return;
  const LogId last = announced.last;
  require(
      last == learner->sent && has(node_->log, last) && last.index >= node_->lead->history.index,
      history_first, "{}.{} with {}.{} sent", last.epoch, last.index, learner->sent.epoch,
      learner->sent.index);
  learner->new_leader = last;
}

void ZabModel::check_sent(const out::Send& send, const UpToDate& message) {
  const Learner* learner = forwarded(send, message.session);
  if (learner == nullptr) return;
  require(serves() && learner->is_synced, up_to_date, "to {}", send.to);
  require(message.commit <= std::min(node_->commit, learner->sent.index), commit_sent, "{}",
          message.commit);
}

void ZabModel::check_sent(const out::Send& send, const Proposal& proposal) {
  Learner* learner = forwarded(send, proposal.session);
  if (learner == nullptr) return;
  require(serves(), broadcasts, "PROPOSAL to {}", send.to);
  const bool votes = is_voter(send.to);
  require(votes, to_voters, "to {}", send.to);
  for (const Entry& entry : proposal.entries) {
    require(entry.id.epoch == node_->lead->epoch, own_epoch, "{}.{}", entry.id.epoch,
            entry.id.index);
  }
  check_run(*learner, proposal.previous, proposal.entries);
}

void ZabModel::check_sent(const out::Send& send, const Inform& inform) {
  Learner* learner = forwarded(send, inform.session);
  if (learner == nullptr) return;
  check_run(*learner, inform.previous, inform.entries);
  require(serves() && learner->sent.index <= node_->commit, informs, "{} with commit {}",
          learner->sent.index, node_->commit);
}

void ZabModel::check_sent(const out::Send& send, const Commit& commit) {
  const Learner* learner = forwarded(send, commit.session);
  if (learner == nullptr) return;
  require(serves() && commit.up_to <= std::min(node_->commit, learner->sent.index), commit_sent,
          "{} of {}", commit.up_to, node_->commit);
}

void ZabModel::check_sent(const out::Send& send, const CommitAndActivate& message) {
  const Learner* learner = forwarded(send, message.session);
  if (learner == nullptr) return;
  require(serves() && message.up_to <= std::min(node_->commit, learner->sent.index), commit_sent,
          "{} of {}", message.up_to, node_->commit);
  const Config& config = node_->config();
  const NodeId next = message.designated;
  require(config.outgoing.empty() && message.up_to >= node_->config_at() &&
              counts_in(config, next) && (next == node_->self.id || is_synced(next)),
          activates_config, "{} at {}", next, message.up_to);
}

void ZabModel::check_sent(const out::Send& send, const Ping& ping) {
  if (forwarded(send, ping.session) == nullptr) return;
  node_->lead->round = std::max(node_->lead->round, ping.round);
}

}  // namespace qlab::zab::model
