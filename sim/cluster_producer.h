#pragma once
// What a producer of a simulated cluster remembers: for an idempotent one, its id, its sequences
// and the batches that have no answer yet (KIP-98). One batch of a partition is under way at a
// time.

#include <map>
#include <memory>
#include <optional>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"

namespace qlab::sim {

class ClusterProducer {
 public:
  struct Batch {
    std::shared_ptr<const Bytes> bytes;
    std::uint64_t first_value = 0;  // Adjacent values follow it.
    std::uint64_t count = 0;
    bool is_sent_again = false;
  };

  // From now on it is idempotent.
  void begin(ProducerId id, std::int16_t epoch);
  bool has_id() const { return id_.has_value(); }
  // As another one, for which nothing has been sent yet: begin() comes next.
  void begin_anew();

  // The batch to send: that which was sent before and has no answer, or else a new one of `count`
  // records from `first_value` on. Each record's key and value begin with its number.
  Batch next(const TopicPartition& partition, std::uint64_t first_value, std::uint64_t count,
             WallMillis now, std::size_t padding);
  // It was acknowledged.
  void take_answer(const TopicPartition& partition, const Batch& batch);

 private:
  std::optional<ProducerId> id_;
  std::int16_t epoch_ = -1;
  std::map<TopicPartition, std::int32_t> sequences_;  // That come next.
  std::map<TopicPartition, Batch> open_;              // Sent, and not answered.
};

}  // namespace qlab::sim
