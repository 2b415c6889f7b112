#pragma once
// What a leader knows of one peer's log, and how it feeds it.
//
// probe: the end of the common prefix is not known yet; one append at a time.
// replicate: it is known; appends are sent ahead of their answers, up to a window of messages and
// of bytes.
// snapshot: what the peer lacks is gone from our log; it gets our image, a piece at a time.

#include <deque>
#include <optional>
#include <string_view>

#include "consensus/module.h"

namespace qlab::raft {

// Invariant: match < next; inflight_bytes_ is the sum over inflight_.
class Progress {
 public:
  enum class Phase : std::uint8_t { probe, replicate, snapshot };

  // `heard` begins the time in which a first answer must come.
  Progress(LogIndex next, Time heard) : next_(next), heard_(heard), moved_(heard) {}

  // Nothing may be sent: a probe is out, or the window is full.
  bool is_paused(const consensus::Tuning& tuning) const;
  std::size_t room(const consensus::Tuning& tuning) const;  // Bytes left in the window.
  // An append that ends at `last` is on its way, with `bytes` of bodies.
  void sent_up_to(LogIndex last, std::size_t bytes, Time now);
  void accepted(LogIndex match, Time now);  // The peer has durably what we have, up to `match`.
  // The peer refused an append that began behind `rejected`; what it has ends at `limit` at most.
  // False: the answer is stale.
  bool refused(LogIndex rejected, LogIndex limit);
  // What was on its way is lost: begin behind what is known, or where we were if nothing is. Until
  // the peer answers it may have another disk.
  void restart();
  void allow_probe() { probe_sent_ = false; }

  // Feeds the peer our image of `last`. The peer's answer says where to begin.
  void begin_snapshot(consensus::LogId last);
  // The peer wants the byte at `position` next. False: that piece is asked for already.
  bool wants_piece(std::uint64_t position);
  bool awaits_piece(std::uint64_t position) const { return reading_ && asked_ == position; }
  void piece_sent();
  void piece_gone();  // A newer image will be there when the log is told of it.
  // True when nothing moved since the last call: what was on its way may be lost.
  bool snapshot_stalls();

  // An answer from the peer, as it is with that disk. False: another disk than before, which has
  // nothing of ours; we begin anew.
  bool heard_from(DirectoryId directory, LogIndex next, Time now);
  void acknowledge_round(std::uint64_t round);
  void commit_sent(LogIndex commit);
  void set_bare(bool bare) { bare_ = bare; }

  Phase phase() const { return phase_; }
  std::string_view phase_name() const;
  LogIndex match() const { return match_; }
  // What the peer is known to have now: nothing until it answered on this link.
  LogIndex confirmed() const { return confirmed_ ? match_ : LogIndex{0}; }
  LogIndex next() const { return next_; }
  Time heard() const { return heard_; }
  // It acknowledges what it is sent, and did so since `since`, or is asked since then.
  bool keeps_up(Time since) const;
  const std::optional<DirectoryId>& directory() const { return directory_; }
  std::uint64_t round() const { return round_; }
  bool is_bare() const { return bare_; }  // By its last answer to an append.
  LogIndex commit_told() const { return commit_told_; }
  std::size_t inflight() const { return inflight_.size(); }
  std::size_t inflight_bytes() const { return inflight_bytes_; }
  consensus::LogId image() const { return image_; }
  bool image_is_gone() const { return phase_ == Phase::snapshot && image_gone_; }

 private:
  struct Sent {
    LogIndex last;
    std::size_t bytes;
  };

  Phase phase_ = Phase::probe;
  bool probe_sent_ = false;
  bool confirmed_ = false;
  LogIndex match_;                        // Known to be durable there; only grows with one disk.
  LogIndex next_;                         // The next entry to send.
  std::deque<Sent> inflight_;             // Unanswered appends, ascending; replicate only.
  std::size_t inflight_bytes_ = 0;        // Of their bodies.
  Time heard_;                            // Last answer in our epoch.
  Time moved_;                            // Last acknowledgement, or the first append unanswered.
  std::optional<DirectoryId> directory_;  // Of the last answer.
  std::uint64_t round_ = 0;               // Latest heartbeat round answered: for read index.
  bool bare_ = false;
  LogIndex commit_told_;  // The commit index the peer has been told of.

  consensus::LogId image_;              // While phase_ == snapshot.
  std::optional<std::uint64_t> asked_;  // Position of the piece that is read or on its way.
  bool reading_ = false;                // It is read.
  bool image_gone_ = false;
  bool stirred_ = false;  // Something was sent or answered since snapshot_stalls().
};

}  // namespace qlab::raft
