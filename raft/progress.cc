#include "raft/progress.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::raft {

std::string_view Progress::phase_name() const {
  switch (phase_) {
    case Phase::probe:
      return "probe";
    case Phase::replicate:
      return "replicate";
    case Phase::snapshot:
      return "snapshot";
  }
  return "unknown";
}

bool Progress::is_paused(const consensus::Tuning& tuning) const {
  if (phase_ == Phase::probe) return probe_sent_;
  if (phase_ == Phase::snapshot) return true;
  return inflight_.size() >= tuning.inflight_messages_max || room(tuning) == 0;
}

std::size_t Progress::room(const consensus::Tuning& tuning) const {
  const std::size_t most = std::max<std::size_t>(1, tuning.inflight_bytes_max);
  return most - std::min(most, inflight_bytes_);
}

void Progress::sent_up_to(LogIndex last, std::size_t bytes, Time now) {
  if (phase_ == Phase::probe) {
    probe_sent_ = true;
    return;
  }
  if (last < next_) return;  // Empty: nothing to keep account of.
  if (inflight_.empty()) moved_ = now;
  next_ = last.next();
  inflight_.push_back({last, bytes});
  inflight_bytes_ += bytes;
}

void Progress::accepted(LogIndex match, Time now) {
  if (match > match_) moved_ = now;
  match_ = std::max(match_, match);
  next_ = std::max(next_, match_.next());
  while (!inflight_.empty() && inflight_.front().last <= match_) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
  if (phase_ == Phase::snapshot && match_ < image_.index) return;  // Of an append before it.
  if (phase_ != Phase::replicate) {
    phase_ = Phase::replicate;
    next_ = match_.next();
    moved_ = now;
  }
}

bool Progress::refused(LogIndex rejected, LogIndex limit) {
  if (rejected <= match_ || phase_ == Phase::snapshot) return false;
  if (phase_ == Phase::replicate) {
    const bool confirmed = confirmed_;
    restart();
    confirmed_ = confirmed;
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
  confirmed_ = false;
  inflight_.clear();
  inflight_bytes_ = 0;
  CHECK(match_ < next_);
}

void Progress::begin_snapshot(consensus::LogId last) {
  phase_ = Phase::snapshot;
  inflight_.clear();
  inflight_bytes_ = 0;
  image_ = last;
  asked_.reset();
  reading_ = false;
  image_gone_ = false;
  stirred_ = true;
}

bool Progress::wants_piece(std::uint64_t position) {
  stirred_ = true;
  if (image_gone_ || asked_ == position) return false;
  asked_ = position;
  reading_ = true;
  return true;
}

void Progress::piece_sent() {
  stirred_ = true;
  reading_ = false;
}

void Progress::piece_gone() {
  asked_.reset();
  reading_ = false;
  image_gone_ = true;
}

bool Progress::snapshot_stalls() {
  const bool stalls = !std::exchange(stirred_, false) && !reading_ && !image_gone_;
  if (stalls) asked_.reset();
  return stalls;
}

bool Progress::heard_from(DirectoryId directory, LogIndex next, Time now) {
  heard_ = now;
  const bool same = !directory_ || *directory_ == directory;
  if (!same) {
    match_ = LogIndex{0};
    commit_told_ = LogIndex{0};
    round_ = 0;
    bare_ = false;
    next_ = next;
    restart();
  }
  confirmed_ = true;
  directory_ = directory;
  return same;
}

bool Progress::keeps_up(Time since) const {
  if (phase_ == Phase::snapshot || heard_ <= since) return false;
  if (phase_ == Phase::probe) return moved_ > since;
  return inflight_.empty() || moved_ > since;
}

void Progress::acknowledge_round(std::uint64_t round) {
  round_ = std::max(round_, round);
}

void Progress::commit_sent(LogIndex commit) {
  commit_told_ = std::max(commit_told_, commit);
}

}  // namespace qlab::raft
