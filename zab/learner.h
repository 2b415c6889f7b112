#pragma once
// What a leader knows of one learner, follower or observer, and how far it has been led.

#include <deque>
#include <string_view>

#include "common/clock.h"
#include "zab/messages.h"

namespace qlab::zab {

// Entries on their way to a learner that it has not acknowledged.
class Window {
 public:
  void sent(LogIndex end, std::uint64_t bytes);
  void acknowledged(LogIndex up_to);
  // One message is let through however large it is.
  bool is_full(std::size_t messages_max, std::size_t bytes_max) const;
  std::size_t messages() const { return sent_.size(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Sent {
    LogIndex end;
    std::uint64_t bytes;
  };
  std::deque<Sent> sent_;  // Ascending.
  std::uint64_t bytes_ = 0;
};

enum class Stage : std::uint8_t {
  connected,     // FOLLOWERINFO came.
  epoch_acked,   // ACKEPOCH came.
  snap,          // An image is on its way.
  diff,          // Entries of the initial history are.
  new_leader,    // NEWLEADER was sent.
  acknowledged,  // It was acknowledged: history and epoch are durable there.
  up_to_date,    // UPTODATE was sent.
};
std::string_view name_of(Stage stage);

// Invariant: match < next; told < next from Stage::diff on.
struct Learner {
  SessionNumber session = 0;
  std::uint32_t link = 0;  // Of its stream to us; another one is another session.
  Time heard;
  Stage stage = Stage::connected;
  Epoch accepted_epoch;
  bool counts_epoch = false;  // Its ACKEPOCH counts for the quorum.
  consensus::LogId last;      // Of its log, when it acknowledged the epoch.

  LogIndex next;                  // The next entry to send.
  consensus::LogId history_last;  // Of what NEWLEADER asks to acknowledge.
  bool diff_sent = false;         // Also one without entries.
  LogIndex match;                 // Durable there; counts from Stage::acknowledged on.
  LogIndex told;                  // Commit index that it knows of.
  Window window;
  std::uint64_t round = 0;  // The last ping it answered.

  consensus::SnapshotMeta image;  // Stage::snap.
  std::uint64_t position = 0;     // Of the image, sent.
  bool image_is_gone = false;     // Until our log knows of the one that took its place.

  bool is_synced() const { return stage >= Stage::acknowledged; }
  bool is_forwarded() const { return stage >= Stage::new_leader; }
};

}  // namespace qlab::zab
