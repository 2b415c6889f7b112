#pragma once
// A log that cannot be wrong, because it is a list of batches in memory: what tests compare with.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/prng.h"
#include "common/record_batch.h"

namespace qlab::storage {

struct LogTwin {
  struct Batch {
    std::int64_t base;
    std::int64_t next;
    std::int32_t epoch;
    Bytes bytes;  // Stamped.
  };

  std::int64_t start = 0;
  std::vector<Batch> batches;

  std::int64_t end() const { return batches.empty() ? start : batches.back().next; }
  std::int32_t latest_epoch() const { return batches.empty() ? -1 : batches.back().epoch; }
  std::uint64_t size_bytes() const {
    std::uint64_t bytes = 0;
    for (const Batch& batch : batches) bytes += batch.bytes.size();
    return bytes;
  }
  bool begins_with(std::int64_t its_start, const std::vector<Batch>& found) const {
    const auto same = [](const Batch& a, const Batch& b) {
      return a.base == b.base && a.bytes == b.bytes;
    };
    return its_start == start && found.size() <= batches.size() &&
           std::equal(found.begin(), found.end(), batches.begin(), same);
  }

  void append(Bytes bytes, std::int32_t epoch) {
    const auto header = decode_batch_header(bytes).value();
    stamp_batch(bytes, Offset{end()}, LeaderEpoch{epoch});
    batches.push_back({end(), end() + header.last_offset_delta + 1, epoch, std::move(bytes)});
  }
  void truncate(std::int64_t to) {
    while (!batches.empty() && batches.back().next > to) batches.pop_back();
  }
  void reset(std::int64_t to) {
    start = to;
    batches.clear();
  }

  // The first batch that ends beyond `offset`.
  std::size_t index_of(std::int64_t offset) const {
    std::size_t at = 0;
    while (at < batches.size() && batches[at].next <= offset) ++at;
    return at;
  }

  // (epoch, end) as KIP-101 asks for it.
  std::pair<std::int32_t, std::int64_t> end_of_epoch(std::int32_t epoch) const {
    std::int32_t largest = -1;
    for (const Batch& batch : batches) {
      if (batch.epoch > epoch) return {largest, batch.base};
      largest = batch.epoch;
    }
    return {largest, end()};
  }

  // (offset, timestamp) of the first record below `limit` that is not older than `timestamp`.
  std::optional<std::pair<std::int64_t, std::int64_t>> find(std::int64_t timestamp,
                                                            std::int64_t limit) const {
    for (const Batch& batch : batches) {
      if (batch.next > limit) break;
      const std::vector<Record> records = decode_records(batch.bytes).value();
      for (const Record& record : records) {
        if (record.timestamp >= timestamp) {
          return std::pair(batch.base + record.offset_delta, record.timestamp);
        }
      }
    }
    return {};
  }
};

// A batch of a few records of drawn sizes and times in [0, 1000).
inline Bytes draw_batch(Prng& random) {
  std::vector<Record> records(1 + random.below(4));
  for (Record& record : records) {
    record.timestamp = random.between(0, 999);
    record.value =
        Bytes(random.below(random.chance(0.1) ? 900 : 60), static_cast<std::byte>(random.next()));
  }
  return encode_batch(records);
}

}  // namespace qlab::storage
