#include "storage/segment_files.h"

#include <algorithm>

#include "common/check.h"
#include "storage/capped_segment.h"
#include "storage/read_ahead.h"

namespace qlab::storage {

struct SegmentFiles::Idle {
  boost::intrusive::list<CappedSegment, boost::intrusive::constant_time_size<false>> segments;
};

SegmentFiles::SegmentFiles(runtime::Runtime& runtime, Engine& engine, std::size_t open_max)
    : runtime_(runtime), engine_(engine), open_max_(open_max), idle_(std::make_unique<Idle>()) {
  CHECK(open_max > 0);
}

SegmentFiles::~SegmentFiles() = default;

Task<Result<std::unique_ptr<Segment>>> SegmentFiles::open(std::string path) {
  CO_TRY(auto file, co_await open_file(path));
  auto segment = std::make_unique<CappedSegment>(*this, std::move(path), std::move(file));
  now_idle(*segment);
  co_return segment;
}

std::unique_ptr<Segment> SegmentFiles::known(std::string path, std::uint64_t size) {
  return std::make_unique<CappedSegment>(*this, std::move(path), size);
}

std::unique_ptr<Segment> SegmentFiles::unmade(std::string path) {
  return std::make_unique<CappedSegment>(*this, std::move(path));
}

Task<Result<std::unique_ptr<Segment>>> SegmentFiles::open_file(std::string path) {
  co_await make_room();
  auto opened = co_await engine_.open(path);
  if (opened) co_return opened;
  give_back();
  co_return fail(opened.error().code, "{}; {} segment files are open, and log.open.files.max is {}",
                 opened.error().context, open_, open_max_);
}

// Returns with a place taken.
Task<void> SegmentFiles::make_room() {
  while (open_ >= open_max_) {
    if (idle_->segments.empty()) {
      const auto place = std::make_shared<runtime::Suspension>(runtime_.executor());
      waiting_.push_back(place);
      co_await runtime::Suspension::wait(place);
      continue;
    }
    CappedSegment& oldest = idle_->segments.front();
    // A segment that cannot be put away keeps its file, and its next call says why.
    [[maybe_unused]] const Result<void> put_away = co_await oldest.put_away();
  }
  ++open_;
}

void SegmentFiles::give_back() {
  CHECK(open_ > 0);
  --open_;
  wake_one();
}

void SegmentFiles::wake_one() {
  if (waiting_.empty()) return;
  waiting_.front()->resume();
  waiting_.pop_front();
}

void SegmentFiles::now_idle(CappedSegment& segment) {
  idle_->segments.push_back(segment);
  wake_one();
}

CappedSegment::~CappedSegment() {
  if (file_ && !stays_open_) files_.give_back();
}

void CappedSegment::keep_open() {
  if (!std::exchange(stays_open_, true)) files_.give_back();
}

bool CappedSegment::try_enter() {
  if (!file_ || moving_) return false;
  if (calls_++ == 0 && is_linked()) unlink();
  return true;
}

Task<Result<void>> CappedSegment::enter() {
  while (true) {
    if (closed_) co_return fail(Errc::closed, "{} is closed", path_);
    if (try_enter()) co_return Result<void>{};
    if (moving_) {
      co_await moved();
      continue;
    }
    moving_ = true;
    const Result<void> opened = co_await open_file();
    end_move();
    CO_TRY_VOID(opened);
  }
}

void CappedSegment::leave() {
  CHECK(calls_ > 0);
  if (--calls_ > 0) return;
  if (moving_) {
    moved_->notify_all();  // It is to be put away, which waits for this.
  } else if (!stays_open_) {
    files_.now_idle(*this);
  }
}

Task<void> CappedSegment::moved() {
  if (!moved_) moved_ = std::make_unique<runtime::Event>(files_.runtime_);
  co_await moved_->wait();
}

void CappedSegment::end_move() {
  moving_ = false;
  if (!moved_) return;
  moved_->notify_all();
  moved_.reset();
}

Task<Result<void>> CappedSegment::open_file() {
  CO_TRY(auto file, co_await files_.open_file(path_));
  Result<void> fits;
  if (file->size() < size_) {
    fits = fail(Errc::corrupt, "{} has {} bytes, and {} were durable", path_, file->size(), size_);
  } else if (file->size() > size_) {
    // An engine may have prepared space behind the end.
    const Result<bool> zero = co_await is_zero(files_.runtime_, *file, size_, file->size());
    if (!zero) {
      fits = fail(zero.error());
    } else if (!*zero) {
      fits = fail(Errc::corrupt, "{} has {} bytes, and had {} when it was closed", path_,
                  file->size(), size_);
    } else {
      fits = co_await file->truncate(size_);
    }
  }
  if (fits) {
    if (synced_) file->note_durable(size_);  // And its name.
    file_ = std::move(file);
    co_return fits;
  }
  [[maybe_unused]] const Result<void> closed = co_await file->close();
  files_.give_back();
  co_return fits;
}

// An error but for a full disk leaves the segment poisoned.
Result<void> CappedSegment::note(Result<void> outcome) {
  const bool poisons = !outcome && outcome.error().code != Errc::no_space &&
                       outcome.error().code != Errc::out_of_range;
  if (poisons) keep_open();
  return outcome;
}

Task<Result<void>> CappedSegment::append(std::vector<ByteView> pieces) {
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  Result<void> appended = note(co_await file_->append(std::move(pieces)));
  leave();
  co_return appended;
}

std::optional<Result<void>> CappedSegment::try_append(ByteView bytes) {
  if (!file_ || moving_) return std::nullopt;
  std::optional<Result<void>> appended = file_->try_append(bytes);
  if (appended) appended = note(std::move(*appended));
  return appended;
}

Task<Result<std::uint64_t>> CappedSegment::sync() {
  if (closed_) co_return fail(Errc::closed, "{} is closed", path_);
  if (!file_ && !moving_) co_return size_;
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  Result<std::uint64_t> durable = co_await file_->sync();
  if (!durable && durable.error().code != Errc::no_space) keep_open();
  if (durable) synced_ = true;
  leave();
  co_return durable;
}

Task<Result<Bytes>> CappedSegment::read(std::uint64_t position, std::size_t count) {
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  Result<Bytes> bytes = co_await file_->read(position, count);
  leave();
  co_return bytes;
}

Task<Result<void>> CappedSegment::truncate(std::uint64_t size) {
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  Result<void> cut = note(co_await file_->truncate(size));
  if (cut) size_ = std::min(size_, size);
  leave();
  co_return cut;
}

Task<Result<void>> CappedSegment::forget_cached() {
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  Result<void> forgotten = co_await file_->forget_cached();
  leave();
  co_return forgotten;
}

Task<Result<void>> CappedSegment::rewrite(std::uint64_t position) {
  if (!try_enter()) CO_TRY_VOID(co_await enter());
  size_ = std::min(size_, position);
  Result<void> written = note(co_await file_->rewrite(position));
  leave();
  co_return written;
}

void CappedSegment::note_durable(std::uint64_t size) {
  if (!file_) return;
  file_->note_durable(size);
  if (files_.is_synced_by_filesystem()) synced_ = true;
}

std::uint64_t CappedSegment::durable_size() const {
  return file_ ? std::max(size_, file_->durable_size()) : size_;
}

Task<Result<void>> CappedSegment::put_away() {
  if (is_linked()) unlink();
  moving_ = true;
  while (calls_ > 0) co_await moved();
  Result<void> done;
  if (stays_open_) {  // The last call has met an error.
    end_move();
    co_return done;
  }
  if (!synced_ || durable_size() < size()) {
    const Result<std::uint64_t> durable = co_await file_->sync();
    if (!durable) done = fail(durable.error());
    if (durable) synced_ = true;
  }
  if (done) {
    size_ = file_->size();
    done = co_await file_->close();
    // It is closed in any case, and all of it was synced: who reads it opens it anew.
    file_.reset();
    files_.give_back();
    if (done && listener_ != nullptr) listener_->on_released();
  } else {
    keep_open();
  }
  end_move();
  co_return done;
}

Task<Result<void>> CappedSegment::release() {
  while (moving_) co_await moved();
  if (!file_ || stays_open_) co_return Result<void>{};
  co_return co_await put_away();
}

Task<Result<void>> CappedSegment::close() {
  closed_ = true;
  while (moving_) co_await moved();
  CHECK(calls_ == 0);
  if (!file_) co_return Result<void>{};
  if (is_linked()) unlink();
  size_ = file_->size();
  const std::unique_ptr<Segment> file = std::move(file_);
  const Result<void> done = co_await file->close();
  if (!stays_open_) files_.give_back();
  co_return done;
}

}  // namespace qlab::storage
