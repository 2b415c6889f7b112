#include "storage/shared/settler.h"

#include <algorithm>
#include <bit>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/check.h"
#include "common/logging.h"

namespace qlab::storage::shared {
namespace {

constexpr Duration retry_interval_min = std::chrono::seconds(1);
constexpr Duration retry_interval_max = std::chrono::seconds(64);
constexpr std::size_t streams_per_turn = 4096;  // Between two turns of others.
constexpr std::size_t blocks_per_turn = streams_per_turn / StreamTable::block_streams;

}  // namespace

Settler::Settler(runtime::Runtime& runtime, Engine& engine, const SharedOptions& options,
                 std::string directory, StreamTable& streams, Wal& wal, SettledFiles& files)
    : runtime_(runtime),
      engine_(engine),
      options_(options),
      directory_(std::move(directory)),
      streams_(streams),
      wal_(wal),
      files_(files),
      jobs_(runtime),
      cuts_(runtime),
      changed_(runtime),
      progress_(runtime) {}

void Settler::begin(Manifest manifest, Position checkpoint,
                    std::map<std::uint32_t, std::vector<StreamId>> unsettled) {
  manifest_ = std::move(manifest);
  checkpoint_ = checkpoint;
  unsettled_ = std::move(unsettled);
}

void Settler::note_unsettled(std::uint32_t segment, StreamId stream) {
  std::vector<StreamId>& streams = unsettled_[segment];
  if (streams.empty() || streams.back() != stream) streams.push_back(stream);
}

void Settler::wake() {
  woken_ = true;
  changed_.notify_all();
}

void Settler::note_dead(std::uint64_t bytes) {
  dead_bytes_ += bytes;
  wake();
}

std::uint64_t Settler::last_file(const Stream& stream) const {
  // A file that is being written may hold batches of any stream.
  return stream.files == 0 && writing_ == 0 ? 0 : manifest_.next_file - 1;
}

bool Settler::is_room() const {
  return wal_.segments() <= 2 || wal_.size_bytes() + options_.segment_bytes <= options_.bytes_max;
}

Task<Result<void>> Settler::wait_for_room() {
  while (!is_room() && !file_waits_ && resting_ == 0) {
    room_wanted_ = true;
    CO_TRY_VOID(co_await wait_for_progress());
  }
  room_wanted_ = false;
  co_return Result<void>{};
}

Task<Result<void>> Settler::wait_for_slot() {
  while (files_.is_crowded()) CO_TRY_VOID(co_await wait_for_progress());
  co_return Result<void>{};
}

Task<Result<void>> Settler::wait_for_progress() {
  if (blocked_) co_return fail(*blocked_);
  if (stopping_) co_return fail(Errc::closed, "the store in {} is stopping", directory_);
  wake();
  co_await progress_.wait();
  co_return Result<void>{};
}

Task<Settler::Rest> Settler::rest() {
  Turnstile::Guard alone = co_await jobs_.enter_alone();
  Rest rest(*this, std::move(alone));
  progress_.notify_all();
  co_return rest;
}

Task<void> Settler::yield() {
  const boost::asio::use_awaitable_t<runtime::Executor> token;
  co_await boost::asio::post(runtime_.executor(), token);
}

void Settler::stop() {
  stopping_ = true;
  changed_.notify_all();
  progress_.notify_all();
}

Task<void> Settler::run() {
  while (!stopping_) {
    if (!woken_) {
      co_await changed_.wait();
      continue;
    }
    woken_ = false;
    const Result<bool> done = co_await do_one();
    blocked_.reset();
    if (!done) blocked_ = done.error();
    progress_.notify_all();
    if (done && *done) woken_ = true;
    if (done) retry_after_ = retry_interval_min;
    if (done || stopping_) continue;
    tell(done.error());
    // Without the shared log there is nothing to settle: whoever appends hears why.
    if (wal_.failure()) co_return;
    const bool is_full = done.error().code == Errc::no_space;
    co_await wait_to_retry(is_full ? retry_interval_min : retry_after_);
    if (!is_full) retry_after_ = std::min(2 * retry_after_, retry_interval_max);
  }
}

// A read may do better the next time, and a file that was not written well is never used again.
Task<void> Settler::wait_to_retry(Duration interval) {
  const Time due = runtime_.now() + interval;
  while (!stopping_ && runtime_.now() < due) co_await changed_.wait_until(due);
  woken_ = true;
}

void Settler::tell(const Error& why) const {
  const bool is_full = why.code == Errc::no_space;
  if (wal_.failure()) {
    log(LogLevel::error, "storage", "settling in {} ends: {}", directory_, why.message());
    return;
  }
  log(is_full ? LogLevel::warn : LogLevel::error, "storage",
      "settling in {} waits, and is tried again; appends are refused once the shared log has grown "
      "to log.shared.bytes.max={}: {}",
      directory_, options_.bytes_max, why.message());
}

// True when there was something to do.
Task<Result<bool>> Settler::do_one() {
  const Turnstile::Guard alone = co_await jobs_.enter_alone();
  CO_TRY(const bool done, co_await do_job());
  CO_TRY_VOID(co_await drop_segments());
  CO_TRY_VOID(co_await files_.reap());
  co_return done;
}

Task<Result<bool>> Settler::do_job() {
  if (files_.is_crowded()) {
    CO_TRY_VOID(co_await merge(files_to_merge()));
    co_return true;
  }
  CO_TRY(const bool caught_up, co_await catch_up());
  if (caught_up) co_return true;
  if (!dying_.empty()) {
    const std::vector<SettledFilePtr> one(1, dying_.back());
    dying_.pop_back();
    CO_TRY_VOID(co_await merge(one));
    co_return true;
  }
  const std::vector<SettledFilePtr> several = files_to_merge();
  if (!several.empty()) {
    CO_TRY_VOID(co_await merge(several));
    co_return true;
  }
  std::uint64_t settled_bytes = 0;
  for (const SettledFilePtr& file : files_.all()) settled_bytes += file->entry().footer_at;
  if (settled_bytes > 0 && dead_bytes_ >= std::max(options_.segment_bytes, settled_bytes / 8)) {
    CO_TRY_VOID(co_await find_dead_files());
    co_return true;
  }
  co_return false;
}

// What keeps the shared log short. A merge does not hold it up.
Task<Result<bool>> Settler::catch_up() {
  if (const WalSegmentPtr full = wal_.full_after(manifest_.settled_through)) {
    CO_TRY_VOID(co_await settle(full->number));
    since_checkpoint_ += full->data->size();
    co_return true;
  }
  const bool holds_room = room_wanted_ && checkpoint_ < wal_.written() && !is_room();
  if (!files_changed_ && !holds_room && since_checkpoint_ < options_.checkpoint_bytes) {
    co_return false;
  }
  CO_TRY_VOID(co_await write_checkpoint());
  CO_TRY_VOID(co_await drop_segments());
  progress_.notify_all();
  co_return true;
}

Result<void> Settler::store_manifest(Manifest manifest) {
  manifest.next_file = std::max(manifest.next_file, manifest_.next_file);
  if (engine_.is_persistent()) TRY_VOID(write_manifest(runtime_.disk(), directory_, manifest));
  manifest_ = std::move(manifest);
  return {};
}

Task<Result<std::unique_ptr<SettledWriter>>> Settler::begin_file() {
  file_waits_ = true;
  progress_.notify_all();
  const Turnstile::Guard alone = co_await cuts_.enter_alone();
  file_waits_ = false;
  const std::uint64_t number = manifest_.next_file++;
  const std::string path = settled_path(directory_, number);
  CO_TRY(std::unique_ptr<Segment> data, co_await engine_.open(path));
  if (data->size() != 0) CO_TRY_VOID(co_await data->truncate(0));
  co_return std::make_unique<SettledWriter>(std::move(data), path, number);
}

Task<Result<SettledFilePtr>> Settler::commit(std::unique_ptr<SettledWriter> writer, Manifest next) {
  // What was left out, because it was cut or removed, must not come back.
  const Result<void> durable = co_await wal_.sync();
  const std::optional<std::uint8_t> slot = files_.free_slot();
  if (!durable) {
    co_await writer->abandon(engine_);
    co_return fail(durable.error());
  }
  if (writer->is_empty() || !slot) {
    const bool is_empty = writer->is_empty();
    co_await writer->abandon(engine_);
    if (!is_empty) co_return fail(Errc::overloaded, "{} has too many settled files", directory_);
    CO_TRY_VOID(store_manifest(std::move(next)));
    co_return nullptr;
  }
  Result<SettledFilePtr> file = co_await writer->finish(*slot);
  Result<void> stored;
  if (file) {
    next.files.push_back((*file)->entry());
    stored = store_manifest(std::move(next));
  }
  if (!file) {
    co_await writer->abandon(engine_);
    co_return fail(std::move(file).error());
  }
  if (!stored) {
    [[maybe_unused]] const Result<void> closed = co_await (*file)->data().close();
    // Otherwise the manifest may name it.
    if (stored.error().code == Errc::no_space) CO_TRY_VOID(engine_.remove((*file)->path()));
    co_return fail(stored.error());
  }
  files_.put(*file);
  co_return *file;
}

Task<Result<void>> Settler::settle(std::uint32_t segment) {
  std::vector<StreamId>& streams = unsettled_[segment];
  std::sort(streams.begin(), streams.end());
  streams.erase(std::unique(streams.begin(), streams.end()), streams.end());
  const Writing writing(*this);
  CO_TRY(std::unique_ptr<SettledWriter> writer, co_await begin_file());
  const Result<void> copied = co_await copy_unsettled(*writer, segment);
  if (!copied) {
    co_await writer->abandon(engine_);
    co_return copied;
  }
  Manifest next = manifest_;
  next.settled_through = segment;
  CO_TRY(const SettledFilePtr file, co_await commit(std::move(writer), std::move(next)));
  co_await switch_over(segment, file);
  co_return Result<void>{};
}

// From here on the settled file is read and not the shared log.
Task<void> Settler::switch_over(std::uint32_t segment, SettledFilePtr file) {
  const std::vector<StreamId> streams = std::move(unsettled_[segment]);
  unsettled_.erase(segment);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    streams_.prefetch(streams[std::min(i + prefetch_distance, streams.size() - 1)]);
    Stream* const stream = streams_.find(streams[i]);
    if (!stream) continue;
    auto& batches = stream->unsettled;
    const auto later = std::find_if(batches.begin(), batches.end(),
                                    [&](const auto& batch) { return batch.at.segment > segment; });
    batches.erase(batches.begin(), later);
    if (batches.empty()) batches = {};  // Gives back what it had elsewhere.
    if (file) stream->files |= std::uint64_t{1} << file->entry().slot;
    if (i % streams_per_turn == streams_per_turn - 1) co_await yield();
  }
}

Task<Result<void>> Settler::write_checkpoint() {
  const Position begin = wal_.written();
  if (engine_.is_persistent()) {
    CheckpointWriter writer(runtime_.disk(), directory_);
    CO_TRY_VOID(co_await writer.open(begin, streams_.next_id()));
    Result<void> written = co_await write_blocks(writer);
    // What a block says may not be ahead of what the shared log keeps.
    if (written) written = co_await wal_.sync();
    if (written) written = co_await writer.commit();
    if (!written) {
      co_await writer.abandon();
      co_return written;
    }
  }
  checkpoint_ = begin;
  since_checkpoint_ = 0;
  files_changed_ = false;
  co_return Result<void>{};
}

Task<Result<void>> Settler::write_blocks(CheckpointWriter& writer) {
  for (std::size_t i = 0; i < streams_.blocks(); ++i) {
    writer.add(streams_.block(i), wal_.written(), files_.numbers());
    CO_TRY_VOID(co_await writer.flush(false));
    if (i % blocks_per_turn == blocks_per_turn - 1) co_await yield();
  }
  co_return Result<void>{};
}

Task<Result<void>> Settler::drop_segments() {
  const std::uint32_t needed = std::min(manifest_.settled_through + 1, checkpoint_.segment);
  if (needed == 0) co_return Result<void>{};
  co_return co_await wal_.drop_through(needed - 1);
}

Task<Result<void>> Settler::settle_all() {
  const Turnstile::Guard alone = co_await jobs_.enter_alone();
  CO_TRY_VOID(co_await wal_.seal_active());
  while (const WalSegmentPtr full = wal_.full_after(manifest_.settled_through)) {
    if (files_.is_crowded()) break;  // The rest is left to the next start.
    CO_TRY_VOID(co_await settle(full->number));
  }
  const bool is_clean = checkpoint_ == wal_.written() && !files_changed_;
  if (!is_clean) CO_TRY_VOID(co_await write_checkpoint());
  co_return co_await drop_segments();
}

}  // namespace qlab::storage::shared
