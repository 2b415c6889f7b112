#include "controller/options.h"

namespace qlab::controller {

Result<void> ControllerOptions::validate() const {
  const auto session_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(session_timeout).count();
  if (session_ms < 100 || session_ms > 300'000) {
    return fail(Errc::invalid, "broker.session.timeout.ms={} is not in [100, 300000]", session_ms);
  }
  if (num_partitions < 1 || num_partitions > 10'000) {
    return fail(Errc::invalid, "num.partitions={} is not in [1, 10000]", num_partitions);
  }
  if (default_replication_factor < 1 || default_replication_factor > 1000) {
    return fail(Errc::invalid, "default.replication.factor={} is not in [1, 1000]",
                default_replication_factor);
  }
  if (min_insync_replicas < 1 || min_insync_replicas > 1000) {
    return fail(Errc::invalid, "min.insync.replicas={} is not in [1, 1000]", min_insync_replicas);
  }
  const auto check_s = std::chrono::duration_cast<std::chrono::seconds>(rebalance_interval).count();
  if (check_s < 1 || check_s > 1'000'000) {
    return fail(Errc::invalid, "leader.imbalance.check.interval.seconds={} is not in [1, 1000000]",
                check_s);
  }
  if (imbalance_percentage < 0 || imbalance_percentage > 100) {
    return fail(Errc::invalid, "leader.imbalance.per.broker.percentage={} is not in [0, 100]",
                imbalance_percentage);
  }
  if (records_per_entry < 1 || records_per_entry > records_per_entry_max) {
    return fail(Errc::invalid, "controller.records.per.entry={} is not in [1, {}]",
                records_per_entry, records_per_entry_max);
  }
  if (records_per_move < 1 || records_per_move > records_per_move_max) {
    return fail(Errc::invalid, "controller.records.per.move={} is not in [1, {}]", records_per_move,
                records_per_move_max);
  }
  return {};
}

}  // namespace qlab::controller
