// What a message says of its sender. Source: P figure 2.
#include "raft/model/raft_state.h"

namespace qlab::raft::model {

using consensus::EntryKind;
using consensus::ReplicaKey;
using consensus::model::has;
using consensus::model::id_at;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::last_index;

void RaftModel::check(const out::Send& effect) {
  const auto payload = decode(*effect.message);
  if (!require(payload.has_value(), message_term, "a message that is none")) return;
  std::visit([&](const auto& message) { check_sent(effect, effect.message->epoch, message); },
             *payload);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const VoteRequest& request) {
  const HardState& hard = node_->hard;
  const Epoch expected = request.pre_vote ? hard.epoch.next() : hard.epoch;
  require(!leads() && epoch == expected && request.directory == node_->self.directory &&
              request.last == last_id(node_->log),
          vote_request, "{} with {}.{}", epoch, request.last.epoch, request.last.index);
  if (request.pre_vote) return;
  require(hard.vote == node_->self && node_->hard_state_after(send.after) == hard, own_vote_durable,
          "after write {}", send.after);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const VoteReply& reply) {
  if (!reply.granted) return;
  const auto* request = heard_ ? std::get_if<VoteRequest>(&heard_->payload) : nullptr;
  const bool asked = request != nullptr && heard_->from == send.to && heard_->epoch == epoch &&
                     request->pre_vote == reply.pre_vote &&
                     reply.directory == node_->self.directory;
  if (!require(asked, vote_asked, "to {} in {}", send.to, epoch)) return;
  const LogId last = last_id(node_->log);
  require(request->last >= last, vote_up_to_date, "{}.{} against {}.{}", request->last.epoch,
          request->last.index, last.epoch, last.index);
  if (reply.pre_vote) return;
  check_term(epoch);
  require(node_->hard.vote == ReplicaKey{send.to, request->directory}, one_vote,
          "to {} in {}, and it has another", send.to, epoch);
  require(node_->hard_state_after(send.after) == node_->hard, vote_durable, "after write {}",
          send.after);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const AppendRequest& request) {
  check_term(epoch);
  require(leads(), who_leads, "append_request in {}", epoch);
  require(has(node_->log, request.previous), append_own_log, "behind {}.{}", request.previous.epoch,
          request.previous.index);
  for (const Entry& entry : request.entries) {
    if (!require(has(node_->log, entry.id), append_own_log, "{}.{}", entry.id.epoch,
                 entry.id.index)) {
      return;
    }
    const Entry& ours = node_->log[static_cast<std::size_t>(entry.id.index.value() - 1)];
    const bool bare =
        is_witness(send.to) && entry.kind == EntryKind::no_op && ours.kind != EntryKind::config;
    require(bare || is_same_entry(entry, ours), append_own_log, "{}.{} with another body",
            entry.id.epoch, entry.id.index);
  }
  require(request.commit <= node_->commit, commit_sent, "{} of {}", request.commit, node_->commit);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const AppendReply& reply) {
  check_term(epoch);
  check_term_durable(send);
  if (!reply.accepted) return;
  LogIndex allowed = node_->commit;
  if (const auto* request = heard<AppendRequest>()) {
    const LogId end = request->entries.empty() ? request->previous : request->entries.back().id;
    if (has(node_->log, end)) allowed = std::max(allowed, end.index);
  }
  require(!leads() && heard_ && heard_->from == send.to && reply.match <= allowed &&
              reply.directory == node_->self.directory,
          ack_matches, "{} with {} allowed", reply.match, allowed);
  require(node_->will_have(id_at(node_->log, reply.match), send.after), ack_durable,
          "{} after write {}", reply.match, send.after);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const Heartbeat& heartbeat) {
  check_term(epoch);
  require(leads(), who_leads, "heartbeat in {}", epoch);
  const auto ack = node_->acks.find(send.to);
  const LogIndex acked = ack == node_->acks.end() ? LogIndex{0} : ack->second.match;
  require(heartbeat.commit <= node_->commit, commit_sent, "{}", heartbeat.commit);
  require(heartbeat.commit <= acked, beat_acked, "{} of {}", heartbeat.commit, acked);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const HeartbeatReply&) {
  check_term(epoch);
  check_term_durable(send);
}

void RaftModel::check_sent(const out::Send&, Epoch epoch, const SnapshotRequest& request) {
  check_term(epoch);
  require(leads(), who_leads, "snapshot_request in {}", epoch);
  const LogId last = request.image.last;
  require(has(committed_, last) && last.index <= node_->commit, image_committed, "{}.{}",
          last.epoch, last.index);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const SnapshotReply&) {
  check_term(epoch);
  check_term_durable(send);
}

void RaftModel::check_sent(const out::Send& send, Epoch epoch, const TimeoutNow&) {
  check_term(epoch);
  require(leads() && acked_by(send.to) >= last_index(node_->log), transfer_ready, "{} has {}",
          send.to, acked_by(send.to));
}

}  // namespace qlab::raft::model
