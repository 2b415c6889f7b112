#pragma once
// What a leader knows of a replica that fetches from it, voter or not.

#include <optional>
#include <string_view>

#include "common/clock.h"
#include "raft/kraft/messages.h"

namespace qlab::raft::kraft {

// A fetch that found nothing new and waits for it (KIP-595: long polling).
struct Parked {
  Fetch fetch;
  Time until;  // Then it is answered empty.
};

class Replica {
 public:
  // `now` begins the time in which a first fetch must come.
  explicit Replica(Time now) : contact_(now) {}

  // Whether a request is not older than the last one of the same life of the replica. From then on
  // it is the last one, and what was parked or read for the one before is of no use.
  bool admit(const Correlation& correlation, DirectoryId directory, Time now);
  // A fetch behind `match`, which is ours: the replica has durably what we have, up to there.
  // `end` is that of our log.
  void acknowledge(LogIndex match, LogIndex end, Time now);
  void acknowledge_round(std::uint64_t round) { round_ = std::max(round_, round); }
  void acknowledge_epoch() { knows_epoch_ = true; }
  // Its stream broke: what it asked for will be asked for again.
  void disconnected();

  DirectoryId directory() const { return directory_; }  // Zero until it fetched.
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  Time contact() const { return contact_; }  // Its last fetch.
  bool has_fetched() const { return has_fetched_; }
  bool knows_epoch() const { return knows_epoch_; }  // BeginQuorumEpoch was acknowledged.
  std::uint64_t round() const { return round_; }
  // When it last had all that we had; nothing: never yet (KIP-836, lastCaughtUpTimestamp).
  std::optional<Time> caught_up() const { return caught_up_; }
  std::string_view phase() const;

  std::optional<Parked> parked;
  std::optional<FetchSnapshot> reading;  // Its piece of the image is asked for.

 private:
  DirectoryId directory_;
  Correlation last_;
  LogIndex match_;  // Only grows while the disk is the same.
  LogIndex next_{1};
  Time contact_;
  bool has_fetched_ = false;
  bool knows_epoch_ = false;
  std::uint64_t round_ = 0;
  std::optional<Time> caught_up_;
  LogIndex end_at_fetch_;  // Of our log, when its last fetch came.
};

}  // namespace qlab::raft::kraft
