#include "storage/engines/direct_segment.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::storage {

DirectSegment::DirectSegment(runtime::Runtime& runtime, SegmentFile file,
                             std::shared_ptr<StagingPool> pool)
    : runtime_(runtime),
      file_(std::move(file)),
      pool_(std::move(pool)),
      staging_(pool_, file_.size),
      tail_known_(file_.size % Staging::block_bytes == 0),
      turn_(runtime),
      landed_(runtime),
      writes_(runtime) {}

DirectSegment::~DirectSegment() {
  if (holding_) pool_->end_holding(*holding_);
}

bool DirectSegment::fits(std::uint64_t bytes) const {
  const std::uint64_t staged = staging_.staged_bytes();
  return staged == 0 || staged + bytes <= staged_bytes_max;
}

bool DirectSegment::goes_at_once(std::uint64_t bytes) const {
  return waiting_appends_ == 0 && tail_known_ && !full_ && fits(bytes);
}

std::optional<Result<void>> DirectSegment::try_append(ByteView bytes) {
  if (poison_) return fail(poison_.error());
  if (!goes_at_once(bytes.size())) return std::nullopt;
  return stage(std::span(&bytes, 1));
}

Task<Result<void>> DirectSegment::append(std::vector<ByteView> pieces) {
  if (poison_) co_return fail(poison_.error());
  std::uint64_t bytes = 0;
  for (const ByteView piece : pieces) bytes += piece.size();
  if (bytes == 0) co_return Result<void>{};
  if (goes_at_once(bytes)) co_return stage(pieces);
  co_return co_await append_in_turn(std::move(pieces), bytes);
}

Task<Result<void>> DirectSegment::append_in_turn(std::vector<ByteView> pieces,
                                                 std::uint64_t bytes) {
  Result<void> result;
  waiting_appends_ += 1;
  {
    const Turnstile::Guard turn = co_await turn_.enter_alone();
    result = co_await make_room(bytes);
    if (result) result = stage(pieces);
  }
  waiting_appends_ -= 1;
  co_return result;
}

Result<void> DirectSegment::stage(std::span<const ByteView> pieces) {
  for (const ByteView piece : pieces) {
    const Result<void> copied = staging_.append(piece);
    if (!copied) return fail(poison_.set("an append", file_.path, copied.error()));
  }
  if (!holding_) holding_ = pool_->begin_holding(*this);
  if (staging_.has_full()) send_later();
  return {};
}

Task<Result<void>> DirectSegment::make_room(std::uint64_t bytes) {
  if (!poison_ && !tail_known_) CO_TRY_VOID(co_await read_tail());
  if (full_) co_await land_all();
  while (!poison_ && !full_ && !fits(bytes)) {
    ask_for(size());
    co_await landed_.wait();
  }
  if (poison_) co_return fail(poison_.error());
  if (full_) co_return fail(*full_);
  co_return Result<void>{};
}

Task<Result<void>> DirectSegment::read_tail() {
  const auto bytes = static_cast<std::size_t>(size() % Staging::block_bytes);
  CO_TRY(const Bytes tail, co_await file_.file->read(size() - bytes, bytes));
  if (tail.size() != bytes) {
    co_return fail(Errc::io, "{} gave {} of the last {} bytes of {}", file_.path, tail.size(),
                   bytes, size());
  }
  staging_.begin(size(), tail);
  tail_known_ = true;
  co_return Result<void>{};
}

// Waits until all that is staged has landed, or something fails. What did not fit is sent again.
Task<void> DirectSegment::land_all() {
  const std::uint64_t end = size();
  full_.reset();
  while (!poison_ && !full_ && staging_.landed() < end) {
    ask_for(end);
    co_await landed_.wait();
  }
}

Task<Result<std::uint64_t>> DirectSegment::sync() {
  const std::uint64_t wanted = size();
  full_.reset();  // What did not fit is sent once more.
  while (true) {
    if (poison_) co_return fail(poison_.error());
    if (full_) co_return fail(*full_);
    const std::uint64_t end = std::min(wanted, size());
    const bool landed = staging_.landed() >= end;
    if (landed && opened_durable_) co_return durable_size_;
    if (landed && !syncing_) {
      CO_TRY_VOID(co_await sync_what_was_there());
    } else {
      if (!landed) ask_for(end);
      co_await landed_.wait();
    }
  }
}

// The writes of this segment are durable by themselves; what somebody wrote before may not be.
Task<Result<void>> DirectSegment::sync_what_was_there() {
  syncing_ = true;
  Result<void> synced = co_await file_.file->sync();
  if (synced) synced = file_.sync_entry(runtime_.disk());
  syncing_ = false;
  if (!synced) poison_.set("a sync", file_.path, synced.error());
  opened_durable_ = synced.has_value();
  note_progress();
  co_return Result<void>{};
}

void DirectSegment::ask_for(std::uint64_t end) {
  wanted_ = std::max(wanted_, end);
  send_later();
}

// Once all who go on in this turn have appended what they have, so that it goes in one write.
void DirectSegment::send_later() {
  if (poison_ || std::exchange(sending_, true)) return;
  writes_.start([this] { return send(); });
}

Task<void> DirectSegment::send() {
  sending_ = false;
  if (poison_ || full_ || cutting_) co_return;
  Staging::RunPtr last;
  while (staging_.in_flight() < in_flight_max) {
    Staging::RunPtr run = staging_.next_due(wanted_);
    if (!run) break;
    if (last) writes_.start([this, last] { return write(last); });
    last = std::move(run);
  }
  if (last) co_await write(std::move(last));
}

Task<void> DirectSegment::write(Staging::RunPtr run) {
  std::vector<ByteView> pieces(1, run->blocks());
  file_.end = std::max(file_.end, run->first + pieces.front().size());
  const Result<void> written = co_await file_.file->write_durably(run->first, std::move(pieces));
  if (written) {
    staging_.land(*run);
  } else {
    staging_.take_back(*run);
    const bool no_space = written.error().code == Errc::no_space;
    if (no_space) full_ = written.error();
    if (!no_space) poison_.set("a write", file_.path, written.error());
  }
  note_progress();
  if (staging_.staged_bytes() > 0) send_later();
}

// Tells everybody who waits. They go on before what is sent next is looked for.
void DirectSegment::note_progress() {
  if (opened_durable_ && !poison_) durable_size_ = staging_.landed();
  if (holding_ && staging_.staged_bytes() == 0) {
    pool_->end_holding(*holding_);
    holding_.reset();
  }
  landed_.notify_all();
}

Task<Result<Bytes>> DirectSegment::read(std::uint64_t position, std::size_t count) {
  if (!file_.file) co_return fail(poison_.error());
  if (position > size()) {
    co_return fail(Errc::out_of_range, "position {} of {}, which has {} bytes", position,
                   file_.path, size());
  }
  const std::uint64_t readable = poison_ ? durable_size_ : size();
  if (poison_ && position >= readable && count > 0) co_return fail(poison_.error());
  const std::uint64_t end =
      position + std::min<std::uint64_t>(count, readable - std::min(position, readable));
  if (end == position) co_return Bytes{};
  // What is staged is taken at once: it may have landed when the file has been read.
  const std::uint64_t staged = std::clamp(staging_.landed(), position, end);
  Bytes rest(static_cast<std::size_t>(end - staged));
  staging_.read(staged, rest);
  if (staged == position) co_return rest;
  const auto wanted = static_cast<std::size_t>(staged - position);
  CO_TRY(Bytes bytes, co_await file_.file->read(position, wanted));
  if (bytes.size() != wanted) {
    co_return fail(Errc::io, "{} gave {} of the {} bytes at position {}", file_.path, bytes.size(),
                   wanted, position);
  }
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  co_return bytes;
}

Task<Result<void>> DirectSegment::truncate(std::uint64_t size) {
  if (poison_) co_return fail(poison_.error());
  CHECK(size <= this->size());
  CHECK(waiting_appends_ == 0);
  waiting_appends_ += 1;
  cutting_ = true;
  Result<void> result;
  {
    const Turnstile::Guard turn = co_await turn_.enter_alone();
    while (staging_.in_flight() > 0 || syncing_) co_await landed_.wait();
    result = co_await cut(size);
  }
  cutting_ = false;
  waiting_appends_ -= 1;
  note_progress();
  if (staging_.staged_bytes() > 0) send_later();
  co_return result;
}

Task<Result<void>> DirectSegment::cut(std::uint64_t size) {
  if (!poison_ && file_.end > size) {
    const Result<void> done = co_await file_.file->truncate(size);
    if (!done) poison_.set("a truncation", file_.path, done.error());
    file_.end = size;
  }
  if (poison_) co_return fail(poison_.error());
  const bool kept = staging_.truncate(size);
  tail_known_ = kept && (tail_known_ || size % Staging::block_bytes == 0);
  full_.reset();
  wanted_ = std::min(wanted_, size);
  durable_size_ = std::min(durable_size_, size);
  co_return Result<void>{};
}

// Reads come from the disk itself, so there is nothing of which the kernel believes more than it
// should; the simulated disk has a page cache on every path.
Task<Result<void>> DirectSegment::rewrite(std::uint64_t position) {
  if (poison_) co_return fail(poison_.error());
  CHECK(position <= size());
  CHECK(waiting_appends_ == 0);
  CHECK(staging_.staged_bytes() == 0);
  durable_size_ = std::min(durable_size_, position);
  const Result<void> written = co_await write_again(position);
  if (written || written.error().code == Errc::no_space) co_return written;
  co_return fail(poison_.set("a rewrite", file_.path, written.error()));
}

Task<Result<void>> DirectSegment::write_again(std::uint64_t position) {
  CO_TRY(const StagingPool::Buffer buffer, pool_->take(true));
  position -= position % Staging::block_bytes;
  while (position < size()) {
    const std::size_t count = buffer->bytes().size();
    CO_TRY(const Bytes bytes, co_await file_.file->read(position, count));
    if (bytes.empty()) co_return fail(Errc::io, "{} ends at position {}", file_.path, position);
    const std::size_t padding = (0 - bytes.size()) % Staging::block_bytes;
    std::copy(bytes.begin(), bytes.end(), buffer->bytes().begin());
    std::fill_n(buffer->bytes().data() + bytes.size(), padding, std::byte{0});
    std::vector<ByteView> pieces(1, buffer->bytes().first(bytes.size() + padding));
    file_.end = std::max(file_.end, position + pieces.front().size());
    CO_TRY_VOID(co_await file_.file->write_durably(position, std::move(pieces)));
    position += bytes.size() + padding;
  }
  co_return Result<void>{};
}

Task<Result<void>> DirectSegment::close() {
  CHECK(waiting_appends_ == 0);
  CHECK(!syncing_);
  if (!file_.file) co_return Result<void>{};
  Result<void> result;
  if (!poison_) {
    co_await land_all();
    if (full_) result = fail(*full_);
    if (poison_) result = fail(poison_.error());
  }
  const bool poisoned = static_cast<bool>(poison_);
  poison_.close(file_.path);
  co_await writes_.close();
  // The last block is padded, and behind it may lie what was prepared and what did not fit.
  if (!poisoned && file_.end > staging_.landed()) {
    const Result<void> cut = co_await file_.file->truncate(staging_.landed());
    if (result) result = cut;
  }
  const std::unique_ptr<runtime::File> file = std::move(file_.file);
  const Result<void> closed = co_await file->close();
  if (result) result = closed;
  co_return result;
}

}  // namespace qlab::storage
