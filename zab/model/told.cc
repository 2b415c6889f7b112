// What a learner says to its leader, and anybody about its vote. Source: Z f.1.1 to f.3.2;
// ZooKeeper's Learner, FastLeaderElection.
#include <algorithm>

#include "zab/model/zab_state.h"

namespace qlab::zab::model {

using consensus::model::id_at;
using consensus::model::last_id;
using consensus::model::last_index;

void ZabModel::check(const out::Send& effect) {
  const auto payload = decode(*effect.message);
  if (!require(payload.has_value(), message_epoch, "a message that is none")) return;
  std::visit([&](const auto& message) { check_sent(effect, message); }, *payload);
}

void ZabModel::check_sent(const out::Send& send, const Notification& notification) {
  require(send.message->epoch == node_->hard.epoch, message_epoch, "{} in {}", send.message->epoch,
          node_->hard.epoch);
  if (notification.config) {
    const LogId at = notification.config_at;
    require(knows(at, *notification.config), config_told, "another at {}.{}", at.epoch, at.index);
  }
  const Vote& vote = notification.vote;
  const bool looks = !node_->lead && !node_->session;
  require((notification.state == PeerState::looking) == looks &&
              (notification.state == PeerState::leading) == node_->lead.has_value(),
          state_told, "{}", name_of(notification.state));
  if (!looks) {
    const NodeId leader = node_->lead ? node_->self.id : node_->session->leader;
    require(vote.leader == leader, state_told, "{} instead of {}", vote.leader, leader);
    return;
  }
  check_vote(notification.round, vote);
}

void ZabModel::check_vote(std::uint64_t round, const Vote& vote) {
  const auto weight_of = [](const Vote& v) {
    return std::tuple(v.leader != no_node, v.peer_epoch, v.last, !v.is_left_out, v.leader);
  };
  const auto& [round_before, before] = node_->voted;
  require(round > round_before || (round == round_before && weight_of(vote) >= weight_of(before)),
          vote_grows, "{} in round {} after {}", vote.leader, round, before.leader);
  node_->voted = {round, vote};
  if (vote.leader == no_node) return;
  const bool was_heard = std::any_of(node_->votes.begin(), node_->votes.end(),
                                     [&vote](const auto& other) { return other.second == vote; });
  if (was_heard) return;
  const NodeId self = node_->self.id;
  const bool own = vote.leader == self && vote.last == last_id(node_->log) &&
                   vote.peer_epoch == node_->hard.synced_epoch;
  require(own, vote_known, "{} with {}.{}", vote.leader, vote.last.epoch, vote.last.index);
  require(is_voter(self), vote_of_voter, "{}", self);
}

void ZabModel::check_sent(const out::Send& send, const FollowerInfo& info) {
  const bool chosen = node_->session && node_->session->leader == send.to;
  require(chosen && info.accepted_epoch == node_->hard.epoch &&
              send.message->epoch == node_->hard.epoch,
          promise_told, "{} to {}", info.accepted_epoch, send.to);
  if (chosen) node_->session->number = info.session;
}

// What is left of a session says nothing.
bool ZabModel::check_learner(const out::Send& send, SessionNumber number) {
  const auto& session = node_->session;
  const bool ours = session && session->leader == send.to && session->number == number &&
                    session->link.has_value();
  if (!require(ours, of_session, "to {}", send.to)) return false;
  return require(send.message->epoch == session->epoch && session->epoch == node_->hard.epoch,
                 message_epoch, "{} in {}", send.message->epoch, session->epoch);
}

void ZabModel::check_sent(const out::Send& send, const AckEpoch& ack) {
  if (!check_learner(send, ack.session)) return;
  const HardState state = node_->hard_state_after(send.after);
  require(state.epoch == node_->hard.epoch, accepted_durable, "{} after write {}", state.epoch,
          send.after);
  require(ack.again == !is_accepted_, accepted_anew, "{}", node_->hard.epoch);
  const LogId last = last_id(node_->log);
  require(ack.current_epoch == node_->hard.synced_epoch && ack.last == last &&
              state.synced_epoch == ack.current_epoch && node_->will_have(last, send.after),
          history_told, "{}, {}.{} after write {}", ack.current_epoch, ack.last.epoch,
          ack.last.index, send.after);
}

void ZabModel::check_sent(const out::Send& send, const SnapAck& ack) {
  if (!check_learner(send, ack.session)) return;
  require(ack.position == node_->session->stored, image_whole, "{} of {}", ack.position,
          node_->session->stored);
}

void ZabModel::check_sent(const out::Send& send, const AckNewLeader& ack) {
  if (!check_learner(send, ack.session)) return;
  const auto* announced = heard<NewLeader>();
  if (!require(announced != nullptr, of_session, "ACK-LD unasked")) return;
  const Epoch epoch = node_->session->epoch;
  const LogId last = last_id(node_->log);
  require(node_->hard.synced_epoch == epoch, enters_epoch, "{} in {}", epoch,
          node_->hard.synced_epoch);
  require(announced->last == last, same_history, "up to {}.{}", last.epoch, last.index);
  if (!refusal_) check_history(epoch);
  require(node_->hard_state_after(send.after).synced_epoch == epoch &&
              node_->will_have(last, send.after),
          history_durable, "{}.{} after write {}", last.epoch, last.index, send.after);
  node_->session->is_acknowledged = true;
}

void ZabModel::check_sent(const out::Send& send, const Ack& ack) {
  if (!check_learner(send, ack.session)) return;
  const LogId id = id_at(node_->log, ack.up_to);
  require(ack.up_to <= last_index(node_->log) && node_->will_have(id, send.after), ack_durable,
          "{} after write {}", ack.up_to, send.after);
}

void ZabModel::check_sent(const out::Send& send, const PingReply& reply) {
  if (!check_learner(send, reply.session)) return;
  const auto* ping = heard<Ping>();
  require(ping != nullptr && ping->round == reply.round, of_session, "round {}", reply.round);
}

}  // namespace qlab::zab::model
