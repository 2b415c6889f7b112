#include "raft/kraft/replica.h"

#include <algorithm>

namespace qlab::raft::kraft {

bool Replica::admit(const Correlation& correlation, DirectoryId directory, Time now) {
  if (has_fetched_ && correlation.session == last_.session && correlation.number < last_.number) {
    return false;
  }
  if (!has_fetched_ || directory != directory_) {  // Another disk has nothing of the one before.
    match_ = {};
    caught_up_.reset();
    end_at_fetch_ = {};
    directory_ = directory;
  }
  if (last_ != correlation) reading.reset();
  last_ = correlation;
  contact_ = now;
  has_fetched_ = true;
  knows_epoch_ = true;
  parked.reset();
  return true;
}

void Replica::acknowledge(LogIndex match, LogIndex end, Time now) {
  match_ = std::max(match_, match);
  next_ = match.next();
  // Whoever has what was there when it asked before was caught up then, however much came since.
  if (match >= end || (end_at_fetch_ > LogIndex{0} && match >= end_at_fetch_)) caught_up_ = now;
  end_at_fetch_ = end;
}

void Replica::disconnected() {
  knows_epoch_ = false;
  parked.reset();
  reading.reset();
}

std::string_view Replica::phase() const {
  if (parked) return "parked";
  if (reading) return "snapshot";
  return has_fetched_ ? "fetching" : "unknown";
}

}  // namespace qlab::raft::kraft
