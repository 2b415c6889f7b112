#include "storage/compaction.h"

#include <algorithm>

namespace qlab::storage {
namespace {

bool is_idempotent(const BatchHeader& batch) {
  return batch.producer_id.value() >= 0 && !batch.is_control();
}

// What a decision about one record needs to know of its batch.
struct BatchView {
  const BatchHeader& header;
  bool covered;            // All its keys are in the map, or were in that of an earlier pass.
  bool tombstones_may_go;  // Its delete horizon is past.
};

bool stays(const Record& record, const BatchView& batch, const DirtyKeys& keys) {
  const Offset offset = batch.header.base_offset.plus(record.offset_delta);
  if (offset >= keys.end()) return true;
  if (!record.key) return false;  // Nothing can ever supersede it, and appends refuse it.
  if (keys.supersedes(*record.key, offset)) return false;
  return record.value.has_value() || !batch.tombstones_may_go;
}

// A header that says of a batch what its producer and its offsets were, and no more.
BatchHeader emptied(BatchHeader header) {
  header.base_timestamp = header.max_timestamp;
  header.attributes =
      static_cast<std::int16_t>(header.attributes & ~BatchHeader::delete_horizon_bit);
  return header;
}

Result<CleanedBatch> without_records(const BatchHeader& header, bool needed, CleanedBatch cleaned) {
  cleaned.fate = CleanedBatch::Fate::dropped;
  if (!needed) return cleaned;
  cleaned.fate = CleanedBatch::Fate::rewritten;
  TRY(cleaned.bytes, rebuild_batch(emptied(header), {}));
  return cleaned;
}

}  // namespace

Result<bool> DirtyKeys::map_keys(ByteView batch) {
  TRY(const BatchHeader header, decode_batch_header(batch));
  if (!header.is_control() && !header.is_transactional()) {
    TRY(const std::vector<Record> records, decode_records(batch));
    for (const Record& record : records) {
      const Offset offset = header.base_offset.plus(record.offset_delta);
      if (offset < end_ || !record.key) continue;
      if (!keys_.put(*record.key, offset)) return false;
      end_ = offset.next();
    }
  }
  end_ = std::max(end_, header.next_offset());
  return true;
}

bool DirtyKeys::supersedes(ByteView key, Offset offset) const {
  const std::optional<Offset> latest = keys_.latest(key);
  return latest && *latest > offset;
}

void ProducerTails::note(const BatchHeader& batch) {
  if (is_idempotent(batch)) tails_[batch.producer_id] = batch.base_offset;
}

bool ProducerTails::is_tail(const BatchHeader& batch) const {
  if (!is_idempotent(batch)) return false;
  const auto tail = tails_.find(batch.producer_id);
  return tail != tails_.end() && tail->second == batch.base_offset;
}

Result<CleanedBatch> clean_batch(ByteView batch, const CompactionPass& pass, bool keep_empty) {
  TRY(const BatchHeader header, decode_batch_header(batch));
  CleanedBatch cleaned;
  cleaned.records_read = static_cast<std::uint64_t>(header.record_count);
  cleaned.records_kept = cleaned.records_read;
  if (header.is_control() || header.base_offset >= pass.keys.end()) return cleaned;
  const bool needed = keep_empty || pass.producers.is_tail(header);
  if (header.record_count == 0) {
    if (!needed) cleaned.fate = CleanedBatch::Fate::dropped;
    return cleaned;
  }

  const bool covered = header.next_offset() <= pass.keys.end();
  // Those of the dirty part go in a later pass: a reader may be between them and what they delete.
  const bool past = header.has_delete_horizon() && header.base_timestamp <= pass.now.count() &&
                    header.next_offset() <= pass.keys.from();
  const BatchView view{header, covered, past && !header.is_transactional()};
  TRY(std::vector<Record> records, decode_records(batch));
  const std::size_t before = records.size();
  std::erase_if(records, [&](const Record& each) { return !stays(each, view, pass.keys); });
  cleaned.records_kept = records.size();
  if (records.empty()) return without_records(header, needed, std::move(cleaned));

  const bool has_tombstones =
      std::any_of(records.begin(), records.end(), [](const Record& r) { return !r.value; });
  const bool wants_horizon =
      has_tombstones && covered && !header.has_delete_horizon() && !header.is_transactional();
  if (records.size() == before && !wants_horizon) return cleaned;
  BatchHeader rewritten = header;
  if (wants_horizon) {
    rewritten.base_timestamp = (pass.now + pass.delete_retention).count();
    rewritten.attributes |= BatchHeader::delete_horizon_bit;
  }
  if (!header.has_log_append_time()) {
    rewritten.max_timestamp = -1;
    for (const Record& record : records) {
      rewritten.max_timestamp = std::max(rewritten.max_timestamp, record.timestamp);
    }
  }
  cleaned.fate = CleanedBatch::Fate::rewritten;
  TRY(cleaned.bytes, rebuild_batch(rewritten, records));
  return cleaned;
}

}  // namespace qlab::storage
