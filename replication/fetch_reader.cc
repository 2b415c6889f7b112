#include "replication/fetch_reader.h"

#include <algorithm>

namespace qlab::replication {

FetchReader::FetchReader(runtime::Runtime& runtime, FetchSession& session, FetchLimits limits,
                         Look look, bool is_full, bool is_kept)
    : runtime_(runtime),
      session_(session),
      limits_(limits),
      look_(std::move(look)),
      is_full_(is_full),
      is_kept_(is_kept),
      listens_(is_kept) {}

Task<void> FetchReader::read(std::function<bool()> is_closing) {
  co_await read_marked();
  if (is_enough() || session_.size() == 0) co_return;
  if (!is_kept_) {
    // Until here nobody knew whether it would have to wait.
    listens_ = true;
    session_.mark_all();
  }
  while (true) {
    co_await read_marked();
    if (is_enough() || is_closing() || runtime_.now() >= limits_.due) co_return;
    co_await session_.feed().wait_until(limits_.due);
  }
}

bool FetchReader::is_enough() const {
  return is_urgent_ || bytes_ >= limits_.bytes_min;
}

Task<void> FetchReader::read_marked() {
  while (!session_.feed().is_empty()) {
    // What is left stays marked, and comes first next time.
    if (bytes_ >= limits_.bytes_max && bytes_ > 0 && !is_full_) co_return;
    const Slot slot = *session_.feed().next();
    if (session_.at(slot).topic == nullptr) continue;
    co_await look_at(slot);
    if (is_full_ || !found_[slot].is_cut) continue;
    session_.feed().mark_first(slot);
    co_return;
  }
}

Task<void> FetchReader::look_at(Slot slot) {
  Found& found = found_[slot];
  if (found.outcome) bytes_ -= found.outcome->batches.size();
  const std::size_t left = limits_.bytes_max - std::min(limits_.bytes_max, bytes_);
  const auto wanted =
      static_cast<std::size_t>(std::max(session_.at(slot).wanted.partition_max_bytes, 0));
  // The first that has anything brings at least a batch, so that a reader always gets on.
  const std::size_t bytes =
      bytes_ == 0 ? std::max<std::size_t>(1, std::min(left, wanted)) : std::min(left, wanted);
  found.is_cut = bytes == 0;
  found.outcome = co_await look_(slot, bytes, listens_);
  if (!found.outcome) {
    is_urgent_ = true;
    co_return;
  }
  FetchOutcome& outcome = *found.outcome;
  if (outcome.diverging || outcome.is_out_of_range || outcome.preferred_replica) {
    is_urgent_ = true;
  }
  if (bytes_ > 0 && outcome.batches.size() > left) {
    outcome.batches.clear();  // A batch may be longer than what it was read for.
    found.is_cut = true;
  }
  bytes_ += outcome.batches.size();
}

void FetchReader::mark_unsettled() {
  for (const auto& [slot, found] : found_) {
    if (found.is_cut) session_.feed().mark(slot);
  }
  for (const auto& [slot, found] : found_) {
    const bool is_settled = found.outcome && found.outcome->batches.empty() &&
                            !found.outcome->diverging && !found.outcome->is_out_of_range &&
                            !found.outcome->preferred_replica;
    if (!is_settled) session_.feed().mark(slot);
  }
}

}  // namespace qlab::replication
