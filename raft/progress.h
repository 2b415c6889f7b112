#pragma once
// What a leader knows of one peer's log, and how it feeds it.
//
// probe: the end of the common prefix is not known yet; one append at a time.
// replicate: it is known; appends are sent ahead of their answers, up to a window.

#include <deque>
#include <string_view>

#include "common/clock.h"
#include "common/ids.h"

namespace qlab::raft {

// Invariant: match < next.
class Progress {
 public:
  enum class Phase : std::uint8_t { probe, replicate };

  // `heard` begins the time in which a first answer must come.
  Progress(bool voter, LogIndex next, Time heard) : voter_(voter), next_(next), heard_(heard) {}

  // Nothing may be sent: a probe is out, or the window is full.
  bool is_paused(std::size_t inflight_max) const;
  void sent_up_to(LogIndex last);  // An append that ends at `last` is on its way.
  void accepted(LogIndex match);   // The peer has durably what we have, up to `match`.
  // The peer refused an append that began behind `rejected`; what it has ends at `limit` at most.
  // False: the answer is stale.
  bool refused(LogIndex rejected, LogIndex limit);
  // What was on its way is lost: begin behind what is known, or where we were if nothing is.
  void restart();
  void allow_probe() { probe_sent_ = false; }

  void heard_at(Time now) { heard_ = now; }
  void acknowledge_round(std::uint64_t round);
  void commit_sent(LogIndex commit);

  bool is_voter() const { return voter_; }
  Phase phase() const { return phase_; }
  std::string_view phase_name() const { return phase_ == Phase::probe ? "probe" : "replicate"; }
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  Time heard() const { return heard_; }
  std::uint64_t round() const { return round_; }
  LogIndex commit_told() const { return commit_told_; }
  std::size_t inflight() const { return inflight_.size(); }

 private:
  bool voter_;
  Phase phase_ = Phase::probe;
  bool probe_sent_ = false;
  LogIndex match_;                 // Known to be durable there; only grows.
  LogIndex next_;                  // The next entry to send.
  std::deque<LogIndex> inflight_;  // Ends of unanswered appends, ascending; replicate only.
  Time heard_;                     // Last answer in our epoch.
  std::uint64_t round_ = 0;        // Latest heartbeat round answered: for read index.
  LogIndex commit_told_;           // The commit index the peer has been told of.
};

}  // namespace qlab::raft
