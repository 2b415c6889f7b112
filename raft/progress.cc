#include "raft/progress.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::raft {

bool Progress::is_paused(std::size_t inflight_max) const {
  return phase_ == Phase::probe ? probe_sent_ : inflight_.size() >= inflight_max;
}

void Progress::sent_up_to(LogIndex last) {
  if (phase_ == Phase::probe) {
    probe_sent_ = true;
    return;
  }
  if (last < next_) return;  // Empty: nothing to keep account of.
  next_ = last.next();
  inflight_.push_back(last);
}

void Progress::accepted(LogIndex match) {
  match_ = std::max(match_, match);
  next_ = std::max(next_, match_.next());
  while (!inflight_.empty() && inflight_.front() <= match_) inflight_.pop_front();
  if (phase_ == Phase::probe) {
    phase_ = Phase::replicate;
    next_ = match_.next();
  }
}

bool Progress::refused(LogIndex rejected, LogIndex limit) {
  if (rejected <= match_) return false;
  if (phase_ == Phase::replicate) {
    restart();
    next_ = match_.next();
    return true;
  }
  if (rejected != next_.prev()) return false;
  next_ = std::max(match_.next(), std::min(rejected, limit.next()));
  probe_sent_ = false;
  return true;
}

void Progress::restart() {
  if (match_ > LogIndex{0}) next_ = match_.next();
  phase_ = Phase::probe;
  probe_sent_ = false;
  inflight_.clear();
  CHECK(match_ < next_);
}

void Progress::acknowledge_round(std::uint64_t round) {
  round_ = std::max(round_, round);
}

void Progress::commit_sent(LogIndex commit) {
  commit_told_ = std::max(commit_told_, commit);
}

}  // namespace qlab::raft
