#include "consensus/write_queue.h"

#include "common/check.h"

namespace qlab::consensus {

void WriteQueue::push(WriteSeq seq, Write write) {
  CHECK(seq == issued_.next());
  issued_ = seq;
  queue_.push_back(std::move(write));
}

void WriteQueue::append(WriteSeq seq, std::vector<Entry> entries) {
  log_.append(entries);
  push(seq, std::move(entries));
}

void WriteQueue::truncate(WriteSeq seq, LogIndex from) {
  log_.truncate(from);
  push(seq, from);
}

void WriteQueue::save(WriteSeq seq, HardState state) {
  push(seq, state);
}

Task<Result<void>> WriteQueue::settle() {
  if (!std::exchange(dirty_, false)) co_return Result<void>{};
  co_return co_await log_.sync();
}

Task<Result<void>> WriteQueue::flush() {
  const WriteSeq last = issued_;
  std::deque<Write> writes = std::exchange(queue_, {});
  for (std::size_t at = 0; at < writes.size();) {
    if (std::holds_alternative<std::vector<Entry>>(writes[at])) {
      std::vector<Entry> entries;
      for (; at < writes.size(); ++at) {
        const auto* more = std::get_if<std::vector<Entry>>(&writes[at]);
        if (more == nullptr) break;
        entries.insert(entries.end(), more->begin(), more->end());
      }
      dirty_ = true;
      CO_TRY_VOID(co_await log_.write(std::move(entries)));
    } else if (const auto* from = std::get_if<LogIndex>(&writes[at])) {
      CO_TRY_VOID(co_await settle());
      CO_TRY_VOID(co_await log_.cut(*from));
      ++at;
    } else {
      // Only the last of adjacent states is worth a write.
      while (at + 1 < writes.size() && std::holds_alternative<HardState>(writes[at + 1])) ++at;
      CO_TRY_VOID(co_await settle());
      CO_TRY_VOID(votes_.save(std::get<HardState>(writes[at])));
      ++at;
    }
  }
  CO_TRY_VOID(co_await settle());
  durable_ = last;
  co_return Result<void>{};
}

}  // namespace qlab::consensus
