// Linearizable reads. KRaft has none: its readers follow the log and read what they have. This is
// the read index of Raft (dissertation 6.4), with fetches in the place of heartbeats: each answer
// names a round, the next fetch names it again, and when a quorum has named one that began with the
// read, nobody had replaced us by then. That a fetch comes in would not be enough: it may have left
// before.
#include "consensus/quorum.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

void Kraft::on(const in::Read& input) {
  if (state_ != State::leader) return answer(input.request, consensus::Fate::rejected);
  Leadership& lead = *leadership_;
  ++lead.round;
  lead.reads.push_back({input.request, std::max(commit_, lead.epoch_start), lead.round});
  serve_parked(true);
  serve_reads();
}

void Kraft::serve_reads() {
  Leadership& lead = *leadership_;
  const auto round_of = [&](NodeId voter) -> std::uint64_t {
    if (voter == self_.id) return is_voter() ? lead.round : 0;
    const auto replica = lead.replicas.find(voter);
    if (replica == lead.replicas.end()) return 0;
    const bool is_same_disk = kraft::is_voter(config(), {voter, replica->second.directory()});
    return is_same_disk ? replica->second.round() : 0;
  };
  const auto confirmed = consensus::reached_by_quorum<std::uint64_t>(
      config(), consensus::QuorumUse::commit, 0, round_of);
  while (!lead.reads.empty() && lead.reads.front().round <= confirmed) {
    emit(out::ReadReady{lead.reads.front().request, lead.reads.front().index});
    lead.reads.pop_front();
  }
}

}  // namespace qlab::raft::kraft
