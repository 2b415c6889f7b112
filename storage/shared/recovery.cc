#include "storage/shared/recovery.h"

#include <algorithm>

#include "storage/shared/wal_scan.h"

namespace qlab::storage::shared {
namespace {

class Recovery {
 public:
  Recovery(runtime::Runtime& runtime, Engine& engine, std::string directory, StreamTable& streams,
           SettledFiles& files)
      : runtime_(runtime),
        engine_(engine),
        directory_(std::move(directory)),
        streams_(streams),
        files_(files) {}

  Task<Result<RecoveredStore>> run();

 private:
  // Ends a phase, which began when the one before ended.
  void note(RecoveryPhase phase);
  Task<Result<void>> load_tables();
  Task<Result<void>> begin_anew();
  Task<Result<void>> open_settled_files();
  bool forget_other_files(std::size_t slot, std::uint64_t number);
  Task<Result<void>> find_streams_in_new_files();
  Result<void> list_files();
  Task<Result<void>> open_segments();
  Task<Result<void>> replay_segments();
  Result<void> check_begin(const Frame& frame, Position at) const;
  Result<void> check_end() const;
  Result<void> replay(const Frame& frame, Position at);
  Result<void> replay_append(const Frame& frame, Position at, Stream& stream, bool counts);
  Task<Result<void>> end_at(std::size_t index, BadFrame bad);
  Task<Result<bool>> next_begins_behind(std::size_t index, Position end);
  Task<Result<BadFrame>> look_behind(std::size_t index, WalScanner& scanner);
  Task<Result<void>> make_durable();
  void finish_streams();

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::string directory_;
  StreamTable& streams_;
  SettledFiles& files_;
  RecoveredStore out_;
  Checkpoint checkpoint_;
  std::vector<SlotNumbers> slots_;         // By block of the checkpoint.
  std::vector<std::uint32_t> segments_;    // Of the shared log, by number.
  std::vector<SettledFilePtr> new_files_;  // Of which some block of the checkpoint knows nothing.
  Position durable_;                       // The largest that a frame or the checkpoint speaks of.
  Position end_;                           // Of the segment that was replayed last.
  std::uint32_t needed_ = 0;               // No segment from this one on was given up.
  Time phase_began_{};
};

void Recovery::note(RecoveryPhase phase) {
  const Time now = runtime_.now();
  out_.report.phases[static_cast<std::size_t>(phase)] += now - phase_began_;
  phase_began_ = now;
}

Task<Result<RecoveredStore>> Recovery::run() {
  const Time began = phase_began_ = runtime_.now();
  if (engine_.is_persistent()) CO_TRY_VOID(runtime_.disk().make_directories(directory_));
  CO_TRY_VOID(list_files());
  note(RecoveryPhase::list);
  CO_TRY_VOID(co_await load_tables());
  note(RecoveryPhase::checkpoint);
  CO_TRY_VOID(co_await open_segments());
  note(RecoveryPhase::open);
  CO_TRY_VOID(co_await open_settled_files());
  note(RecoveryPhase::index);
  CO_TRY_VOID(co_await replay_segments());
  note(RecoveryPhase::scan);
  CO_TRY_VOID(co_await make_durable());
  finish_streams();
  note(RecoveryPhase::sync);
  out_.report.elapsed = runtime_.now() - began;
  co_return std::move(out_);
}

Result<void> Recovery::list_files() {
  TRY(const std::vector<std::string> names, engine_.list(directory_));
  for (const std::string& name : names) {
    const bool is_ours = wal_number(name) || settled_number(name);
    // Left by a store that is gone; what is in memory ends with it.
    if (is_ours && !engine_.is_persistent()) {
      TRY_VOID(engine_.remove(fmt::format("{}/{}", directory_, name)));
    } else if (const auto number = wal_number(name)) {
      segments_.push_back(*number);
    }
  }
  std::sort(segments_.begin(), segments_.end());
  return {};
}

Task<Result<void>> Recovery::load_tables() {
  std::optional<Manifest> manifest;
  if (engine_.is_persistent()) {
    CO_TRY(manifest, read_manifest(runtime_.disk(), directory_));
  }
  if (!manifest) co_return co_await begin_anew();
  out_.manifest = std::move(*manifest);
  CO_TRY(auto loaded, co_await load_checkpoint(runtime_.disk(), directory_, streams_));
  if (!loaded) {
    co_return fail(Errc::corrupt, "the checkpoint beside {} is missing", manifest_path(directory_));
  }
  checkpoint_ = std::move(loaded->checkpoint);
  slots_ = std::move(loaded->slots);
  out_.checkpoint = durable_ = checkpoint_.begin;
  out_.next_segment = std::max(out_.next_segment, checkpoint_.begin.segment);
  co_return Result<void>{};
}

// A new store: an empty checkpoint, and then the manifest that says that there is one.
Task<Result<void>> Recovery::begin_anew() {
  if (!segments_.empty()) {
    co_return fail(Errc::corrupt, "{} is missing; without it the segments beside it mean nothing",
                   manifest_path(directory_));
  }
  out_.manifest.salt = runtime_.random().next();
  out_.checkpoint = checkpoint_.begin = {1, 0};
  if (!engine_.is_persistent()) co_return Result<void>{};
  CheckpointWriter writer(runtime_.disk(), directory_);
  CO_TRY_VOID(co_await writer.open(checkpoint_.begin, StreamId{1}));
  CO_TRY_VOID(co_await writer.commit());
  co_return write_manifest(runtime_.disk(), directory_, out_.manifest);
}

Task<Result<void>> Recovery::open_segments() {
  // What was given up may still be there, and what was never named.
  needed_ = std::min(out_.manifest.settled_through + 1, checkpoint_.begin.segment);
  for (const std::uint32_t number : segments_) {
    out_.next_segment = std::max(out_.next_segment, number + 1);
    const std::string path = wal_path(directory_, number);
    if (number < needed_) {
      CO_TRY_VOID(engine_.remove(path));
      continue;
    }
    auto segment = std::make_shared<WalSegment>();
    segment->path = path;
    segment->number = number;
    segment->seed = segment_seed(out_.manifest.salt, number);
    CO_TRY(segment->data, co_await engine_.open(path));
    out_.segments.push_back(std::move(segment));
  }
  out_.next_segment = std::max(out_.next_segment, out_.manifest.settled_through + 1);
  // A segment is durable before another follows it. Of the last one the page cache may show what a
  // failed sync left there.
  if (!out_.segments.empty()) CO_TRY_VOID(co_await out_.segments.back()->data->forget_cached());
  co_return Result<void>{};
}

Task<Result<void>> Recovery::open_settled_files() {
  CO_TRY(const std::vector<std::string> names, engine_.list(directory_));
  for (const std::string& name : names) {
    const auto number = settled_number(name);
    const auto& files = out_.manifest.files;
    const bool is_named = number && std::any_of(files.begin(), files.end(), [&](const auto& file) {
                            return file.number == *number;
                          });
    if (number && !is_named) CO_TRY_VOID(engine_.remove(fmt::format("{}/{}", directory_, name)));
    if (number) out_.manifest.next_file = std::max(out_.manifest.next_file, *number + 1);
  }
  for (const SettledFileEntry& entry : out_.manifest.files) {
    CO_TRY(const SettledFilePtr file, co_await SettledFile::open(engine_, directory_, entry));
    files_.put(file);
  }
  for (std::size_t slot = 0; slot < settled_slots; ++slot) {
    const SettledFilePtr file = files_.at(slot);
    const bool is_known = forget_other_files(slot, file ? file->number() : 0);
    if (file && !is_known) new_files_.push_back(file);
  }
  co_return Result<void>{};
}

// A bit means what it meant when its block was written: it goes where that was another file. True
// when no block was written before this file was there.
bool Recovery::forget_other_files(std::size_t slot, std::uint64_t number) {
  bool is_known = !slots_.empty();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i][slot] == number) continue;
    is_known = false;
    StreamTable::Block* const block = i < streams_.blocks() ? streams_.block(i) : nullptr;
    for (std::size_t at = 0; block && at < block->size(); ++at) {
      (*block)[at].files &= ~(std::uint64_t{1} << slot);
    }
  }
  return is_known;
}

// Settled files that the checkpoint does not know tell themselves whose batches they have.
Task<Result<void>> Recovery::find_streams_in_new_files() {
  for (const SettledFilePtr& file : new_files_) {
    const std::uint64_t bit = std::uint64_t{1} << file->entry().slot;
    SettledCursor cursor(file);
    while (true) {
      CO_TRY(const SettledBatch* const batch, co_await cursor.next());
      if (!batch) break;
      if (Stream* const stream = streams_.find(batch->stream)) stream->files |= bit;
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Recovery::replay_segments() {
  for (std::size_t i = 0; i < out_.segments.size(); ++i) {
    const WalSegmentPtr segment = out_.segments[i];
    WalScanner scanner(segment);
    while (true) {
      const Position at{segment->number, static_cast<std::uint32_t>(scanner.position())};
      std::optional<Frame> frame = scanner.next_here();
      if (!frame) {
        CO_TRY(frame, co_await scanner.next());
      }
      if (!frame) break;
      CO_TRY_VOID(replay(*frame, at));
    }
    ++out_.report.segments;
    out_.report.bytes_scanned += scanner.position();
    end_ = {segment->number, static_cast<std::uint32_t>(scanner.position())};
    if (!scanner.bad()) continue;
    CO_TRY(const bool is_end, co_await next_begins_behind(i, end_));
    if (is_end) {
      CO_TRY_VOID(co_await segment->data->truncate(scanner.position()));
      continue;
    }
    CO_TRY(BadFrame bad, co_await look_behind(i, scanner));
    CO_TRY_VOID(co_await end_at(i, std::move(bad)));
  }
  CO_TRY_VOID(check_end());
  out_.report.clean = out_.report.segments == 0;
  co_return co_await find_streams_in_new_files();
}

// Every segment says where the one before it ended.
Result<void> Recovery::check_begin(const Frame& frame, Position at) const {
  TRY(const Position previous, decode_begin(frame.payload));
  const bool is_first = previous.segment == at.segment;
  const bool was_given_up = end_.segment == 0 && previous.segment < needed_;
  if (is_first || was_given_up || previous == end_) return {};
  if (previous.segment == end_.segment) {
    return fail(Errc::corrupt, "{} ends at byte {}, and {} says that it ended at {}",
                wal_path(directory_, end_.segment), end_.byte, wal_path(directory_, at.segment),
                previous.byte);
  }
  return fail(Errc::corrupt, "{} is missing; {} says that it ended at byte {}",
              wal_path(directory_, previous.segment), wal_path(directory_, at.segment),
              previous.byte);
}

// What was durable is there, whether or not anything follows it.
Result<void> Recovery::check_end() const {
  if (durable_.byte == 0 || durable_ <= end_) return {};
  return fail(Errc::corrupt, "{} {}, and was durable to byte {}",
              wal_path(directory_, durable_.segment),
              durable_.segment == end_.segment ? fmt::format("ends at byte {}", end_.byte)
                                               : std::string("is missing"),
              durable_.byte);
}

Result<void> Recovery::replay(const Frame& frame, Position at) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::corrupt, "{} at position {}: {}", wal_path(directory_, at.segment), at.byte,
                why);
  };
  durable_ = std::max(durable_, frame.durable);
  if (frame.kind == FrameKind::begin) return check_begin(frame, at);
  // The checkpoint has it already, but for what is not settled.
  const bool counts = at >= checkpoint_.of(frame.stream);
  if (frame.kind == FrameKind::create) {
    if (!counts) return {};
    TRY(StreamName named, decode_stream_name(frame.payload));
    if (streams_.find(frame.stream) || streams_.find(named.name)) {
      return refuse("a stream is created twice");
    }
    Stream& created = streams_.add(frame.stream, std::move(named.name), named.topic);
    created.is_logged = created.is_created = true;
    return {};
  }
  Stream* const stream = streams_.find(frame.stream);
  if (!stream && !counts) return {};
  if (!stream) return refuse("a frame of a stream that is not there");
  if (frame.kind == FrameKind::append) return replay_append(frame, at, *stream, counts);
  if (frame.kind == FrameKind::remove) {
    streams_.erase(frame.stream);
    return {};
  }
  TRY(const Truncation truncation, decode_truncation(frame.payload));
  out_.manifest.next_file = std::max(out_.manifest.next_file, truncation.file + 1);
  if (counts) {
    note_change(*stream, frame.kind, truncation);
  } else {
    forget_unsettled(*stream, frame.kind, truncation.offset);
  }
  return {};
}

Result<void> Recovery::replay_append(const Frame& frame, Position at, Stream& stream, bool counts) {
  TRY(const BatchHeader header, decode_batch_header(frame.payload));
  const UnsettledBatch batch = unsettled_batch(header, at);
  const bool is_settled = at.segment <= out_.manifest.settled_through;
  const Offset end = counts                     ? stream.end
                     : stream.unsettled.empty() ? Offset{0}
                                                : stream.unsettled.back().next();
  if (batch.base < end) {
    return fail(Errc::corrupt, "{} at position {}: {} ends at {}, and a batch at {} follows",
                wal_path(directory_, at.segment), at.byte, stream.name, end, batch.base);
  }
  if (counts) {
    note_append(stream, batch, header.leader_epoch, is_settled);
  } else if (!is_settled) {
    stream.unsettled.push_back(batch);
  }
  if (!is_settled) {
    std::vector<StreamId>& streams = out_.unsettled[at.segment];
    if (streams.empty() || streams.back() != frame.stream) streams.push_back(frame.stream);
  }
  return {};
}

// True when the next segment says that this one ends there: behind it lies prepared space.
Task<Result<bool>> Recovery::next_begins_behind(std::size_t index, Position end) {
  if (index + 1 == out_.segments.size()) co_return false;
  WalScanner next(out_.segments[index + 1]);
  CO_TRY(const std::optional<Frame> frame, co_await next.next());
  if (!frame || frame->kind != FrameKind::begin) co_return false;
  CO_TRY(const Position previous, decode_begin(frame->payload));
  co_return previous == end;
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
  if (std::max(bad.durable, durable_) > at) {
    co_return fail(Errc::corrupt, "{} at position {}: {}; what lies there was durable",
                   segment->path, bad.position, bad.why.context);
  }
  const std::uint64_t cut = segment->data->size() - bad.position;
  if (!bad.only_zeros) {
    out_.report.bytes_truncated += cut;
    out_.report.torn_tails = 1;
    out_.report.corrupt_ranges = bad.frames_behind > 0 ? 1 : 0;
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
    // Of what no sync is known to have covered, the disk may have only in its own cache what it
    // gives.
    Segment& last = *out_.segments.back()->data;
    const Position begin{out_.segments.back()->number, 0};
    const std::uint64_t known = durable_ > begin ? durable_.byte : 0;
    out_.report.bytes_rewritten = last.size() - known;
    CO_TRY_VOID(co_await last.rewrite(known));
    CO_TRY_VOID(co_await last.sync());
  }
  if (engine_.is_persistent()) CO_TRY_VOID(runtime_.disk().sync_directory(directory_));
  co_return Result<void>{};
}

void Recovery::finish_streams() {
  for (std::size_t i = 0; i < streams_.blocks(); ++i) {
    StreamTable::Block* const block = streams_.block(i);
    for (std::size_t at = 0; block && at < block->size(); ++at) {
      Stream& stream = (*block)[at];
      if (!stream.is_there) continue;
      forget_unsettled(stream, FrameKind::move_start, stream.start);
      stream.durable_end = stream.assigned_end = stream.end;
      stream.assigned_epoch = stream.epochs.latest();
      for (const Cut& cut : stream.cuts) {
        out_.manifest.next_file = std::max(out_.manifest.next_file, cut.file + 1);
      }
    }
  }
}

}  // namespace

Task<Result<RecoveredStore>> recover(runtime::Runtime& runtime, Engine& engine,
                                     std::string directory, StreamTable& streams,
                                     SettledFiles& files) {
  Recovery recovery(runtime, engine, std::move(directory), streams, files);
  co_return co_await recovery.run();
}

}  // namespace qlab::storage::shared
