// Linearizable reads by a round of pings.
//
// ZooKeeper's own `sync` is no quorum operation: a leader answers it at once when nothing is
// outstanding, also one that was replaced and does not know it. Here a quorum must answer a ping
// that was sent after the read came. Whoever answers is still ours, so it had accepted no later
// epoch by then, and nobody could have committed without us.
#include "consensus/quorum.h"
#include "zab/zab.h"

namespace qlab::zab {

void Zab::on(const in::Read& input) {
  if (!leadership_ || leadership_->phase != Phase::broadcast) {
    return answer(input.request, consensus::Fate::rejected);
  }
  ping_all();
  leadership_->reads.push_back({input.request, commit_, leadership_->round});
  serve_reads();
}

void Zab::ping_all() {
  Leadership& lead = *leadership_;
  ++lead.round;
  for (const auto& [peer, learner] : lead.learners) {
    if (learner.is_forwarded()) send(peer, lead.epoch, Ping{learner.session, lead.round});
  }
}

void Zab::serve_reads() {
  Leadership& lead = *leadership_;
  if (lead.reads.empty()) return;
  const auto answered = [&](NodeId id) {
    if (id == self_.id) return lead.round;
    const auto learner = lead.learners.find(id);
    const bool is_in = learner != lead.learners.end() && learner->second.is_synced();
    return is_in ? learner->second.round : 0;
  };
  const auto confirmed = consensus::reached_by_quorum<std::uint64_t>(
      configs_.in_force(), consensus::QuorumUse::commit, 0, answered);
  while (!lead.reads.empty() && lead.reads.front().round <= confirmed) {
    emit(out::ReadReady{lead.reads.front().request, lead.reads.front().index});
    lead.reads.pop_front();
  }
}

void Zab::handle(NodeId from, Epoch epoch, const Ping& ping) {
  const Session* session = session_with(from, ping.session, epoch);
  if (session != nullptr) send(from, epoch, PingReply{session->number, ping.round});
}

void Zab::handle(NodeId from, Epoch epoch, const PingReply& reply) {
  Learner* learner = learner_of(from, reply.session, epoch);
  if (learner == nullptr) return;
  if (reply.round > leadership_->round) return trace("DropPingReply", from, "not_asked");
  learner->round = std::max(learner->round, reply.round);
  if (leadership_->phase == Phase::broadcast) serve_reads();
}

}  // namespace qlab::zab
