#include "replication/producer_state.h"

namespace qlab::replication {
namespace {

// Sequences count records, per producer and partition, from 0 to 2^31 - 1 and on from 0.
std::int32_t sequence_plus(std::int32_t sequence, std::int32_t count) {
  return static_cast<std::int32_t>(
      (static_cast<std::uint32_t>(sequence) + static_cast<std::uint32_t>(count)) & 0x7fffffffu);
}

bool is_idempotent(const BatchHeader& batch) {
  return batch.producer_id.value() >= 0 && !batch.is_control();
}

}  // namespace

Result<std::optional<storage::AppendResult>> ProducerState::check(const BatchHeader& batch) const {
  if (!is_idempotent(batch)) return std::nullopt;
  const auto at = producers_.find(batch.producer_id);
  if (at == producers_.end())
    return std::nullopt;  // Nothing is known of it: any sequence may come (KIP-360).
  const Producer& producer = at->second;
  if (batch.producer_epoch < producer.epoch) {
    return fail(Errc::stale_producer, "producer {} has epoch {}, not {}", batch.producer_id,
                producer.epoch, batch.producer_epoch);
  }
  if (batch.producer_epoch > producer.epoch) {
    if (batch.base_sequence == 0) return std::nullopt;
    return fail(Errc::out_of_sequence, "producer {} begins its epoch {} with sequence {}, not 0",
                batch.producer_id, batch.producer_epoch, batch.base_sequence);
  }
  const std::int32_t last_sequence = sequence_plus(batch.base_sequence, batch.last_offset_delta);
  for (const Batch& known : producer.batches) {
    if (known.first_sequence == batch.base_sequence && known.last_sequence == last_sequence) {
      return storage::AppendResult{known.base, known.next};
    }
  }
  const std::int32_t expected = sequence_plus(producer.batches.back().last_sequence, 1);
  if (batch.base_sequence == expected) return std::nullopt;
  return fail(Errc::out_of_sequence, "producer {} sent sequence {}; {} is next", batch.producer_id,
              batch.base_sequence, expected);
}

void ProducerState::update(const BatchHeader& batch) {
  if (!is_idempotent(batch)) return;
  Producer& producer = producers_[batch.producer_id];
  if (batch.producer_epoch != producer.epoch) {
    producer.epoch = batch.producer_epoch;
    producer.batches.clear();
  }
  producer.batches.push_back({batch.base_sequence,
                              sequence_plus(batch.base_sequence, batch.last_offset_delta),
                              batch.base_offset, batch.next_offset()});
  if (producer.batches.size() > batches_retained) producer.batches.pop_front();
}

}  // namespace qlab::replication
