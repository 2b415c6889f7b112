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
  return {};
}

}  // namespace qlab::controller
