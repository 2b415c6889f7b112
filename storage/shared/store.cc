#include "storage/shared/store.h"

#include <algorithm>

#include "common/check.h"
#include "common/logging.h"
#include "storage/shared/recovery.h"

namespace qlab::storage::shared {
namespace {

// The headers of whole batches whose checksums were looked at before: the payload is not touched.
Result<std::vector<BatchHeader>> headers_of(ByteView batches) {
  constexpr std::size_t append_bytes_max = 1u << 30;  // Positions in a segment have 32 bits.
  if (batches.size() > append_bytes_max) {
    return fail(Errc::invalid, "an append has {} bytes; at most {} are taken", batches.size(),
                append_bytes_max);
  }
  std::vector<BatchHeader> headers;
  while (!batches.empty()) {
    TRY(const BatchHeader header, decode_batch_header(batches));
    if (header.total_bytes() > batches.size()) {
      return fail(Errc::invalid, "an append ends within its last batch");
    }
    headers.push_back(header);
    batches = batches.subspan(header.total_bytes());
  }
  if (headers.empty()) return fail(Errc::invalid, "an append holds no batch");
  return headers;
}

}  // namespace

Store::Store(runtime::Runtime& runtime, Engine& engine, SharedOptions options,
             std::string directory)
    : runtime_(runtime),
      engine_(engine),
      options_(options),
      directory_(std::move(directory)),
      wal_(runtime, engine, options_, directory_, *this),
      files_(engine),
      settler_(runtime, engine, options_, directory_, streams_, wal_, files_),
      readers_(runtime),
      cleaning_(runtime),
      released_(runtime),
      flush_changed_(runtime),
      background_(runtime) {}

Store::~Store() = default;

Task<Result<void>> Store::start() {
  CO_TRY(RecoveredStore recovered,
         co_await recover(runtime_, engine_, directory_, streams_, files_));
  report_ = std::move(recovered.report);
  if (report_.dropped) log(LogLevel::warn, "storage", "{}", *report_.dropped);
  wal_.begin(recovered.manifest.salt, recovered.next_segment, std::move(recovered.segments));
  settler_.begin(std::move(recovered.manifest), recovered.checkpoint,
                 std::move(recovered.unsettled));
  settler_.wake();
  background_.start([this] { return settler_.run(); });
  co_return Result<void>{};
}

Task<Result<void>> Store::stop() {
  stopping_ = true;
  flush_changed_.notify_all();
  settler_.stop();
  co_await wal_.drain();
  co_await background_.close();
  const Turnstile::Guard alone = co_await readers_.enter_alone();
  Result<void> result = co_await wal_.sync();
  if (result) {
    // Without it the next start has more to do, and no harm is done.
    const Result<void> settled = co_await settler_.settle_all();
    if (!settled) {
      log(LogLevel::warn, "storage", "what is not settled is left to the next start: {}",
          settled.error().message());
    }
  }
  const Result<void> closed = co_await wal_.close();
  const Result<void> files_closed = co_await files_.close();
  if (result) result = closed;
  if (result) result = files_closed;
  co_return result;
}

Task<Result<StreamId>> Store::open(std::string name, TopicId topic) {
  const std::optional<StreamId> there = streams_.find(name);
  if (there && streams_.find(*there)->topic == topic) co_return *there;
  if (there) {
    log(LogLevel::debug, "storage", "{} is of a topic that was deleted, removing it", name);
    CO_TRY_VOID(co_await remove(*there));
  }
  const StreamId id = streams_.next_id();
  streams_.add(id, std::move(name), topic);
  co_return id;
}

const Stream& Store::stream(StreamId id) {
  static const Stream none;
  const Stream* const found = streams_.find(id);
  return found ? *found : none;
}

LayoutRecovery Store::layout_recovery() const {
  LayoutRecovery recovery;
  recovery.add(report_);
  recovery.logs = streams_.size();
  recovery.clean = report_.clean ? recovery.logs : 0;
  recovery.unclean = recovery.logs - recovery.clean;
  recovery.parallelism = 1;
  recovery.elapsed = report_.elapsed;
  return recovery;
}

const LogOptions* Store::keep(const LogOptions& options) {
  const auto same = std::find(kept_options_.begin(), kept_options_.end(), options);
  if (same != kept_options_.end()) return &*same;
  return &kept_options_.emplace_back(options);
}

Task<Result<AppendResult>> Store::append_as_leader(StreamId id, Bytes batches, LeaderEpoch epoch) {
  CO_TRY(std::vector<BatchHeader> headers, headers_of(batches));  // While the stream is fetched.
  while (stream(id).is_busy) co_await released_.wait();
  if (wal_.failure()) co_return fail(*wal_.failure());
  const Stream& to = stream(id);
  if (epoch < to.assigned_epoch) {
    co_return fail(Errc::fenced, "{}: an append in leader epoch {} after {}", to.name, epoch,
                   to.assigned_epoch);
  }
  std::span<std::byte> rest(batches);
  Offset next = to.assigned_end;
  for (BatchHeader& header : headers) {
    stamp_batch(rest, next, epoch);
    header.base_offset = next;
    header.leader_epoch = epoch;
    next = header.next_offset();
    rest = rest.subspan(header.total_bytes());
  }
  co_return co_await append(id, std::move(batches), std::move(headers));
}

Task<Result<AppendResult>> Store::append_as_follower(StreamId id, Bytes batches,
                                                     bool may_have_gaps) {
  CO_TRY(std::vector<BatchHeader> headers, headers_of(batches));  // While the stream is fetched.
  while (stream(id).is_busy) co_await released_.wait();
  if (wal_.failure()) co_return fail(*wal_.failure());
  const Stream& to = stream(id);
  Offset expected = to.assigned_end;
  LeaderEpoch epoch = to.assigned_epoch;
  bool has_gap = false;
  for (const BatchHeader& header : headers) {
    const bool is_gap = header.base_offset > expected;
    has_gap = has_gap || is_gap;
    if (header.base_offset < expected || (is_gap && !may_have_gaps)) {
      co_return fail(Errc::out_of_range, "{}: a batch begins at offset {} where {} is expected",
                     to.name, header.base_offset, expected);
    }
    if (header.leader_epoch < epoch) {
      co_return fail(Errc::fenced, "{}: the batch at offset {} has leader epoch {} after {}",
                     to.name, expected, header.leader_epoch, epoch);
    }
    expected = header.next_offset();
    epoch = header.leader_epoch;
  }
  CO_TRY(const AppendResult appended, co_await append(id, std::move(batches), std::move(headers)));
  if (has_gap) CO_TRY_VOID(co_await wal_.sync());
  co_return appended;
}

Task<Result<AppendResult>> Store::append(StreamId id, Bytes batches,
                                         std::vector<BatchHeader> headers) {
  Stream* const to = streams_.find(id);
  if (!to) co_return fail(Errc::closed, "the log was removed");
  const WalGroupPtr group = wal_.open_group();
  log_stream(*group, id, *to);
  ByteView rest(batches);
  for (const BatchHeader& header : headers) {
    wal_.put(*group, FrameKind::append, id, rest.first(header.total_bytes()), header);
    rest = rest.subspan(header.total_bytes());
  }
  to->assigned_end = headers.back().next_offset();
  to->assigned_epoch = headers.back().leader_epoch;
  const AppendResult appended{headers.front().base_offset, headers.back().next_offset()};
  CO_TRY_VOID(co_await wal_.wait(group));
  co_return appended;
}

// A stream is in the shared log from its first frame on; an idle one is not.
void Store::log_stream(WalGroup& group, StreamId id, Stream& stream) {
  if (std::exchange(stream.is_logged, true)) return;
  wal_.put(group, FrameKind::create, id, encode_stream_name(stream.topic, stream.name));
}

void Store::on_written(const WalGroup& group) {
  if (std::exchange(last_segment_, group.begin.segment) != group.begin.segment) settler_.wake();
  for (std::size_t i = 0; i < group.entries.size(); ++i) {
    const WalGroup::Entry& entry = group.entries[i];
    const std::size_t later = std::min(i + prefetch_distance, group.entries.size() - 1);
    streams_.prefetch(group.entries[later].stream);
    Stream* const stream = streams_.find(entry.stream);
    CHECK(stream != nullptr);
    const ByteView payload =
        ByteView(group.bytes).subspan(entry.at, entry.bytes).subspan(frame_header_bytes);
    if (entry.kind == FrameKind::append) {
      note_append(*stream, unsettled_batch(entry.batch, group.begin.plus(entry.at)),
                  entry.batch.leader_epoch, false);
      settler_.note_unsettled(group.begin.segment, entry.stream);
    } else if (entry.kind == FrameKind::remove) {
      settler_.note_dead(stream->size_bytes);
      streams_.erase(entry.stream);
    } else if (entry.kind == FrameKind::create) {
      stream->is_created = true;
    } else {
      const Truncation truncation = decode_truncation(payload).value();
      settler_.note_dead(stream->size_bytes - truncation.size_bytes);
      note_change(*stream, entry.kind, truncation);
    }
  }
}

void Store::on_refused(const WalGroup& group) {
  for (const WalGroup::Entry& entry : group.entries) {
    Stream* const stream = streams_.find(entry.stream);
    if (!stream) continue;
    stream->assigned_end = stream->end;
    stream->assigned_epoch = stream->epochs.latest();
    if (entry.kind == FrameKind::create) stream->is_logged = false;
  }
}

void Store::on_durable(const WalGroup& group) {
  for (const WalGroup::Entry& entry : group.entries) {
    if (entry.kind != FrameKind::append) continue;
    Stream* const stream = streams_.find(entry.stream);
    if (!stream) continue;
    // Whoever cuts a stream makes it durable before, so no group speaks of what was cut.
    stream->durable_end = std::max(stream->durable_end, entry.batch.next_offset());
  }
}

Task<Result<void>> Store::wait_for_room() {
  return settler_.wait_for_room();
}

Task<Result<Offset>> Store::sync(StreamId id) {
  if (wal_.failure()) co_return fail(*wal_.failure());
  if (stream(id).durable_end != stream(id).end) CO_TRY_VOID(co_await wal_.sync());
  co_return stream(id).durable_end;
}

void Store::flush_within(Duration interval) {
  const Time due = runtime_.now() + interval;
  if (flush_due_ && *flush_due_ <= due) return;
  flush_due_ = due;
  if (stopping_) return;
  if (!std::exchange(flushing_, true)) {
    background_.start([this] { return flush_in_groups(); });
  } else {
    flush_changed_.notify_all();
  }
}

Task<void> Store::flush_in_groups() {
  while (!stopping_) {
    if (!flush_due_) {
      co_await flush_changed_.wait();
      continue;
    }
    const bool changed = co_await flush_changed_.wait_until(*flush_due_);
    if (changed) continue;
    flush_due_.reset();
    const Result<void> synced = co_await wal_.sync();
    if (!synced) co_return;  // The next append says why.
  }
}

Task<Result<void>> Store::claim(StreamId id) {
  while (stream(id).is_busy) co_await released_.wait();
  if (wal_.failure()) co_return fail(*wal_.failure());
  Stream* const claimed = streams_.find(id);
  if (!claimed) co_return fail(Errc::closed, "the log was removed");
  claimed->is_busy = true;
  co_await wal_.drain();
  // What is cut is durable before, so that no later sync speaks of it.
  Result<void> synced;
  if (stream(id).durable_end != stream(id).end) synced = co_await wal_.sync();
  if (!synced) release(id);
  co_return synced;
}

void Store::release(StreamId id) {
  if (Stream* const claimed = streams_.find(id)) claimed->is_busy = false;
  released_.notify_all();
}

// Writes what happens to a stream, durably.
Task<Result<void>> Store::cut(StreamId id, FrameKind kind, Offset offset,
                              std::uint64_t size_bytes) {
  {
    const Turnstile::Guard cutting = co_await settler_.begin_cut();
    const Truncation truncation{
        .offset = offset, .file = settler_.last_file(stream(id)), .size_bytes = size_bytes};
    const WalGroupPtr group = wal_.open_group();
    log_stream(*group, id, *streams_.find(id));
    wal_.put(*group, kind, id, encode_truncation(truncation));
    CO_TRY_VOID(co_await wal_.wait(group));
  }
  co_return co_await wal_.sync();
}

Task<Result<void>> Store::truncate_to(StreamId id, Offset end) {
  CO_TRY_VOID(co_await claim(id));
  const Result<void> result = co_await truncate_claimed(id, end);
  release(id);
  co_return result;
}

Task<Result<void>> Store::truncate_claimed(StreamId id, Offset end) {
  CHECK(end >= stream(id).start);
  if (end >= stream(id).end) co_return Result<void>{};
  CO_TRY(const std::optional<SettledRun> run, co_await find_settled(id, end, 1));
  Offset from = end;
  if (run) {
    from = std::min(end, run->base());
  } else {
    const auto first = find_unsettled(stream(id), end);
    if (first != stream(id).unsettled.end()) from = std::min(end, first->base);
  }
  CO_TRY(const std::uint64_t dropped, co_await bytes_between(id, from, stream(id).end));
  co_return co_await cut(id, FrameKind::truncate, from, stream(id).size_bytes - dropped);
}

Task<Result<void>> Store::reset_to(StreamId id, Offset start) {
  CO_TRY_VOID(co_await claim(id));
  const Result<void> result = co_await cut(id, FrameKind::reset, start, 0);
  release(id);
  co_return result;
}

Task<Result<void>> Store::remove(StreamId id) {
  CO_TRY_VOID(co_await claim(id));
  Stream& gone = *streams_.find(id);
  Result<void> result;
  if (gone.is_logged) {
    const WalGroupPtr group = wal_.open_group();
    wal_.put(*group, FrameKind::remove, id, {});
    result = co_await wal_.wait(group);
    if (result) result = co_await wal_.sync();
  } else {
    streams_.erase(id);
  }
  release(id);
  co_return result;
}

}  // namespace qlab::storage::shared
