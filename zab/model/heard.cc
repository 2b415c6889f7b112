// What a message tells its receiver. It counts in the session, and on the stream, that it is of.
#include <algorithm>

#include "zab/model/zab_state.h"

namespace qlab::zab::model {

void ZabModel::take(const in::Receive& input) {
  auto payload = decode(*input.message);
  if (!payload) return;  // Then nothing may come of it.
  heard_ = Heard{input.from, input.link, input.message->epoch, std::move(*payload)};
  std::visit([this](const auto& message) { hear(message); }, heard_->payload);
}

// Who sent it, if it learns from us in that session.
template <class T>
Learner* ZabModel::learner_of(const T& message) {
  if (!node_->lead || node_->lead->epoch != heard_->epoch) return nullptr;
  const auto at = node_->lead->learners.find(heard_->from);
  const bool ours = at != node_->lead->learners.end() && at->second.link == heard_->link &&
                    at->second.session == message.session;
  return ours ? &at->second : nullptr;
}

void ZabModel::hear(const Notification& notification) {
  if (notification.vote.leader != no_node) node_->votes.insert({heard_->from, notification.vote});
  if (notification.config) {
    node_->heard_configs.insert_or_assign(notification.config_at, *notification.config);
  }
}

void ZabModel::hear(const FollowerInfo& info) {
  node_->infos[heard_->from] = {heard_->link, info};
}

void ZabModel::hear(const LeaderInfo& info) {
  if (!node_->session) return;
  Session& session = *node_->session;
  const bool ours = session.leader == heard_->from && session.number == info.session;
  if (!ours || session.link || heard_->epoch < node_->hard.epoch) return;
  session.link = heard_->link;
  session.epoch = heard_->epoch;
}

void ZabModel::hear(const AckEpoch& ack) {
  Learner* learner = learner_of(ack);
  if (learner == nullptr || learner->ack) return;
  learner->ack = ack;
  learner->sent = ack.last;
}

void ZabModel::hear(const AckNewLeader& ack) {
  Learner* learner = learner_of(ack);
  if (learner == nullptr || !learner->new_leader) return;
  learner->is_synced = true;
  learner->acked = std::max(learner->acked, learner->new_leader->index);
}

void ZabModel::hear(const Ack& ack) {
  Learner* learner = learner_of(ack);
  if (learner == nullptr || ack.up_to > learner->sent.index) return;
  learner->acked = std::max(learner->acked, ack.up_to);
}

void ZabModel::hear(const PingReply& reply) {
  Learner* learner = learner_of(reply);
  if (learner == nullptr || reply.round > node_->lead->round) return;
  learner->round = std::max(learner->round, reply.round);
}

void ZabModel::hear(const UpToDate& message) {
  if (heard<UpToDate>() == nullptr || !node_->session->is_acknowledged) return;
  node_->session->is_up_to_date = true;
  node_->session->told = std::max(node_->session->told, message.commit);
}

void ZabModel::hear(const Commit& message) {
  if (heard<Commit>() == nullptr) return;
  node_->session->told = std::max(node_->session->told, message.up_to);
}

void ZabModel::hear(const CommitAndActivate& message) {
  if (heard<CommitAndActivate>() == nullptr) return;
  node_->session->told = std::max(node_->session->told, message.up_to);
}

void ZabModel::hear(const Inform& message) {
  if (heard<Inform>() == nullptr || message.entries.empty()) return;
  node_->session->told = std::max(node_->session->told, message.entries.back().id.index);
}

}  // namespace qlab::zab::model
