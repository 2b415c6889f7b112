#include "sim/replica_log.h"

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::sim {

using consensus::HardState;
using consensus::WriteSeq;

std::uint64_t chain_after(std::uint64_t before, const consensus::Entry& entry) {
  std::uint64_t chain = before;
  const auto mix = [&chain](std::uint64_t value) {
    chain = (chain ^ value) * 0x9E3779B97F4A7C15;
    chain ^= chain >> 29;
  };
  mix(static_cast<std::uint64_t>(entry.id.epoch.value()));
  mix(static_cast<std::uint64_t>(entry.id.index.value()));
  mix(static_cast<std::uint64_t>(entry.kind));
  mix(crc32c(*entry.body));
  mix(entry.body->size());
  return chain;
}

bool ReplicaLog::State::has(const ChainedEntry& entry) const {
  const auto at = static_cast<std::size_t>(entry.id.index.value());
  return at <= entries.size() && entries[at - 1] == entry;
}

void ReplicaLog::apply(State& state, const Write& write) {
  state.entries.insert(state.entries.end(), write.appended.begin(), write.appended.end());
  if (write.truncated) state.entries.resize(static_cast<std::size_t>(write.truncated->value() - 1));
  if (write.saved) state.hard_state = *write.saved;
}

std::vector<ChainedEntry> ReplicaLog::append(WriteSeq seq,
                                             const std::vector<consensus::Entry>& entries) {
  Write write{.seq = seq, .appended = {}, .truncated = {}, .saved = {}};
  std::uint64_t chain = now_.entries.empty() ? 0 : now_.entries.back().chain;
  for (const consensus::Entry& entry : entries) {
    chain = chain_after(chain, entry);
    write.appended.push_back({entry.id, chain});
  }
  apply(now_, write);
  pending_.push_back(write);
  return write.appended;
}

void ReplicaLog::truncate(WriteSeq seq, LogIndex from) {
  CHECK(from.value() <= static_cast<std::int64_t>(now_.entries.size()) + 1);
  pending_.push_back({.seq = seq, .appended = {}, .truncated = from, .saved = {}});
  apply(now_, pending_.back());
}

void ReplicaLog::save(WriteSeq seq, const HardState& state) {
  pending_.push_back({.seq = seq, .appended = {}, .truncated = {}, .saved = state});
  apply(now_, pending_.back());
}

void ReplicaLog::durable_up_to(WriteSeq seq) {
  while (!pending_.empty() && pending_.front().seq <= seq) {
    apply(durable_, pending_.front());
    pending_.pop_front();
  }
}

bool ReplicaLog::recover(const consensus::LogView& log, const HardState& state) {
  State found{.entries = {}, .hard_state = state};
  std::uint64_t chain = 0;
  for (LogIndex next{1}; next <= log.last().index; next = next.next()) {
    for (const consensus::Entry& entry : log.read(next, 1u << 20)) {
      chain = chain_after(chain, entry);
      found.entries.push_back({entry.id, chain});
      next = entry.id.index;
    }
  }
  bool possible = found == durable_;
  State candidate = durable_;
  for (Write& write : pending_) {
    if (possible) break;
    // Of an append a crash keeps any number of its entries.
    for (std::size_t kept = 0; kept < write.appended.size() && !possible; ++kept) {
      candidate.entries.push_back(write.appended[kept]);
      possible = found == candidate;
    }
    write.appended.clear();
    apply(candidate, write);
    possible = possible || found == candidate;
  }
  pending_.clear();
  durable_ = found;
  now_ = std::move(found);
  return possible;
}

}  // namespace qlab::sim
