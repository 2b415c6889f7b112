#include <algorithm>

#include "storage/engines/disk_engine.h"
#include "storage/engines/poison.h"
#include "storage/example_engine.h"
#include "storage/turnstile.h"

namespace qlab::storage {
namespace {

class PlainSegment final : public Segment {
 public:
  PlainSegment(runtime::Runtime& runtime, SegmentFile file)
      : disk_(runtime.disk()),
        file_(std::move(file)),
        size_(file_.size),
        writes_(runtime),
        syncs_(runtime) {}

  Task<Result<void>> append(std::vector<ByteView> pieces) override;
  Task<Result<std::uint64_t>> sync() override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> forget_cached() override;
  Task<Result<void>> rewrite(std::uint64_t position) override;
  std::uint64_t size() const override { return size_; }
  std::uint64_t durable_size() const override { return durable_size_; }
  Task<Result<void>> close() override;

 private:
  Task<Result<void>> sync_file();

  runtime::Disk& disk_;
  SegmentFile file_;
  std::uint64_t size_;
  std::uint64_t durable_size_ = 0;
  bool entry_durable_ = false;
  Poison poison_;
  Turnstile writes_;  // One write at a time, in the order of the calls.
  Turnstile syncs_;   // One sync at a time; those who wait are served by the next one together.
};

Task<Result<void>> PlainSegment::append(std::vector<ByteView> pieces) {
  const Turnstile::Guard turn = co_await writes_.enter_alone();
  if (poison_) co_return fail(poison_.error());
  std::uint64_t bytes = 0;
  for (const ByteView piece : pieces) bytes += piece.size();
  const Result<void> written = co_await file_.file->write(size_, std::move(pieces));
  if (written) {
    size_ += bytes;
    file_.end = std::max(file_.end, size_);
    co_return written;
  }
  if (written.error().code != Errc::no_space) {
    co_return fail(poison_.set("a write", file_.path, written.error()));
  }
  // A part of it may be there. It goes now, or a crash could bring it back behind a shorter append.
  const Result<void> cut = co_await file_.file->truncate(size_);
  if (!cut) co_return fail(poison_.set("a truncation", file_.path, cut.error()));
  co_return written;
}

Task<Result<std::uint64_t>> PlainSegment::sync() {
  const std::uint64_t wanted = size_;
  const Turnstile::Guard turn = co_await syncs_.enter_alone();
  if (poison_) co_return fail(poison_.error());
  // The sync before this one may have begun after the append that this one is for.
  const bool done = entry_durable_ && durable_size_ >= std::min(wanted, size_);
  if (done) co_return durable_size_;
  const std::uint64_t covers = size_;
  const Result<void> synced = co_await sync_file();
  if (!synced) co_return fail(poison_.set("a sync", file_.path, synced.error()));
  if (poison_) co_return fail(poison_.error());
  durable_size_ = covers;
  co_return durable_size_;
}

Task<Result<void>> PlainSegment::sync_file() {
  CO_TRY_VOID(co_await file_.file->sync());
  if (!entry_durable_) CO_TRY_VOID(file_.sync_entry(disk_));
  entry_durable_ = true;
  co_return Result<void>{};
}

Task<Result<Bytes>> PlainSegment::read(std::uint64_t position, std::size_t count) {
  if (!file_.file) co_return fail(poison_.error());
  if (position > size_) {
    co_return fail(Errc::out_of_range, "position {} of {}, which has {} bytes", position,
                   file_.path, size_);
  }
  const std::uint64_t readable = poison_ ? durable_size_ : size_;
  if (poison_ && position >= readable && count > 0) co_return fail(poison_.error());
  const std::uint64_t left = readable - std::min(position, readable);
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(count, left));
  co_return co_await file_.file->read(position, there);
}

Task<Result<void>> PlainSegment::truncate(std::uint64_t size) {
  const Turnstile::Guard no_writes = co_await writes_.enter_alone();
  const Turnstile::Guard no_syncs = co_await syncs_.enter_alone();
  if (poison_) co_return fail(poison_.error());
  const Result<void> cut = co_await file_.file->truncate(size);
  if (!cut) co_return fail(poison_.set("a truncation", file_.path, cut.error()));
  size_ = file_.end = size;
  durable_size_ = std::min(durable_size_, size);
  co_return cut;
}

Task<Result<void>> PlainSegment::forget_cached() {
  if (poison_) co_return fail(poison_.error());
  co_return co_await file_.file->forget_cached();
}

Task<Result<void>> PlainSegment::rewrite(std::uint64_t position) {
  const Turnstile::Guard turn = co_await writes_.enter_alone();
  if (poison_) co_return fail(poison_.error());
  durable_size_ = std::min(durable_size_, position);
  const auto count = static_cast<std::size_t>(size_ - position);
  CO_TRY(const Bytes bytes, co_await file_.file->read(position, count));
  co_return co_await file_.file->write(position, std::vector<ByteView>(1, bytes));
}

Task<Result<void>> PlainSegment::close() {
  if (!file_.file) co_return Result<void>{};
  Result<void> trimmed;
  if (!poison_ && file_.end > size_) trimmed = co_await file_.file->truncate(size_);
  poison_.close(file_.path);
  const std::unique_ptr<runtime::File> file = std::move(file_.file);
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(trimmed);
  co_return closed;
}

}  // namespace

std::unique_ptr<Engine> make_plain_engine(runtime::Runtime& runtime, const EngineOptions& options) {
  auto make = [&runtime](SegmentFile file) {
    return std::make_unique<PlainSegment>(runtime, std::move(file));
  };
  return std::make_unique<DiskEngine>(runtime, "plain", runtime::IoPath::blocking, options, make);
}

}  // namespace qlab::storage
