#pragma once
// The work of one fetch: looks at the partitions that are marked, waits for others to change, and
// ends when there is enough, something urgent, or no time left.
//
// Source: KIP-227, KIP-74 (limits of bytes).

#include <functional>
#include <map>

#include "replication/fetch_session.h"

namespace qlab::replication {

struct FetchLimits {
  std::size_t bytes_max = 0;
  std::size_t bytes_min = 0;  // <= bytes_max; fewer are worth waiting until `due`.
  Time due{};
};

// Thread: the home shard.
class FetchReader {
 public:
  using Slot = FetchSession::Slot;
  // Reads a partition once, up to so many bytes and at least a batch; of 0 bytes, none.
  // `listens`: from here on its changes are to mark the slot.
  using Look =
      std::function<Task<Result<FetchOutcome>>(Slot slot, std::size_t bytes_max, bool listens)>;
  // Requires: `session` outlives it. `is_full`: all partitions are looked at, however many bytes
  // they have; `is_kept`: the session goes on after this.
  FetchReader(runtime::Runtime& runtime, FetchSession& session, FetchLimits limits, Look look,
              bool is_full, bool is_kept);

  // Cost: of the partitions that are marked, not of all.
  Task<void> read(std::function<bool()> is_closing);

  struct Found {
    Result<FetchOutcome> outcome = FetchOutcome{};
    bool is_cut = false;  // There was no room for its records.
  };
  std::map<Slot, Found>& found() { return found_; }
  // Marks for the next request what this one could not settle: the reader has to say how it goes
  // on, or gets it once more.
  void mark_unsettled();

 private:
  Task<void> read_marked();
  Task<void> look_at(Slot slot);
  bool is_enough() const;

  runtime::Runtime& runtime_;
  FetchSession& session_;
  const FetchLimits limits_;
  const Look look_;
  const bool is_full_;
  const bool is_kept_;
  bool listens_;
  std::map<Slot, Found> found_;
  std::size_t bytes_ = 0;   // Of all records found.
  bool is_urgent_ = false;  // Something besides records must not wait.
};

}  // namespace qlab::replication
