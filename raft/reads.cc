// Linearizable reads without a log entry: read index, leases, and a follower that asks its leader.
// Source: dissertation 6.4, 6.4.1.
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Fate;
using consensus::QuorumUse;

// The read may be served once everything committed by now is applied, our no-op included: before it
// we do not know what earlier epochs have committed. And a quorum must still follow us, as answers
// to a round of heartbeats show that is sent after the read came; reads that come while one is
// under way share the next.
void Raft::on(const in::Read& input) {
  if (role_ == Role::leader) return read(PendingRead{input.request, commit_});
  if (!leader_ || !links_.contains(*leader_)) return answer(input.request, Fate::rejected);
  send(*leader_, hard_state_.epoch, ReadRequest{ask(reads_asked_, input.request, 0)},
       consensus::WriteSeq{0});
}

void Raft::read(PendingRead read) {
  Leadership& lead = *leadership_;
  read.index = std::max(commit_, lead.epoch_start);
  if (holds_lease()) return serve_read(read);
  read.round = lead.round + 1;
  const bool under_way = !lead.reads.empty();
  lead.reads.push_back(read);
  if (!under_way) send_heartbeats();
  serve_reads();
}

void Raft::serve_read(const PendingRead& read) {
  if (!read.asker) return emit(out::ReadReady{read.request, read.index});
  send(read.asker->node, hard_state_.epoch, ReadReply{read.asker->ticket, true, read.index},
       consensus::WriteSeq{0});
}

void Raft::refuse_read(const PendingRead& read) {
  if (!read.asker) return answer(read.request, Fate::rejected);
  send(read.asker->node, hard_state_.epoch, ReadReply{read.asker->ticket, false, {}}, hard_seq_);
}

void Raft::serve_reads() {
  Leadership& lead = *leadership_;
  const auto answered = [&](NodeId id) {
    if (id == self_.id) return is_self(config()) ? lead.round : 0;
    const Progress& progress = lead.peers.at(id);
    return is_replica(id, progress.directory()) ? progress.round() : 0;
  };
  const auto confirmed =
      consensus::reached_by_quorum<std::uint64_t>(config(), QuorumUse::commit, 0, answered);
  while (!lead.rounds.empty() && lead.rounds.front().first <= confirmed) {
    lead.lease_from = lead.rounds.front().second;
    lead.rounds.pop_front();
  }
  while (!lead.reads.empty() && lead.reads.front().round <= confirmed) {
    serve_read(lead.reads.front());
    lead.reads.pop_front();
  }
  if (!lead.reads.empty() && lead.reads.front().round > lead.round) {
    send_heartbeats();
    if (is_alone(QuorumUse::commit)) serve_reads();
  }
}

// Those that answered a round elect nobody for an election timeout after they got it, by their own
// clocks, so nobody has been elected until a little less than that after it was sent, by ours. That
// is true only while voters stick to the leader they hear (check-quorum), also one whose link
// broke, and while we ask none to campaign. And without an entry of our own committed there is no
// lease.
bool Raft::holds_lease() const {
  const Leadership& lead = *leadership_;
  if (!tuning_.lease_reads || !tuning_.check_quorum || tuning_.link_down_is_suspicion) return false;
  if (lead.lease_lost || !lead.activated || !lead.lease_from) return false;
  const auto drift = tuning_.election_timeout * tuning_.clock_drift_ppm / 1'000'000;
  return now_ - *lead.lease_from < tuning_.election_timeout - drift;
}

void Raft::handle(NodeId from, Epoch epoch, const ReadRequest& request) {
  if (role_ == Role::leader) return read(PendingRead{{}, commit_, 0, Asker{from, request.ticket}});
  trace("DropReadRequest", from, "not_leader");
  send(from, epoch, ReadReply{request.ticket, false, {}}, hard_seq_);
}

void Raft::handle(NodeId from, Epoch, const ReadReply& reply) {
  const auto asked = reads_asked_.find(reply.ticket);
  if (asked == reads_asked_.end()) return trace("DropReadReply", from, "not_asked");
  const consensus::RequestId request = asked->second.request;
  reads_asked_.erase(asked);
  if (!reply.served) return answer(request, Fate::rejected);
  emit(out::ReadReady{request, reply.index});
}

}  // namespace qlab::raft
