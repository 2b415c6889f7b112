#include "raft/kraft/proposals.h"

namespace qlab::raft::kraft {

using consensus::Fate;
using consensus::out::Outcome;

void Proposals::add(Proposal proposal) {
  bytes_ += proposal.bytes;
  open_.push_back(proposal);
}

void Proposals::leadership_lost(Time deadline) {
  if (open_.empty()) return;
  doubtful_.insert(doubtful_.end(), open_.begin(), open_.end());
  open_.clear();
  bytes_ = 0;
  deadline_ = deadline;
}

Proposals::Outcomes Proposals::committed(LogIndex commit, const consensus::StagedLog& log) {
  Outcomes outcomes;
  const auto tell = [&](const Proposal& proposal, Fate fate) {
    const auto at = fate == Fate::committed ? proposal.last : consensus::LogId{};
    outcomes.push_back(Outcome{proposal.request, fate, at, std::nullopt});
  };
  while (!open_.empty() && open_.front().last.index <= commit) {
    bytes_ -= open_.front().bytes;
    tell(open_.front(), Fate::committed);
    open_.pop_front();
  }
  std::deque<Proposal> still_open;
  for (const Proposal& proposal : doubtful_) {
    const auto first = log.epoch_of(proposal.first.index);  // Nothing: an image stands for it.
    const auto last = log.epoch_of(proposal.last.index);
    if (commit >= proposal.first.index && first && *first != proposal.first.epoch) {
      tell(proposal, Fate::superseded);
    } else if (commit < proposal.last.index) {
      still_open.push_back(proposal);
    } else {  // A part of it may have survived.
      tell(proposal, last == proposal.last.epoch ? Fate::committed : Fate::unknown);
    }
  }
  doubtful_ = std::move(still_open);
  return outcomes;
}

Proposals::Outcomes Proposals::give_up_doubtful() {
  Outcomes outcomes;
  for (const Proposal& proposal : doubtful_) {
    outcomes.push_back(Outcome{proposal.request, Fate::unknown, {}, std::nullopt});
  }
  doubtful_.clear();
  return outcomes;
}

}  // namespace qlab::raft::kraft
