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

std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

}  // namespace

// An append that waits to be written, or to lead the next write.
struct DiskSegment::Append {
  std::vector<ByteView> pieces;
  std::uint64_t bytes;
  std::optional<runtime::Completion<bool>> turn;  // Set when woken; without it nobody waits.
  std::optional<Result<void>> result;             // Set once written, or not.
};

DiskSegment::DiskSegment(runtime::Runtime& runtime, std::string path,
                         std::unique_ptr<runtime::File> file, std::uint64_t size)
    : runtime_(runtime),
      path_(std::move(path)),
      file_(std::move(file)),
      size_(size),
      sync_ended_(runtime) {}

DiskSegment::~DiskSegment() = default;

Error DiskSegment::poison(std::string_view act, const Error& cause) {
  if (!poison_) {
    poison_ = Error{Errc::io, fmt::format("{} of {} failed, and nothing is written to it until it "
                                          "is opened anew: {}",
                                          act, path_, cause.message())};
  }
  return *poison_;
}

Task<Result<void>> DiskSegment::append(std::vector<ByteView> pieces) {
  if (poison_) co_return fail(*poison_);
  Append mine{.pieces = std::move(pieces), .bytes = 0, .turn = {}, .result = {}};
  mine.bytes = bytes_in(mine.pieces);
  if (mine.bytes == 0) co_return Result<void>{};
  queue_.push_back(&mine);
  if (writing_) {
    mine.turn.emplace(runtime_.executor());
    co_await mine.turn->wait();
  }
  // Either another append has carried this one along, or this one is first and leads.
  if (!mine.result) co_await write_group();
  co_return std::move(*mine.result);
}

// Writes what waits, in order and in one call; the append at the front is the one that leads.
Task<void> DiskSegment::write_group() {
  writing_ = true;
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
    result = fail(*poison_);
  } else {
    result = co_await file_->write(size_, std::move(pieces));
    if (result) {
      size_ += bytes;
    } else if (result.error().code == Errc::no_space) {
      result = co_await cut_partial_write(result.error());
    } else {
      result = fail(poison("a write", result.error()));
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
  const Result<void> cut = co_await file_->truncate(size_);
  if (!cut) co_return fail(poison("cutting a partial write off the end", cut.error()));
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
    if (poison_) co_return fail(*poison_);
    if (entry_durable_ && durable_size_ >= std::min(wanted, size_)) co_return durable_size_;
    if (!syncing_) break;
    // The sync under way may have begun before the append that this one is for; it is looked at
    // again when it ends, and of all who wait the first starts the next one.
    co_await sync_ended_.wait();
  }
  syncing_ = true;
  const std::uint64_t covers = size_;
  const Result<void> synced = co_await sync_file();
  syncing_ = false;
  sync_ended_.notify_all();
  if (!synced) co_return fail(poison("a sync", synced.error()));
  if (poison_) co_return fail(*poison_);
  durable_size_ = covers;
  co_return durable_size_;
}

Task<Result<void>> DiskSegment::sync_file() {
  CO_TRY_VOID(co_await file_->sync());
  if (!entry_durable_) {
    CO_TRY_VOID(runtime_.disk().sync_directory(directory_of(path_)));
    entry_durable_ = true;
  }
  co_return Result<void>{};
}

Task<Result<Bytes>> DiskSegment::read(std::uint64_t position, std::size_t count) {
  if (position > size_) {
    co_return fail(Errc::out_of_range, "position {} of {}, which has {} bytes", position, path_,
                   size_);
  }
  const std::uint64_t readable = poison_ ? durable_size_ : size_;
  if (position >= readable && poison_ && count > 0) co_return fail(*poison_);
  const std::size_t there = static_cast<std::size_t>(
      std::min<std::uint64_t>(count, readable - std::min(position, readable)));
  if (there == 0) co_return Bytes{};
  CO_TRY(Bytes bytes, co_await file_->read(position, there));
  if (bytes.size() != there) {
    co_return fail(Errc::io, "{} gave {} of the {} bytes at position {}", path_, bytes.size(),
                   there, position);
  }
  co_return bytes;
}

Task<Result<void>> DiskSegment::truncate(std::uint64_t size) {
  if (poison_) co_return fail(*poison_);
  CHECK(size <= size_);
  CHECK(!writing_);
  CHECK(queue_.empty());
  writing_ = true;
  while (syncing_) co_await sync_ended_.wait();
  syncing_ = true;
  if (!poison_) {
    const Result<void> cut = co_await file_->truncate(size);
    if (cut) {
      size_ = size;
      durable_size_ = std::min(durable_size_, size);
    } else {
      poison("a truncation", cut.error());
    }
  }
  syncing_ = false;
  sync_ended_.notify_all();
  next_writer();
  if (poison_) co_return fail(*poison_);
  co_return Result<void>{};
}

Task<Result<void>> DiskSegment::rewrite(std::uint64_t position) {
  if (poison_) co_return fail(*poison_);
  CHECK(position <= size_);
  CHECK(!writing_);
  CHECK(queue_.empty());
  writing_ = true;
  durable_size_ = std::min(durable_size_, position);
  const Result<void> written = co_await write_again(position);
  next_writer();
  if (!written && written.error().code == Errc::no_space) co_return written;
  if (!written) co_return fail(poison("a rewrite", written.error()));
  co_return written;
}

Task<Result<void>> DiskSegment::write_again(std::uint64_t position) {
  while (position < size_) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(size_ - position, group_bytes_max));
    CO_TRY(const Bytes bytes, co_await file_->read(position, count));
    if (bytes.empty()) co_return fail(Errc::io, "{} ends at position {}", path_, position);
    CO_TRY_VOID(co_await file_->write(position, std::vector<ByteView>(1, bytes)));
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
  if (!file_) co_return Result<void>{};
  poison_ = Error{Errc::closed, fmt::format("{} is closed", path_)};
  durable_size_ = std::min(durable_size_, size_);
  const std::unique_ptr<runtime::File> file = std::move(file_);
  co_return co_await file->close();
}

Task<Result<std::unique_ptr<Segment>>> DiskEngine::open(std::string path) {
  const runtime::OpenOptions options{.io_path = io_path_, .create = true, .exclusive = false};
  CO_TRY(std::unique_ptr<runtime::File> file, co_await runtime_.disk().open(path, options));
  CO_TRY(const std::uint64_t size, file->size());
  co_return std::make_unique<DiskSegment>(runtime_, std::move(path), std::move(file), size);
}

Result<std::vector<std::string>> DiskEngine::list(std::string_view directory) {
  TRY(const bool there, runtime_.disk().exists(directory));
  if (!there) return std::vector<std::string>{};
  return runtime_.disk().list(directory);
}

Result<void> DiskEngine::remove(std::string_view path) {
  return runtime_.disk().remove(path);
}

}  // namespace qlab::storage
