#include "storage/log_segment.h"

#include <algorithm>
#include <limits>

#include "common/check.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

// Enough for the batches between two index entries, in most logs.
constexpr std::size_t find_window_bytes = 16u << 10;

constexpr TimeIndex::Entry no_timestamp{-1, Offset{0}};

}  // namespace

LogSegment::LogSegment(std::unique_ptr<Segment> data, std::string directory, Offset base,
                       std::uint32_t interval)
    : data_(std::move(data)),
      directory_(std::move(directory)),
      base_(base),
      interval_(interval),
      offsets_(base),
      times_(base),
      newest_(no_timestamp) {
  data_->set_listener(this);
}

std::string LogSegment::path() const {
  return path_in(directory_, segment_file_name(base_, data_suffix));
}

Error LogSegment::corrupt_at(std::uint64_t position, const Error& why) const {
  return {Errc::corrupt, fmt::format("{} at position {}: {}", path(), position, why.context)};
}

void LogSegment::index_later(runtime::Runtime& runtime, std::uint64_t position, Offset end) {
  CHECK(noted_end_ == 0);
  runtime_ = &runtime;
  noted_end_ = position;
  index_end_ = end;
  indexed_ = false;
}

void LogSegment::seal(runtime::Runtime& runtime) {
  runtime_ = &runtime;
  sealed_ = true;
}

// Indexes that no file has are kept.
void LogSegment::on_released() {
  if (!sealed_ || !indexed_ || !indexes_stored_) return;
  max_known_ = newest_.timestamp;
  clear_indexes();
  indexed_ = false;
  index_end_ = Offset{std::numeric_limits<std::int64_t>::max()};
}

Task<Result<void>> LogSegment::index() {
  while (indexing_) {
    if (!index_event_) index_event_ = std::make_unique<runtime::Event>(*runtime_);
    co_await index_event_->wait();
  }
  if (indexed_) co_return Result<void>{};
  indexing_ = true;
  const Result<void> indexed = co_await load_or_build();
  indexing_ = false;
  if (index_event_) index_event_->notify_all();
  index_event_.reset();
  co_return indexed;
}

Task<Result<void>> LogSegment::load_or_build() {
  const auto loaded = co_await load_indexes(runtime_->disk(), noted_end_, index_end_);
  const bool readable =
      loaded || is_bad_batch(loaded.error()) || loaded.error().code == Errc::not_found;
  if (!readable) co_return fail(loaded.error());
  co_return co_await note_tail();
}

Task<Result<std::int64_t>> LogSegment::find_max_timestamp() {
  if (!indexed_ && max_known_) co_return *max_known_;
  if (!indexed_) CO_TRY_VOID(co_await index());
  co_return newest_.timestamp;
}

std::int64_t LogSegment::max_timestamp() const {
  CHECK(indexed_);
  return newest_.timestamp;
}

void LogSegment::note(std::uint64_t position, const BatchHeader& header) {
  const Offset last = header.last_offset();
  noted_end_ = std::max(noted_end_, position + header.total_bytes());
  if (header.max_timestamp > newest_.timestamp) {
    newest_ = {header.max_timestamp, last};
    indexes_stored_ = false;
  }
  if (position > offsets_.last_position() + interval_) {
    offsets_.append({last, position});
    indexes_stored_ = false;
    add_newest_to_index();
  }
}

void LogSegment::add_newest_to_index() {
  if (newest_.timestamp >= 0) times_.append(newest_);
}

std::uint64_t LogSegment::position_near_time(std::int64_t timestamp) const {
  return offsets_.position_near(times_.offset_near(timestamp));
}

Task<Result<std::optional<BatchAt>>> LogSegment::find(Offset offset) {
  if (!indexed_) CO_TRY_VOID(co_await index());
  co_return co_await find_indexed(offset);
}

Task<Result<std::optional<BatchAt>>> LogSegment::find_indexed(Offset offset) {
  const std::uint64_t near = position_near(offset);
  auto found = co_await find_from(near, offset);
  // An index is only believed as far as the data agrees: a scan from the front needs none.
  const bool misled = !found && is_bad_batch(found.error());
  if (misled && near > 0) found = co_await find_from(0, offset);
  co_return found;
}

Task<Result<std::optional<BatchAt>>> LogSegment::find_from(std::uint64_t position, Offset offset) {
  BatchScanner scanner(*data_, position, size(), BatchCheck::header, find_window_bytes);
  while (true) {
    auto batch = co_await scanner.next();
    if (!batch) {
      if (!is_bad_batch(batch.error())) co_return fail(std::move(batch).error());
      co_return fail(corrupt_at(scanner.position(), batch.error()));
    }
    if (!*batch || (*batch)->header.next_offset() > offset) co_return *batch;
  }
}

Task<Result<Offset>> LogSegment::end_before(std::uint64_t position) {
  Offset end = base_;
  BatchScanner scanner(*data_, 0, position, BatchCheck::header);
  while (scanner.position() < position) {
    CO_TRY(const auto batch, co_await scanner.next());
    if (batch) end = batch->header.next_offset();
  }
  co_return end;
}

Task<Result<std::int64_t>> LogSegment::first_timestamp() {
  BatchScanner scanner(*data_, 0, noted_end_, BatchCheck::header, find_window_bytes);
  CO_TRY(const auto batch, co_await scanner.next());
  co_return batch ? batch->header.max_timestamp : -1;
}

Task<Result<void>> LogSegment::note_tail() {
  const std::uint64_t from = offsets_.last_position();
  BatchScanner scanner(*data_, from, size(), BatchCheck::header);
  while (true) {
    auto batch = co_await scanner.next();
    if (!batch) {
      if (!is_bad_batch(batch.error())) co_return fail(std::move(batch).error());
      co_return fail(corrupt_at(scanner.position(), batch.error()));
    }
    if (!*batch) {
      indexed_ = true;
      co_return Result<void>{};
    }
    note(**batch);
  }
}

void LogSegment::forget_from(std::uint64_t position, Offset offset) {
  sealed_ = false;
  max_known_.reset();
  indexes_stored_ = false;
  noted_end_ = position;
  offsets_.truncate(position);
  times_.truncate(offset);
  newest_ = times_.entries().empty() ? no_timestamp : times_.entries().back();
  durable_size_ = std::min(durable_size_, position);
}

void LogSegment::clear_indexes() {
  offsets_ = OffsetIndex(base_);
  times_ = TimeIndex(base_);
  newest_ = no_timestamp;
  indexes_stored_ = false;
}

Task<Result<ScanStart>> LogSegment::load_indexes(runtime::Disk& disk, std::uint64_t position,
                                                 Offset offset) {
  clear_indexes();
  CO_TRY(const Bytes offsets,
         disk.read_file(path_in(directory_, segment_file_name(base_, offset_index_suffix))));
  CO_TRY(const Bytes times,
         disk.read_file(path_in(directory_, segment_file_name(base_, time_index_suffix))));
  Result<void> decoded = decode_indexes(offsets, times, position, offset);
  if (!decoded) {
    clear_indexes();
    co_return fail(std::move(decoded).error());
  }
  Result<ScanStart> start = co_await check_last_entries();
  if (!start) clear_indexes();
  co_return start;
}

Result<void> LogSegment::decode_indexes(ByteView offsets, ByteView times, std::uint64_t position,
                                        Offset offset) {
  TRY(offsets_, OffsetIndex::decode(base_, offsets));
  TRY(times_, TimeIndex::decode(base_, times));
  if (times_.entries().empty() && size() > 0) {
    return fail(Errc::corrupt, "the time index of {} is empty and the segment is not", path());
  }
  const std::size_t entries_read = offsets_.entries().size() + times_.entries().size();
  offsets_.truncate(std::min(position, size()));
  times_.truncate(offset);
  if (!times_.entries().empty()) newest_ = times_.entries().back();
  indexes_stored_ = offsets_.entries().size() + times_.entries().size() == entries_read;
  return {};
}

// An index has no checksum. Its last entry must name a batch that is there and is what it says;
// what lies before it is checked by the order of the entries, and each batch when it is read.
Task<Result<ScanStart>> LogSegment::check_last_entries() {
  ScanStart start{0, base_};
  if (!offsets_.entries().empty()) {
    const OffsetIndex::Entry last = offsets_.entries().back();
    BatchScanner scanner(*data_, last.position, size(), BatchCheck::header, find_window_bytes);
    const auto batch = co_await scanner.next();
    if (!batch && !is_bad_batch(batch.error())) co_return fail(batch.error());
    if (!batch || !*batch || (*batch)->header.last_offset() != last.offset) {
      co_return fail(Errc::corrupt, "the offset index of {} does not fit position {}", path(),
                     last.position);
    }
    start = {last.position, (*batch)->header.base_offset};
  }
  if (!times_.entries().empty()) {
    const TimeIndex::Entry last = times_.entries().back();
    const auto batch = co_await find_indexed(last.offset);
    if (!batch && !is_bad_batch(batch.error())) co_return fail(batch.error());
    if (!batch || !*batch || (*batch)->header.last_offset() != last.offset ||
        (*batch)->header.max_timestamp != last.timestamp) {
      co_return fail(Errc::corrupt, "the time index of {} does not fit offset {}", path(),
                     last.offset);
    }
  }
  co_return start;
}

Task<Result<void>> LogSegment::store_indexes(runtime::Disk& disk, std::string_view suffix) {
  if (indexes_stored_ || !indexed_) co_return Result<void>{};
  add_newest_to_index();
  const Bytes offsets = offsets_.encode();
  const Bytes times = times_.encode();
  indexes_stored_ = true;  // A batch noted meanwhile makes it false again.
  const std::string offsets_name = fmt::format("{}{}", offset_index_suffix, suffix);
  const std::string times_name = fmt::format("{}{}", time_index_suffix, suffix);
  const Result<void> offsets_written = co_await write_whole_file(
      disk, path_in(directory_, segment_file_name(base_, offsets_name)), offsets);
  const Result<void> times_written = co_await write_whole_file(
      disk, path_in(directory_, segment_file_name(base_, times_name)), times);
  if (!offsets_written || !times_written) indexes_stored_ = false;
  CO_TRY_VOID(offsets_written);
  CO_TRY_VOID(times_written);
  co_return Result<void>{};
}

Task<Result<void>> write_whole_file(runtime::Disk& disk, std::string path, Bytes bytes) {
  CO_TRY(const std::unique_ptr<runtime::File> file,
         co_await disk.open(
             path, {.io_path = runtime::IoPath::blocking, .create = true, .exclusive = false}));
  Result<void> written;
  if (!bytes.empty()) written = co_await file->write(0, std::vector<ByteView>(1, bytes));
  if (written) written = co_await file->truncate(bytes.size());
  if (written) written = co_await file->sync();
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(written);
  co_return closed;
}

Task<Result<std::shared_ptr<LogSegment>>> open_segment(Engine& engine, std::string directory,
                                                       Offset base, std::uint32_t interval) {
  CO_TRY(auto data, co_await engine.open(path_in(directory, segment_file_name(base, data_suffix))));
  co_return std::make_shared<LogSegment>(std::move(data), std::move(directory), base, interval);
}

Result<void> remove_segment_files(runtime::Runtime& runtime, Engine& engine,
                                  std::string_view directory, Offset base) {
  TRY_VOID(engine.remove(path_in(directory, segment_file_name(base, data_suffix))));
  if (!engine.is_persistent()) return {};
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    TRY_VOID(runtime.disk().remove(path_in(directory, segment_file_name(base, suffix))));
  }
  return {};
}

Task<Result<void>> remove_segment(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                  std::shared_ptr<LogSegment> segment) {
  CO_TRY_VOID(co_await segment->data().close());
  co_return remove_segment_files(runtime, engine, directory, segment->base());
}

}  // namespace qlab::storage
