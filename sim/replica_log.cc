#include "sim/replica_log.h"

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::sim {

using consensus::HardState;
using consensus::LogId;
using consensus::WriteSeq;

namespace {

std::vector<ChainedEntry> prefix_of(std::span<const CommittedEntry> committed, LogIndex last) {
  const auto count = static_cast<std::size_t>(last.value());
  CHECK(count <= committed.size());
  std::vector<ChainedEntry> prefix;
  prefix.reserve(count);
  for (std::size_t i = 0; i < count; ++i) prefix.push_back(committed[i].entry);
  return prefix;
}

}  // namespace

ChainedEntry chain_after(std::uint64_t before, const consensus::Entry& entry) {
  ChainedEntry chained{entry.id, before, 0};
  const auto mix = [&chained](std::uint64_t value) {
    chained.chain = (chained.chain ^ value) * 0x9E3779B97F4A7C15;
    chained.chain ^= chained.chain >> 29;
  };
  mix(static_cast<std::uint64_t>(entry.id.epoch.value()));
  mix(static_cast<std::uint64_t>(entry.id.index.value()));
  if (!entry.body->empty()) {
    chained.body = (std::uint64_t{crc32c(*entry.body)} << 32) | (entry.body->size() << 4) |
                   static_cast<std::uint64_t>(entry.kind);
  }
  return chained;
}

bool ReplicaLog::State::has(const ChainedEntry& entry) const {
  const auto at = static_cast<std::size_t>(entry.id.index.value());
  return at >= 1 && at <= entries.size() && entries[at - 1].matches(entry);
}

void ReplicaLog::State::cover(const std::vector<ChainedEntry>& image) {
  if (image.empty() || has(image.back())) return;
  entries = image;
}

bool ReplicaLog::State::is(const State& other) const {
  if (!(hard_state == other.hard_state) || entries.size() != other.entries.size()) return false;
  // Equal ends have equal chains; bodies are compared where there is one.
  for (std::size_t i = entries.size(); i > 0; --i) {
    if (!entries[i - 1].matches(other.entries[i - 1])) return false;
  }
  return true;
}

void ReplicaLog::apply(State& state, const Write& write) {
  state.entries.insert(state.entries.end(), write.appended.begin(), write.appended.end());
  if (write.truncated) state.entries.resize(static_cast<std::size_t>(write.truncated->value() - 1));
  if (write.saved) state.hard_state = *write.saved;
  if (write.installed) state.cover(*write.installed);
}

void ReplicaLog::push(Write write) {
  apply(now_, write);
  pending_.push_back(std::move(write));
}

std::vector<ChainedEntry> ReplicaLog::append(WriteSeq seq,
                                             const std::vector<consensus::Entry>& entries) {
  Write write{.seq = seq, .appended = {}, .truncated = {}, .saved = {}, .installed = {}};
  std::uint64_t chain = now_.entries.empty() ? 0 : now_.entries.back().chain;
  for (const consensus::Entry& entry : entries) {
    write.appended.push_back(chain_after(chain, entry));
    chain = write.appended.back().chain;
  }
  std::vector<ChainedEntry> appended = write.appended;
  push(std::move(write));
  return appended;
}

void ReplicaLog::truncate(WriteSeq seq, LogIndex from) {
  CHECK(from.value() <= static_cast<std::int64_t>(now_.entries.size()) + 1);
  push({.seq = seq, .appended = {}, .truncated = from, .saved = {}, .installed = {}});
}

void ReplicaLog::save(WriteSeq seq, const HardState& state) {
  push({.seq = seq, .appended = {}, .truncated = {}, .saved = state, .installed = {}});
}

void ReplicaLog::store(WriteSeq seq) {
  push({.seq = seq, .appended = {}, .truncated = {}, .saved = {}, .installed = {}});
}

void ReplicaLog::install(WriteSeq seq, const LogId& last,
                         std::span<const CommittedEntry> committed) {
  auto image = std::make_shared<const std::vector<ChainedEntry>>(prefix_of(committed, last.index));
  push({.seq = seq, .appended = {}, .truncated = {}, .saved = {}, .installed = std::move(image)});
}

void ReplicaLog::durable_up_to(WriteSeq seq) {
  while (!pending_.empty() && pending_.front().seq <= seq) {
    apply(durable_, pending_.front());
    pending_.pop_front();
  }
}

bool ReplicaLog::recover(const consensus::LogView& log, const HardState& state,
                         std::span<const CommittedEntry> committed) {
  const LogId image_last = log.snapshot().last;
  if (image_last.index.value() > static_cast<std::int64_t>(committed.size())) return false;
  const std::vector<ChainedEntry> image = prefix_of(committed, image_last.index);
  if (!image.empty() && image.back().id != image_last) return false;
  if (image_last.epoch > state.epoch) return false;  // It voted in it before it had the entry.
  State found{.entries = image, .hard_state = state};
  // What the image covers is taken from it; of the log, what is behind the last entry forgotten.
  found.entries.resize(static_cast<std::size_t>(log.first().value() - 1));
  std::uint64_t chain = found.entries.empty() ? 0 : found.entries.back().chain;
  configured_at_ = {};
  for (LogIndex next = log.first(); next <= log.last().index; next = next.next()) {
    for (const consensus::Entry& entry : log.read(next, 1u << 20)) {
      found.entries.push_back(chain_after(chain, entry));
      chain = found.entries.back().chain;
      next = entry.id.index;
      const bool is_new = entry.kind == consensus::EntryKind::config && next > image_last.index;
      if (is_new) configured_at_ = entry.id;
    }
  }
  State candidate = durable_;
  const auto fits = [&] {
    if (image.empty() || candidate.has(image.back())) return found.is(candidate);
    return found.hard_state == candidate.hard_state && found.entries.size() == image.size() &&
           found.has(image.back());
  };
  bool possible = fits();
  for (Write& write : pending_) {
    if (possible) break;
    // Of an append a crash keeps any number of its entries.
    for (std::size_t kept = 0; kept < write.appended.size() && !possible; ++kept) {
      candidate.entries.push_back(write.appended[kept]);
      possible = fits();
    }
    write.appended.clear();
    // And of a truncation it may have dropped only the last entries: files of the log go one by
    // one.
    const std::size_t end =
        write.truncated ? static_cast<std::size_t>(write.truncated->value()) : 1;
    while (!possible && write.truncated && candidate.entries.size() > end) {
      candidate.entries.pop_back();
      possible = fits();
    }
    if (possible) break;
    apply(candidate, write);
    possible = possible || fits();
  }
  pending_.clear();
  durable_ = found;
  now_ = std::move(found);
  return possible;
}

}  // namespace qlab::sim
