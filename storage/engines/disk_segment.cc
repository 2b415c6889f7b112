#include "storage/engines/disk_segment.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::storage {
namespace {

// One write carries at most this much of what waits, so that the first in the queue is not held up
// by a long tail, and few enough pieces for one vectored system call.
constexpr std::uint64_t group_bytes_max = 1u << 20;
constexpr std::size_t group_pieces_max = 512;

std::uint64_t bytes_in(const std::vector<ByteView>& pieces) {
  std::uint64_t bytes = 0;
  for (const ByteView piece : pieces) bytes += piece.size();
  return bytes;
}

}  // namespace

// An append that waits to be written, or to lead the next write.
struct DiskSegment::Append {
  std::vector<ByteView> pieces;
  std::uint64_t bytes;
  std::optional<runtime::Completion<bool>> turn;  // Set when woken; without it nobody waits.
  std::optional<Result<void>> result;             // Set once written, or not.
};

DiskSegment::DiskSegment(runtime::Runtime& runtime, SegmentFile file)
    : runtime_(runtime), file_(std::move(file)), size_(file_.size), sync_ended_(runtime) {}

DiskSegment::~DiskSegment() = default;

Task<Result<void>> DiskSegment::append(std::vector<ByteView> pieces) {
  if (poison_) co_return fail(poison_.error());
  Append mine{.pieces = std::move(pieces), .bytes = 0, .turn = {}, .result = {}};
  mine.bytes = bytes_in(mine.pieces);
  if (mine.bytes == 0) co_return Result<void>{};
  queue_.push_back(&mine);
  if (writing_) {
    mine.turn.emplace(runtime_.executor());
    co_await mine.turn->wait();
  }
  // Either another append has carried this one along, or this one is first and leads.
  if (!mine.result) {
    writing_ = true;
    co_await runtime::yield(runtime_);
    co_await write_group();
  }
  co_return std::move(*mine.result);
}

// Writes what waits, in order and in one call; the append at the front is the one that leads.
Task<void> DiskSegment::write_group() {
  std::vector<Append*> group;
  std::vector<ByteView> pieces;
  std::uint64_t bytes = 0;
  while (!queue_.empty()) {
    Append* const next = queue_.front();
    const bool fits = bytes + next->bytes <= group_bytes_max &&
                      pieces.size() + next->pieces.size() <= group_pieces_max;
    if (!group.empty() && !fits) break;
    queue_.pop_front();
    group.push_back(next);
    pieces.insert(pieces.end(), next->pieces.begin(), next->pieces.end());
    bytes += next->bytes;
  }

  Result<void> result;
  if (poison_) {
    result = fail(poison_.error());
  } else {
    result = co_await file_.file->write(size_, std::move(pieces));
    if (result) {
      size_ += bytes;
      file_.end = std::max(file_.end, size_);
    } else if (result.error().code == Errc::no_space) {
      result = co_await cut_partial_write(result.error());
    } else {
      result = fail(poison_.set("a write", file_.path, result.error()));
    }
  }
  for (Append* const append : group) {
    append->result = result;
    if (append != group.front()) append->turn->set(true);
  }
  next_writer();
}

// A part may have been written. It goes at once: were it left behind the end, a shorter append and
// a crash could bring whole batches back that their writer was told are not in the log.
Task<Result<void>> DiskSegment::cut_partial_write(Error why) {
  const Result<void> cut = co_await file_.file->truncate(size_);
  if (!cut)
    co_return fail(poison_.set("cutting a partial write off the end", file_.path, cut.error()));
  co_return fail(std::move(why));
}

void DiskSegment::next_writer() {
  writing_ = false;
  if (queue_.empty()) return;
  writing_ = true;  // Held for the one that is woken, so that nobody overtakes it.
  queue_.front()->turn->set(true);
}

Task<Result<std::uint64_t>> DiskSegment::sync() {
  const std::uint64_t wanted = size_;
  while (true) {
    if (poison_) co_return fail(poison_.error());
    if (entry_durable_ && durable_size_ >= std::min(wanted, size_)) co_return durable_size_;
    if (!syncing_) break;
    // The sync under way may have begun before the append that this one is for; it is looked at
    // again when it ends, and of all who wait the first starts the next one.
    co_await sync_ended_.wait();
  }
  syncing_ = true;
  co_await runtime::yield(runtime_);
  const std::uint64_t covers = size_;
  const Result<void> synced = co_await sync_file();
  syncing_ = false;
  sync_ended_.notify_all();
  if (!synced) co_return fail(poison_.set("a sync", file_.path, synced.error()));
  if (poison_) co_return fail(poison_.error());
  durable_size_ = covers;
  co_return durable_size_;
}

Task<Result<void>> DiskSegment::sync_file() {
  CO_TRY_VOID(co_await file_.file->sync());
  if (!entry_durable_) {
    CO_TRY_VOID(file_.sync_entry(runtime_.disk()));
    entry_durable_ = true;
  }
  co_return Result<void>{};
}

Task<Result<Bytes>> DiskSegment::read(std::uint64_t position, std::size_t count) {
  if (!file_.file) co_return fail(poison_.error());
  if (position > size_) {
    co_return fail(Errc::out_of_range, "position {} of {}, which has {} bytes", position,
                   file_.path, size_);
  }
  const std::uint64_t readable = poison_ ? durable_size_ : size_;
  if (position >= readable && poison_ && count > 0) co_return fail(poison_.error());
  const std::size_t there = static_cast<std::size_t>(
      std::min<std::uint64_t>(count, readable - std::min(position, readable)));
  if (there == 0) co_return Bytes{};
  CO_TRY(Bytes bytes, co_await file_.file->read(position, there));
  if (bytes.size() != there) {
    co_return fail(Errc::io, "{} gave {} of the {} bytes at position {}", file_.path, bytes.size(),
                   there, position);
  }
  co_return bytes;
}

Task<Result<void>> DiskSegment::truncate(std::uint64_t size) {
  if (poison_) co_return fail(poison_.error());
  CHECK(size <= size_);
  CHECK(!writing_);
  CHECK(queue_.empty());
  writing_ = true;
  while (syncing_) co_await sync_ended_.wait();
  syncing_ = true;
  if (!poison_) {
    const Result<void> cut = co_await file_.file->truncate(size);
    if (cut) {
      size_ = file_.end = size;
      durable_size_ = std::min(durable_size_, size);
    } else {
      poison_.set("a truncation", file_.path, cut.error());
    }
  }
  syncing_ = false;
  sync_ended_.notify_all();
  next_writer();
  if (poison_) co_return fail(poison_.error());
  co_return Result<void>{};
}

Task<Result<void>> DiskSegment::forget_cached() {
  if (poison_) co_return fail(poison_.error());
  CHECK(!writing_);
  CHECK(!syncing_);
  co_return co_await file_.file->forget_cached();
}

Task<Result<void>> DiskSegment::rewrite(std::uint64_t position) {
  if (poison_) co_return fail(poison_.error());
  CHECK(position <= size_);
  CHECK(!writing_);
  CHECK(queue_.empty());
  writing_ = true;
  durable_size_ = std::min(durable_size_, position);
  const Result<void> written = co_await write_again(position);
  next_writer();
  if (!written && written.error().code == Errc::no_space) co_return written;
  if (!written) co_return fail(poison_.set("a rewrite", file_.path, written.error()));
  co_return written;
}

Task<Result<void>> DiskSegment::write_again(std::uint64_t position) {
  while (position < size_) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(size_ - position, group_bytes_max));
    CO_TRY(const Bytes bytes, co_await file_.file->read(position, count));
    if (bytes.empty()) co_return fail(Errc::io, "{} ends at position {}", file_.path, position);
    CO_TRY_VOID(co_await file_.file->write(position, std::vector<ByteView>(1, bytes)));
    position += bytes.size();
  }
  co_return Result<void>{};
}

void DiskSegment::note_durable(std::uint64_t size) {
  if (poison_) return;
  entry_durable_ = true;
  durable_size_ = std::max(durable_size_, std::min(size, size_));
}

Task<Result<void>> DiskSegment::close() {
  CHECK(!writing_);
  CHECK(queue_.empty());
  CHECK(!syncing_);
  if (!file_.file) co_return Result<void>{};
  Result<void> result;
  // What was prepared and not used.
  if (!poison_ && file_.end > size_) result = co_await file_.file->truncate(size_);
  poison_.close(file_.path);
  const std::unique_ptr<runtime::File> file = std::move(file_.file);
  const Result<void> closed = co_await file->close();
  if (result) result = closed;
  co_return result;
}

DiskEngine::MakeSegment make_disk_segment(runtime::Runtime& runtime) {
  return [&runtime](SegmentFile file) {
    return std::make_unique<DiskSegment>(runtime, std::move(file));
  };
}

}  // namespace qlab::storage
