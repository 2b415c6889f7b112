#include "storage/shared/recovery.h"

#include <algorithm>

#include "storage/shared/wal_scan.h"

namespace qlab::storage::shared {
namespace {

class Recovery {
 public:
  Recovery(runtime::Runtime& runtime, Engine& engine, std::string directory, StreamTable& streams)
      : runtime_(runtime), engine_(engine), directory_(std::move(directory)), streams_(streams) {}

  Task<Result<RecoveredStore>> run();

 private:
  Task<Result<void>> open_files();
  Result<void> begin_manifest(bool is_new);
  Task<Result<void>> replay_segments();
  Result<void> replay(const Frame& frame, Position at);
  Task<Result<void>> end_at(std::size_t index, BadFrame bad);
  Task<Result<BadFrame>> look_behind(std::size_t index, WalScanner& scanner);
  Task<Result<void>> make_durable();

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::string directory_;
  StreamTable& streams_;
  RecoveredStore out_;
  Position durable_;  // The largest that a frame speaks of.
};

Task<Result<RecoveredStore>> Recovery::run() {
  const Time began = runtime_.now();
  if (engine_.is_persistent()) CO_TRY_VOID(runtime_.disk().make_directories(directory_));
  CO_TRY_VOID(co_await open_files());
  CO_TRY_VOID(co_await replay_segments());
  CO_TRY_VOID(co_await make_durable());
  out_.report.elapsed = runtime_.now() - began;
  co_return std::move(out_);
}

Task<Result<void>> Recovery::open_files() {
  CO_TRY(const std::vector<std::string> names, engine_.list(directory_));
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = wal_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  if (!engine_.is_persistent()) {
    // Left by a store that is gone; what is in memory ends with it.
    for (const std::uint32_t number : numbers) {
      CO_TRY_VOID(engine_.remove(wal_path(directory_, number)));
    }
    numbers.clear();
  }
  CO_TRY_VOID(begin_manifest(numbers.empty()));
  for (const std::uint32_t number : numbers) {
    auto segment = std::make_shared<WalSegment>();
    segment->path = wal_path(directory_, number);
    segment->number = number;
    segment->seed = segment_seed(out_.manifest.salt, number);
    CO_TRY(segment->data, co_await engine_.open(segment->path));
    out_.segments.push_back(std::move(segment));
    out_.next_segment = number + 1;
  }
  co_return Result<void>{};
}

Result<void> Recovery::begin_manifest(bool is_new) {
  std::optional<Manifest> there;
  if (engine_.is_persistent()) {
    TRY(there, read_manifest(runtime_.disk(), directory_));
  }
  if (there) {
    out_.manifest = std::move(*there);
    return {};
  }
  if (!is_new) {
    return fail(Errc::corrupt, "{} is missing; without it the segments beside it mean nothing",
                manifest_path(directory_));
  }
  out_.manifest.salt = runtime_.random().next();
  if (!engine_.is_persistent()) return {};
  return write_manifest(runtime_.disk(), directory_, out_.manifest);
}

Task<Result<void>> Recovery::replay_segments() {
  for (std::size_t i = 0; i < out_.segments.size(); ++i) {
    const WalSegmentPtr segment = out_.segments[i];
    WalScanner scanner(segment);
    while (true) {
      const Position at{segment->number, static_cast<std::uint32_t>(scanner.position())};
      CO_TRY(const std::optional<Frame> frame, co_await scanner.next());
      if (!frame) break;
      CO_TRY_VOID(replay(*frame, at));
    }
    ++out_.report.segments;
    out_.report.bytes_scanned += scanner.position();
    if (!scanner.bad()) continue;
    CO_TRY(BadFrame bad, co_await look_behind(i, scanner));
    CO_TRY_VOID(co_await end_at(i, std::move(bad)));
  }
  co_return Result<void>{};
}

Result<void> Recovery::replay(const Frame& frame, Position at) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::corrupt, "{} at position {}: {}", wal_path(directory_, at.segment), at.byte,
                why);
  };
  durable_ = std::max(durable_, frame.durable);
  if (frame.kind == FrameKind::begin) return {};
  if (frame.kind == FrameKind::create) {
    TRY(StreamName named, decode_stream_name(frame.payload));
    if (streams_.find(frame.stream) || streams_.find(named.name)) {
      return refuse("a stream is created twice");
    }
    streams_.add(frame.stream, std::move(named.name), named.topic).is_logged = true;
    return {};
  }
  Stream* const stream = streams_.find(frame.stream);
  if (!stream) return refuse("a frame of a stream that is not there");
  if (frame.kind == FrameKind::append) {
    TRY(const BatchHeader header, decode_batch_header(frame.payload));
    if (header.base_offset < stream->end) {
      return refuse(fmt::format("{} ends at {}, and a batch at {} follows", stream->name,
                                stream->end, header.base_offset));
    }
    note_append(*stream, unsettled_batch(header, at), header.leader_epoch, false);
  } else if (frame.kind == FrameKind::remove) {
    streams_.erase(frame.stream);
  } else {
    TRY(const Truncation truncation, decode_truncation(frame.payload));
    note_change(*stream, frame.kind, truncation);
  }
  return {};
}

// What the rest of this segment and all later ones say of a bad frame.
Task<Result<BadFrame>> Recovery::look_behind(std::size_t index, WalScanner& scanner) {
  CO_TRY(BadFrame bad, co_await scanner.look_behind());
  for (std::size_t i = index + 1; i < out_.segments.size(); ++i) {
    WalScanner later(out_.segments[i]);
    while (true) {
      CO_TRY(const std::optional<Frame> frame, co_await later.next());
      if (!frame) break;
      ++bad.frames_behind;
      bad.durable = std::max(bad.durable, frame->durable);
    }
    if (!later.bad()) continue;
    CO_TRY(const BadFrame behind, co_await later.look_behind());
    bad.frames_behind += behind.frames_behind;
    bad.durable = std::max(bad.durable, behind.durable);
  }
  co_return bad;
}

// The shared log ends at a bad frame, or is corrupt there.
Task<Result<void>> Recovery::end_at(std::size_t index, BadFrame bad) {
  const WalSegmentPtr segment = out_.segments[index];
  const Position at{segment->number, static_cast<std::uint32_t>(bad.position)};
  if (bad.durable > at) {
    co_return fail(Errc::corrupt, "{} at position {}: {}; what lies there was durable",
                   segment->path, bad.position, bad.why.context);
  }
  const std::uint64_t cut = segment->data->size() - bad.position;
  if (!bad.only_zeros) {
    out_.report.bytes_truncated += cut;
    out_.report.dropped = fmt::format(
        "{} at position {}: {}; {} bytes were never durable and are cut, with {} whole "
        "frames behind",
        segment->path, bad.position, bad.why.context, cut, bad.frames_behind);
  }
  CO_TRY_VOID(co_await segment->data->truncate(bad.position));
  while (out_.segments.size() > index + 1) {
    const WalSegmentPtr last = out_.segments.back();
    out_.segments.pop_back();
    CO_TRY_VOID(co_await last->data->close());
    CO_TRY_VOID(engine_.remove(last->path));
  }
  co_return Result<void>{};
}

// A process that was killed may have written what only the page cache knows of.
Task<Result<void>> Recovery::make_durable() {
  while (!out_.segments.empty() && out_.segments.back()->data->size() == 0) {
    const WalSegmentPtr last = out_.segments.back();
    out_.segments.pop_back();
    CO_TRY_VOID(co_await last->data->close());
    CO_TRY_VOID(engine_.remove(last->path));
  }
  if (!out_.segments.empty()) {
    // Of what no sync is known to have covered, the disk may lack what the page cache shows.
    Segment& last = *out_.segments.back()->data;
    const Position begin{out_.segments.back()->number, 0};
    const std::uint64_t known = durable_ > begin ? durable_.byte : 0;
    out_.report.bytes_rewritten = last.size() - known;
    CO_TRY_VOID(co_await last.rewrite(known));
    CO_TRY_VOID(co_await last.sync());
  }
  if (engine_.is_persistent()) CO_TRY_VOID(runtime_.disk().sync_directory(directory_));
  for (std::size_t i = 0; i < streams_.blocks(); ++i) {
    StreamTable::Block* const block = streams_.block(i);
    if (!block) continue;
    for (std::optional<Stream>& stream : *block) {
      if (!stream) continue;
      stream->durable_end = stream->assigned_end = stream->end;
      stream->assigned_epoch = stream->epochs.latest();
    }
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<RecoveredStore>> recover(runtime::Runtime& runtime, Engine& engine,
                                     std::string directory, StreamTable& streams) {
  Recovery recovery(runtime, engine, std::move(directory), streams);
  co_return co_await recovery.run();
}

}  // namespace qlab::storage::shared
