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

void WriteQueue::store(WriteSeq seq, SnapshotMeta meta, std::uint64_t position,
                       std::shared_ptr<const Bytes> bytes) {
  push(seq, Piece{std::move(meta), position, std::move(bytes)});
}

void WriteQueue::install(WriteSeq seq, SnapshotMeta meta) {
  const LogId last = meta.last;
  log_.install(std::move(meta));
  push(seq, Install{last});
}

void WriteQueue::trim(SnapshotMeta meta, LogIndex keep_from) {
  queue_.push_back(Trim{std::move(meta), keep_from});
}

Task<Result<void>> WriteQueue::settle() {
  if (!std::exchange(dirty_, false)) co_return Result<void>{};
  ++syncs_;
  co_return co_await log_.sync();
}

Task<Result<void>> WriteQueue::carry_out(std::vector<Entry> entries) {
  dirty_ = true;
  return log_.write(std::move(entries));
}

Task<Result<void>> WriteQueue::carry_out(LogIndex from) {
  CO_TRY_VOID(co_await settle());
  if (from <= votes_.log_end().index) CO_TRY_VOID(votes_.forget_log_end());
  co_return co_await log_.cut(from);
}

Task<Result<void>> WriteQueue::carry_out(HardState state) {
  CO_TRY_VOID(co_await settle());
  ++syncs_;
  co_return votes_.save(state, log_.written());
}

Task<Result<void>> WriteQueue::carry_out(Piece piece) {
  if (piece.position == 0) {
    CO_TRY(receiving_, co_await snapshots_.begin(std::move(piece.meta), "received"));
  }
  CHECK(receiving_ != nullptr);
  CHECK(receiving_->size() == piece.position);
  co_return co_await receiving_->add(std::move(piece.bytes));
}

Task<Result<void>> WriteQueue::carry_out(Install install) {
  CHECK(receiving_ != nullptr);
  CO_TRY_VOID(co_await settle());
  // The log may give way to the image.
  if (install.last.index < votes_.log_end().index) CO_TRY_VOID(votes_.forget_log_end());
  CO_TRY_VOID(co_await snapshots_.finish(std::move(receiving_)));
  co_return co_await log_.reset(install.last);
}

Task<Result<void>> WriteQueue::carry_out(Trim trim) {
  // An image that came from the leader meanwhile may be newer.
  if (trim.meta.last < log_.view().snapshot().last) co_return Result<void>{};
  CO_TRY_VOID(co_await settle());
  co_return co_await log_.trim(std::move(trim.meta), trim.keep_from);
}

// Adjacent entries make one write, and of adjacent states only the last is worth one.
WriteQueue::Write WriteQueue::take_next(std::deque<Write>& writes) {
  Write next = std::move(writes.front());
  writes.pop_front();
  while (!writes.empty() && writes.front().index() == next.index()) {
    if (auto* entries = std::get_if<std::vector<Entry>>(&next)) {
      const auto& more = std::get<std::vector<Entry>>(writes.front());
      entries->insert(entries->end(), more.begin(), more.end());
    } else if (std::holds_alternative<HardState>(next)) {
      next = std::move(writes.front());
    } else {
      break;
    }
    writes.pop_front();
  }
  return next;
}

Task<Result<void>> WriteQueue::flush() {
  const WriteSeq last = issued_;
  std::deque<Write> writes = std::exchange(queue_, {});
  while (!writes.empty()) {
    Write write = take_next(writes);
    Task<Result<void>> task = std::visit(
        [this](auto& one) -> Task<Result<void>> { return carry_out(std::move(one)); }, write);
    CO_TRY_VOID(co_await std::move(task));
  }
  CO_TRY_VOID(co_await settle());
  durable_ = last;
  co_return Result<void>{};
}

}  // namespace qlab::consensus
