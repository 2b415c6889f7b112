#pragma once
// Proposals whose fate is not known yet: of our leadership, and of one that is over.

#include <deque>

#include "consensus/module.h"
#include "consensus/staged_log.h"

namespace qlab::raft::kraft {

struct Proposal {
  consensus::RequestId request;
  consensus::LogId first;  // Its entries are adjacent: [first, last].
  consensus::LogId last;
  std::uint64_t bytes = 0;
};

class Proposals {
 public:
  using Outcomes = std::vector<consensus::out::Outcome>;

  void add(Proposal proposal);
  // Another may lead: what is open stays in doubt, until `deadline` at most.
  void leadership_lost(Time deadline);
  // What a commit tells. Only a committed entry tells what became of one that was proposed in an
  // epoch that is over: a copy that was cut here may be committed through another replica (Raft,
  // figure 8).
  Outcomes committed(LogIndex commit, const consensus::StagedLog& log);
  Outcomes give_up_doubtful();

  std::uint64_t uncommitted_bytes() const { return bytes_; }
  Time deadline() const { return doubtful_.empty() ? Time::max() : deadline_; }
  std::size_t size() const { return open_.size() + doubtful_.size(); }

 private:
  std::deque<Proposal> open_;  // Ascending; of the epoch we lead.
  std::deque<Proposal> doubtful_;
  std::uint64_t bytes_ = 0;  // Of open_.
  Time deadline_;
};

}  // namespace qlab::raft::kraft
