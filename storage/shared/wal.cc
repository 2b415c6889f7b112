#include "storage/shared/wal.h"

#include <algorithm>
#include <charconv>

#include "common/check.h"

namespace qlab::storage::shared {
namespace {

constexpr std::string_view wal_prefix = "wal-";
// A group is closed beyond it, so that the first in it is not held up by a long tail.
constexpr std::size_t group_bytes_max = 1u << 20;

}  // namespace

std::string wal_path(std::string_view directory, std::uint32_t number) {
  return fmt::format("{}/{}{:010}", directory, wal_prefix, number);
}

std::optional<std::uint32_t> wal_number(std::string_view name) {
  if (!name.starts_with(wal_prefix)) return {};
  name.remove_prefix(wal_prefix.size());
  std::uint32_t number = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || stop != name.data() + name.size()) return {};
  return number;
}

Wal::Wal(runtime::Runtime& runtime, Engine& engine, const SharedOptions& options,
         std::string directory, WalObserver& observer)
    : runtime_(runtime),
      engine_(engine),
      options_(options),
      directory_(std::move(directory)),
      observer_(observer),
      cache_(options.cache_bytes),
      sync_ended_(runtime),
      background_(runtime) {}

void Wal::begin(std::uint64_t salt, std::uint32_t next_number,
                std::vector<WalSegmentPtr> segments) {
  salt_ = salt;
  next_number_ = next_number;
  for (WalSegmentPtr& segment : segments) segments_.emplace(segment->number, std::move(segment));
  // Everything there is durable: recovery saw to it, and cut what lay behind.
  written_ = {next_number, 0};
  if (!segments_.empty()) {
    const WalSegment& last = *segments_.rbegin()->second;
    written_ = Position{last.number, 0}.plus(last.data->size());
  }
  durable_ = written_;
}

Error Wal::poison(const Error& why) {
  if (!failed_) {
    failed_ = Error{why.code == Errc::closed ? Errc::closed : Errc::io,
                    fmt::format("the shared log in {} is written no more until it is opened anew: "
                                "{}",
                                directory_, why.context)};
  }
  return *failed_;
}

WalGroupPtr Wal::open_group() {
  if (queue_.empty() || queue_.back()->bytes.size() >= group_bytes_max) {
    queue_.push_back(std::make_shared<WalGroup>(runtime_, cache_.make_buffer()));
  }
  if (!writing_) {
    writing_ = true;
    background_.start([this] { return write_queue(); });
  }
  return queue_.back();
}

void Wal::put(WalGroup& group, FrameKind kind, StreamId stream, ByteView payload,
              const BatchHeader& batch) {
  const std::size_t at = group.bytes.size();
  put_frame(group.bytes, kind, stream, payload);
  group.entries.push_back({kind, stream, static_cast<std::uint32_t>(at),
                           static_cast<std::uint32_t>(group.bytes.size() - at), batch});
}

Task<void> Wal::drain() {
  const WalGroupPtr last = queue_.empty() ? current_ : queue_.back();
  if (last && !last->ended) co_await last->ended_event.wait();
}

Task<Result<void>> Wal::wait(WalGroupPtr group) {
  if (!group->ended) co_await group->ended_event.wait();
  if (group->error) co_return fail(*group->error);
  co_return Result<void>{};
}

Task<void> Wal::write_queue() {
  while (!queue_.empty()) {
    Result<void> written;
    if (!failed_) written = co_await roll();
    const WalGroupPtr group = queue_.front();
    queue_.pop_front();
    current_ = group;
    if (failed_) written = fail(*failed_);
    if (written) written = co_await write(group);
    if (!written) {
      // What waits behind it may build on it, so that goes as well.
      refuse(group, written.error());
      for (const WalGroupPtr& next : std::exchange(queue_, {})) refuse(next, written.error());
    }
  }
  current_ = nullptr;
  writing_ = false;
}

void Wal::refuse(WalGroupPtr group, const Error& why) {
  group->error = why;
  group->ended = true;
  observer_.on_refused(*group);
  group->ended_event.notify_all();
}

// Begins the next segment when the group at the front of the queue does not fit into this one.
Task<Result<void>> Wal::roll() {
  const std::size_t bytes = queue_.front()->bytes.size();
  const bool fits = active_ && active_->data->size() + bytes <= options_.segment_bytes;
  if (fits || (active_ && active_->data->size() == 0)) co_return Result<void>{};
  CO_TRY_VOID(co_await observer_.wait_for_room());
  // A segment is durable before another follows it, so only the last one can be torn.
  if (active_) CO_TRY_VOID(co_await sync());
  const std::uint32_t number = next_number_;
  auto next = std::make_shared<WalSegment>();
  next->path = wal_path(directory_, number);
  next->number = number;
  next->seed = segment_seed(salt_, number);
  auto opened = co_await engine_.open(next->path);
  if (!opened) {
    if (opened.error().code == Errc::no_space) co_return fail(std::move(opened).error());
    co_return fail(poison(opened.error()));
  }
  next->data = std::move(*opened);
  if (next->data->size() != 0) {
    const Result<void> emptied = co_await next->data->truncate(0);
    if (!emptied) co_return fail(poison(emptied.error()));
  }
  ++next_number_;
  previous_end_ = written_;
  if (!segments_.empty()) {
    const WalSegment& last = *segments_.rbegin()->second;
    previous_end_ = Position{last.number, 0}.plus(last.data->size());
  }
  active_ = next;
  segments_.emplace(number, std::move(next));
  co_return Result<void>{};
}

Task<Result<void>> Wal::write(WalGroupPtr group) {
  const WalSegmentPtr segment = active_;
  Bytes first;
  if (segment->data->size() == 0) {
    put_frame(first, FrameKind::begin, StreamId{0}, encode_begin(previous_end_));
    seal_frame(first, segment->seed, durable_, {segment->number, 0});
  }
  const Position begin = Position{segment->number, 0}.plus(segment->data->size() + first.size());
  std::span<std::byte> rest(group->bytes);
  for (const WalGroup::Entry& entry : group->entries) {
    seal_frame(rest.subspan(entry.at, entry.bytes), segment->seed, durable_, begin.plus(entry.at));
  }
  std::vector<ByteView> pieces;
  if (!first.empty()) pieces.emplace_back(first);
  pieces.emplace_back(group->bytes);
  const Result<void> appended = co_await segment->data->append(std::move(pieces));
  if (!appended) {
    if (appended.error().code == Errc::no_space) co_return fail(appended.error());
    co_return fail(poison(appended.error()));
  }
  if (failed_) co_return fail(*failed_);  // By a sync meanwhile.
  group->begin = begin;
  group->ended = true;
  written_ = group->end();
  observer_.on_written(*group);
  cache_.add(begin, group->chunk);
  undurable_.push_back(group);
  // Nothing of a new segment is no more than all of the one before, and that has an end.
  const auto durable = static_cast<std::uint32_t>(segment->data->durable_size());
  if (durable > 0) note_durable({segment->number, durable});
  group->ended_event.notify_all();
  co_return Result<void>{};
}

void Wal::note_durable(Position durable) {
  durable_ = std::max(durable_, durable);
  while (!undurable_.empty() && undurable_.front()->end() <= durable_) {
    const WalGroupPtr group = std::move(undurable_.front());
    undurable_.pop_front();
    observer_.on_durable(*group);
  }
}

Task<Result<void>> Wal::sync() {
  const Position wanted = written_;
  while (true) {
    if (failed_) co_return fail(*failed_);
    if (durable_ >= wanted) co_return Result<void>{};
    if (!syncing_) break;
    // The sync under way may have begun before the write that this one is for.
    co_await sync_ended_.wait();
  }
  syncing_ = true;
  const WalSegmentPtr segment = active_;
  const Position covers = written_;
  const Result<std::uint64_t> synced = co_await segment->data->sync();
  syncing_ = false;
  // A full disk leaves what was written readable and waiting: it is tried again by the next sync.
  const bool is_full = !synced && synced.error().code == Errc::no_space;
  if (!synced && !is_full) poison(synced.error());
  if (synced && !failed_) note_durable(covers);
  sync_ended_.notify_all();
  if (is_full && !failed_) co_return fail(synced.error());
  if (failed_) co_return fail(*failed_);
  co_return Result<void>{};
}

WalSegmentPtr Wal::find(std::uint32_t number) const {
  const auto found = segments_.find(number);
  return found == segments_.end() ? nullptr : found->second;
}

Task<Result<Bytes>> Wal::read(Position at, std::size_t bytes) {
  if (const auto view = cache_.find(at, bytes)) {
    co_return Bytes(view->bytes.begin(), view->bytes.end());
  }
  const WalSegmentPtr segment = find(at.segment);
  if (!segment) co_return fail(Errc::not_found, "{}", wal_path(directory_, at.segment));
  CO_TRY(Bytes there, co_await segment->data->read(at.byte, bytes));
  co_return there;
}

std::uint64_t Wal::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) bytes += segment->data->size();
  return bytes;
}

WalSegmentPtr Wal::full_after(std::uint32_t number) const {
  const auto found = segments_.upper_bound(number);
  if (found == segments_.end() || found->second == active_) return nullptr;
  return found->second;
}

Task<Result<void>> Wal::seal_active() {
  CHECK(queue_.empty());
  if (!active_) co_return Result<void>{};
  CO_TRY_VOID(co_await sync());
  active_ = nullptr;
  written_ = durable_ = {next_number_, 0};
  co_return Result<void>{};
}

Task<Result<void>> Wal::drop_through(std::uint32_t number) {
  while (!segments_.empty() && segments_.begin()->first <= number) {
    CHECK(segments_.begin()->second != active_);
    retired_.push_back(std::move(segments_.begin()->second));
    segments_.erase(segments_.begin());
  }
  const auto unused =
      std::stable_partition(retired_.begin(), retired_.end(),
                            [](const WalSegmentPtr& segment) { return segment.use_count() > 1; });
  const std::vector<WalSegmentPtr> gone(unused, retired_.end());
  retired_.erase(unused, retired_.end());
  for (const WalSegmentPtr& segment : gone) {
    CO_TRY_VOID(co_await segment->data->close());
    CO_TRY_VOID(engine_.remove(segment->path));
  }
  co_return Result<void>{};
}

Task<Result<void>> Wal::close() {
  co_await background_.close();
  Result<void> result = co_await sync();
  poison(Error{Errc::closed, "it is closed"});
  cache_.clear();
  for (const auto& [number, segment] : segments_) {
    const Result<void> closed = co_await segment->data->close();
    if (result) result = closed;
  }
  for (const WalSegmentPtr& segment : retired_) {
    const Result<void> closed = co_await segment->data->close();
    if (result) result = closed;
  }
  segments_.clear();
  retired_.clear();
  active_ = nullptr;
  co_return result;
}

}  // namespace qlab::storage::shared
