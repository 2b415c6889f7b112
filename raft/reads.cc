// Read index: a linearizable read without a log entry. Source: dissertation 6.4.
#include "raft/raft.h"

namespace qlab::raft {

// The read may be served once everything committed by now is applied, our no-op included: before it
// we do not know what earlier epochs have committed. And a majority must still follow us.
void Raft::on(const in::Read& input) {
  if (role_ != Role::leader) return answer(input.request, consensus::Fate::rejected);
  Leadership& lead = *leadership_;
  send_heartbeats();
  lead.reads.push_back({input.request, std::max(commit_, lead.epoch_start), lead.round});
  serve_reads();
}

void Raft::serve_reads() {
  Leadership& lead = *leadership_;
  std::vector<std::uint64_t> rounds;
  for (const NodeId voter : voters_) {
    rounds.push_back(voter == self_.id ? lead.round : lead.peers.at(voter).round());
  }
  const std::uint64_t confirmed = reached_by_majority(std::move(rounds));
  while (!lead.reads.empty() && lead.reads.front().round <= confirmed) {
    emit(out::ReadReady{lead.reads.front().request, lead.reads.front().index});
    lead.reads.pop_front();
  }
}

}  // namespace qlab::raft
