// Images of the state machine, made here or received, and the configurations in the log.
#include <algorithm>

#include "common/check.h"
#include "common/logging.h"
#include "consensus/config.h"
#include "consensus/driver_impl.h"

namespace qlab::consensus {
namespace {

constexpr std::size_t piece_bytes = 1u << 20;

// An image is taken in the background, in pieces that hold up nobody, and with pauses so many
// times as long: all nodes of a group take theirs at about the same time.
constexpr std::size_t taken_bytes = 32u << 10;
constexpr int taking_pauses = 3;

}  // namespace

const Config& DriverImpl::config_at(LogIndex index) const {
  const auto after = configs_.upper_bound(index);
  if (after != configs_.begin()) return std::prev(after)->second;
  const SnapshotMeta& image = log_->view().snapshot();
  return image.last.index > LogIndex{0} ? image.config : options_.config;
}

void DriverImpl::note_configs(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::config) continue;
    auto config = decode_config(*entry.body);
    CHECK_MSG(config.has_value(), config.error().message());  // A module wrote it.
    configs_[entry.id.index] = std::move(*config);
  }
}

void DriverImpl::carry_out(const out::ConfigActive& effect) {
  config_ = effect.config;
}

void DriverImpl::carry_out(const out::Fatal& effect) {
  give_up(Error{Errc::corrupt, std::string(effect.reason)});
}

void DriverImpl::take_snapshot_if_due() {
  if (options_.snapshot_interval_bytes == 0 || taking_snapshot_ || installing_) return;
  // A module that sends no images needs every entry for a peer that lags.
  if (!module_->capabilities().snapshots) return;
  const std::uint64_t newest = options_.snapshots_grow ? snapshots_->newest().size : 0;
  if (bytes_since_snapshot_ < std::max(options_.snapshot_interval_bytes, newest)) return;
  auto source = machine_.snapshot();
  if (source == nullptr) return;
  bytes_since_snapshot_ = 0;
  taking_snapshot_ = true;
  SnapshotMeta meta;
  meta.last = {log_->view().epoch_of(applied_).value(), applied_};
  meta.config = config_at(applied_);
  auto shared = std::make_shared<std::unique_ptr<SnapshotSource>>(std::move(source));
  gate_.start([this, shared, meta] { return take_snapshot(std::move(*shared), meta); });
}

// A failure costs nothing but the room that the log takes: it is tried again when more is applied.
Task<void> DriverImpl::take_snapshot(std::unique_ptr<SnapshotSource> source, SnapshotMeta meta) {
  const LogId last = meta.last;
  const auto written = co_await write_snapshot(std::move(source), meta);
  taking_snapshot_ = false;
  if (phase_ != Phase::running) co_return;
  if (!written) {
    qlab::log(LogLevel::warn, "consensus", "no image of {}/{}: {}", last.epoch, last.index,
              written.error().message());
    co_return;
  }
  if (trace_.on()) trace_.image_taken(meta);
  const auto keep = static_cast<std::int64_t>(options_.snapshot_keep_entries);
  const LogIndex keep_from{std::max<std::int64_t>(1, last.index.next().value() - keep)};
  writes_.trim(snapshots_->newest(), keep_from);
  work_.notify_all();
}

// An image of ours stands for a part of the log now.
void DriverImpl::tell_of_image() {
  const LogId last = log_->view().snapshot().last;
  if (installing_ || last == std::exchange(told_image_, last)) return;
  input(in::SnapshotTaken{});
}

Task<Result<void>> DriverImpl::write_snapshot(std::unique_ptr<SnapshotSource> source,
                                              SnapshotMeta meta) {
  CO_TRY(auto writer, co_await snapshots_->begin(std::move(meta), "taken"));
  while (true) {
    const Time begun_at = runtime_.now();
    auto piece = std::make_shared<const Bytes>(source->next(taken_bytes));
    const Duration took = runtime_.now() - begun_at;
    if (piece->empty()) break;
    CO_TRY_VOID(co_await writer->add(std::move(piece)));
    co_await runtime::sleep_for(runtime_, took * taking_pauses);
    if (phase_ != Phase::running) co_return fail(Errc::aborted, "the consensus group was stopped");
  }
  co_return co_await snapshots_->finish(std::move(writer));
}

void DriverImpl::carry_out(const out::ReadSnapshot& effect) {
  reads_of_image_.push_back(effect);
  if (std::exchange(reading_image_, true)) return;
  gate_.start([this] { return read_chunks(); });
}

Task<void> DriverImpl::read_chunks() {
  while (phase_ == Phase::running && !reads_of_image_.empty()) {
    const out::ReadSnapshot asked = reads_of_image_.front();
    reads_of_image_.pop_front();
    auto found = co_await snapshots_->read(asked.snapshot, asked.position, asked.count);
    if (!found) {
      give_up(found.error());
      break;
    }
    in::SnapshotChunk chunk{asked.for_peer, asked.snapshot, asked.position, nullptr};
    if (*found) chunk.bytes = std::make_shared<const Bytes>(std::move(**found));
    input(std::move(chunk));
  }
  reading_image_ = false;
}

void DriverImpl::carry_out(const out::StoreSnapshot& effect) {
  writes_.store(effect.seq, effect.meta, effect.position, effect.bytes);
}

// Nothing is applied until it is restored: what lies before its end is gone from the log.
void DriverImpl::carry_out(const out::InstallSnapshot& effect) {
  CHECK(effect.meta.last.index > commit_);
  CHECK(!installing_);
  CHECK(!active_);
  installing_ = effect;
  configs_.erase(configs_.begin(), configs_.upper_bound(effect.meta.last.index));
  writes_.install(effect.seq, effect.meta);
  if (log_->view().last() == effect.meta.last) configs_.clear();
}

Task<Result<void>> DriverImpl::finish_install() {
  const SnapshotMeta meta = snapshots_->newest();
  CHECK(meta.last == installing_->meta.last);
  CO_TRY_VOID(co_await restore_image(meta));
  if (phase_ != Phase::running) co_return Result<void>{};
  commit_ = std::max(commit_, meta.last.index);
  applied_ = meta.last.index;
  bytes_since_snapshot_ = 0;
  installing_.reset();
  told_image_ = meta.last;
  if (trace_.on()) trace_.image_restored(meta);
  input(in::SnapshotInstalled{meta.last});
  input(in::Applied{applied_});
  co_return Result<void>{};
}

Task<Result<void>> DriverImpl::restore() {
  const SnapshotMeta meta = snapshots_->newest();
  if (meta.last.index == LogIndex{0}) co_return Result<void>{};
  co_return co_await restore_image(meta);
}

Task<Result<void>> DriverImpl::restore_image(SnapshotMeta meta) {
  machine_.begin_restore(meta.last);
  for (std::uint64_t position = 0; position < meta.size;) {
    CO_TRY(const auto piece, co_await snapshots_->read(meta.last, position, piece_bytes));
    CHECK(piece.has_value());
    CO_TRY_VOID(machine_.restore_piece(*piece));
    position += piece->size();
  }
  co_return machine_.restored();
}

}  // namespace qlab::consensus
