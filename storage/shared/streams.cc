#include "storage/shared/streams.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace qlab::storage::shared {

Offset Stream::cut_of(std::uint64_t file) const {
  Offset from{std::numeric_limits<std::int64_t>::max()};
  for (const Cut& cut : cuts) {
    if (file <= cut.file) from = std::min(from, cut.from);
  }
  return from;
}

void note_append(Stream& stream, const UnsettledBatch& batch, LeaderEpoch epoch, bool is_settled) {
  CHECK(batch.base >= stream.end);  // Beyond it, where compaction has left a gap.
  stream.end = batch.next();
  stream.epochs.assign(epoch, batch.base);
  stream.size_bytes += batch.bytes;
  if (!is_settled) stream.unsettled.push_back(batch);
}

UnsettledBatch unsettled_batch(const BatchHeader& header, Position frame) {
  return {.base = header.base_offset,
          .max_timestamp = header.max_timestamp,
          .at = frame.plus(frame_header_bytes),
          .bytes = static_cast<std::uint32_t>(header.total_bytes()),
          .last_offset_delta = header.last_offset_delta};
}

namespace {

void add_cut(Stream& stream, Cut cut) {
  if (cut.file == 0) return;  // There is no settled file.
  std::erase_if(stream.cuts,
                [&](const Cut& other) { return other.file <= cut.file && other.from >= cut.from; });
  stream.cuts.push_back(cut);
}

}  // namespace

void forget_unsettled(Stream& stream, FrameKind kind, Offset offset) {
  auto& batches = stream.unsettled;
  if (kind == FrameKind::reset) {
    batches.clear();
  } else if (kind == FrameKind::move_start) {
    batches.erase(batches.begin(), find_unsettled(stream, offset));
  } else if (kind == FrameKind::supersede) {
    const auto kept = std::find_if(batches.begin(), batches.end(),
                                   [&](const auto& batch) { return batch.base >= offset; });
    batches.erase(batches.begin(), kept);
  } else if (kind == FrameKind::truncate) {
    while (!batches.empty() && batches.back().base >= offset) batches.pop_back();
  }
}

void note_change(Stream& stream, FrameKind kind, const Truncation& truncation) {
  forget_unsettled(stream, kind, truncation.offset);
  stream.size_bytes = truncation.size_bytes;
  switch (kind) {
    case FrameKind::truncate:
      stream.end = truncation.offset;
      stream.clean_end = std::min(stream.clean_end, stream.end);
      ++stream.cut_count;
      stream.epochs.truncate_from_end(stream.end);
      add_cut(stream, {truncation.offset, truncation.file});
      break;
    case FrameKind::reset:
      stream.start = stream.end = truncation.offset;
      stream.clean_end = Offset{0};
      ++stream.cut_count;
      stream.epochs.clear();
      add_cut(stream, {Offset{0}, truncation.file});
      break;
    case FrameKind::move_start:
      stream.start = truncation.offset;
      stream.epochs.truncate_from_start(stream.start);
      break;
    default:
      CHECK(kind == FrameKind::supersede);
      add_cut(stream, {Offset{0}, truncation.file});
      return;
  }
  // Nothing waits to be written, so what is assigned is what is there.
  stream.durable_end = std::clamp(stream.durable_end, stream.start, stream.end);
  stream.assigned_end = stream.end;
  stream.assigned_epoch = stream.epochs.latest();
}

UnsettledBatches::const_iterator find_unsettled(const Stream& stream, Offset offset) {
  return std::partition_point(stream.unsettled.begin(), stream.unsettled.end(),
                              [&](const UnsettledBatch& batch) { return batch.next() <= offset; });
}

void StreamTable::Return::operator()(Block* block) const {
  std::destroy_at(block);
  pool->give_back(block);
}

Stream* StreamTable::find(StreamId id) {
  const std::size_t block = id.value() / block_streams;
  if (block >= blocks_.size() || !blocks_[block]) return nullptr;
  Stream& entry = (*blocks_[block])[id.value() % block_streams];
  return entry.is_there ? &entry : nullptr;
}

void StreamTable::prefetch(StreamId id) const {
  const std::size_t block = id.value() / block_streams;
  if (block >= blocks_.size() || !blocks_[block]) return;
  const Stream& entry = (*blocks_[block])[id.value() % block_streams];
  __builtin_prefetch(&entry.is_there);
  __builtin_prefetch(&entry.unsettled);
  __builtin_prefetch(&entry.epochs);
}

std::optional<StreamId> StreamTable::find(std::string_view name) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) return {};
  return StreamId{*found};
}

Stream& StreamTable::add(StreamId id, std::string name, TopicId topic) {
  const std::size_t block = id.value() / block_streams;
  if (block >= blocks_.size()) {
    while (blocks_.size() <= block) blocks_.emplace_back(nullptr, Return{&pool_});
    used_.resize(block + 1);
  }
  if (!blocks_[block]) blocks_[block].reset(std::construct_at(static_cast<Block*>(pool_.take())));
  Stream& entry = (*blocks_[block])[id.value() % block_streams];
  CHECK(!entry.is_there);
  entry.is_there = true;
  entry.name = std::move(name);
  entry.topic = topic;
  const bool is_new = ids_.insert(id.value()).second;
  CHECK(is_new);
  ++used_[block];
  reserve_ids_below(id.next());
  return entry;
}

void StreamTable::forget_name(StreamId id) {
  Stream* const stream = find(id);
  CHECK(stream != nullptr);
  ids_.erase(id.value());
  stream->name = fmt::format("{}/{}", stream->name, id);  // No partition is called that.
  ids_.insert(id.value());
}

void StreamTable::erase(StreamId id) {
  CHECK(find(id) != nullptr);
  ids_.erase(id.value());
  const std::size_t block = id.value() / block_streams;
  (*blocks_[block])[id.value() % block_streams] = {};
  if (--used_[block] == 0) blocks_[block].reset();
}

}  // namespace qlab::storage::shared
