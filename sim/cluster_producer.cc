#include "sim/cluster_producer.h"

#include "common/record_batch.h"

namespace qlab::sim {
namespace {

Bytes bytes_of(std::uint64_t number, std::size_t padding) {
  Bytes bytes(sizeof number + padding);
  store_big(bytes.data(), number);
  return bytes;
}

}  // namespace

void ClusterProducer::begin(ProducerId id, std::int16_t epoch) {
  id_ = id;
  epoch_ = epoch;
}

void ClusterProducer::begin_anew() {
  id_.reset();
  sequences_.clear();
  open_.clear();
}

ClusterProducer::Batch ClusterProducer::next(const TopicPartition& partition,
                                             std::uint64_t first_value, std::uint64_t count,
                                             WallMillis now, std::size_t padding) {
  const auto open = open_.find(partition);
  if (open != open_.end()) return open->second;
  std::vector<Record> records;
  for (std::uint64_t i = 0; i < count; ++i) {
    Record& record = records.emplace_back();
    record.offset_delta = static_cast<std::int32_t>(i);
    record.timestamp = now.count();
    record.key = bytes_of(first_value + i, 0);
    record.value = bytes_of(first_value + i, padding);
  }
  Batch batch{nullptr, first_value, count, false};
  if (!id_) {
    batch.bytes = std::make_shared<const Bytes>(encode_batch(records));
    return batch;
  }
  BatchHeader header;
  header.producer_id = *id_;
  header.producer_epoch = epoch_;
  header.base_sequence = sequences_[partition];
  batch.bytes = std::make_shared<const Bytes>(encode_batch(records, header));
  Batch& kept = open_[partition] = batch;
  kept.is_sent_again = true;  // When it is next asked for.
  return batch;
}

void ClusterProducer::take_answer(const TopicPartition& partition, const Batch& batch) {
  if (open_.erase(partition) > 0) {
    sequences_[partition] += static_cast<std::int32_t>(batch.count);
  }
}

}  // namespace qlab::sim
