#pragma once
// Records with keys, for the tests of compaction, written as text: `k=v`, a tombstone `k`, and `=v`
// without a key.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/record_batch.h"

namespace qlab::storage {

inline Record keyed_record(std::string_view text, std::int64_t timestamp) {
  const auto bytes = [](std::string_view part) {
    return Bytes(as_view(part).begin(), as_view(part).end());
  };
  Record record;
  record.timestamp = timestamp;
  const std::size_t equals = text.find('=');
  if (equals != 0) record.key = bytes(text.substr(0, equals));
  if (equals != text.npos) record.value = bytes(text.substr(equals + 1));
  return record;
}

// A batch at `base` with one timestamp per record, counting up; of `header` producer and attributes
// are taken.
inline Bytes keyed_batch(const std::vector<std::string_view>& texts, std::int64_t base = 0,
                         std::int64_t timestamp = 1000, BatchHeader header = {}) {
  std::vector<Record> records;
  for (const std::string_view text : texts) {
    const auto at = static_cast<std::int64_t>(records.size());
    records.push_back(keyed_record(text, timestamp + at));
    records.back().offset_delta = static_cast<std::int32_t>(at);
  }
  header.base_offset = Offset{base};
  header.last_offset_delta = static_cast<std::int32_t>(texts.size() - 1);
  header.base_timestamp = timestamp;
  header.max_timestamp = timestamp + header.last_offset_delta;
  return rebuild_batch(header, records).value();
}

// What batches hold, as `offset:k=v`.
inline std::vector<std::string> keyed_texts(ByteView batches) {
  std::vector<std::string> texts;
  while (!batches.empty()) {
    const BatchHeader header = check_batch(batches).value();
    const std::vector<Record> records = decode_records(batches).value();
    for (const Record& record : records) {
      const std::string key = record.key ? std::string(as_text(*record.key)) : std::string();
      const std::string value =
          record.value ? fmt::format("={}", as_text(*record.value)) : std::string();
      texts.push_back(
          fmt::format("{}:{}{}", header.base_offset.plus(record.offset_delta), key, value));
    }
    batches = batches.subspan(header.total_bytes());
  }
  return texts;
}

}  // namespace qlab::storage
