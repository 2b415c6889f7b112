#pragma once
// What may be chosen about the controller. Names and defaults are Kafka's.

#include <cstdint>

#include "common/clock.h"
#include "common/result.h"

namespace qlab::controller {

struct ControllerOptions {
  Duration session_timeout =
      std::chrono::milliseconds(9000);          // broker.session.timeout.ms, [100, 300000].
  std::int32_t num_partitions = 1;              // num.partitions, [1, 10000].
  std::int16_t default_replication_factor = 1;  // default.replication.factor, [1, 1000].

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

// The most records that one request may make: Kafka's MAX_RECORDS_PER_USER_OP.
inline constexpr std::size_t records_per_request_max = 10'000;
// Producer ids given to a broker at a time (KIP-730).
inline constexpr std::int32_t producer_id_block = 1000;

}  // namespace qlab::controller
