#pragma once
// What recovery did, for one log and for all logs of a layout: how long each phase took, what was
// scanned, what was dropped.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace qlab::storage {

// In the order in which a log goes through them.
enum class RecoveryPhase : std::uint8_t {
  checkpoint,  // Reading what is known to be durable, and the leader epochs.
  list,        // Looking for the files there are.
  open,        // Opening them.
  index,       // Loading the indexes that may be trusted.
  scan,        // Reading batches and checking them.
  cut,         // Describing and dropping a torn tail, and zeros behind the end.
  rewrite,     // Writing again what no sync is known to have covered.
  sync,        // Making the files durable.
  store,       // Writing indexes, epochs and the recovery point.
};
inline constexpr std::size_t recovery_phases = 9;
std::string_view name_of(RecoveryPhase phase);

using PhaseTimes = std::array<Duration, recovery_phases>;  // By RecoveryPhase; wall time.

struct RecoveryReport {
  bool clean = false;  // It was closed, so nothing had to be read.
  std::uint64_t segments = 0;
  std::uint64_t bytes_scanned = 0;
  std::uint64_t bytes_truncated = 0;  // Of the torn tail; zeros behind the end do not count.
  std::uint64_t bytes_rewritten = 0;  // Of what was above the last point known to be durable.
  std::uint64_t torn_tails = 0;       // 1 when a tail was cut.
  std::uint64_t corrupt_ranges = 0;   // Bad bytes in that tail that have whole batches behind them.
  std::optional<std::string> dropped;  // What was dropped and why, in words, when anything was.
  Duration elapsed{};
  PhaseTimes phases{};
};

// Of all logs that a layout has opened.
struct LayoutRecovery {
  std::uint64_t logs = 0;
  std::uint64_t clean = 0;    // clean + unclean + failed == logs
  std::uint64_t unclean = 0;  // New logs count as clean.
  std::uint64_t failed = 0;   // Could not be opened.
  std::uint64_t segments = 0;
  std::uint64_t bytes_scanned = 0;
  std::uint64_t bytes_truncated = 0;
  std::uint64_t bytes_rewritten = 0;
  std::uint64_t torn_tails = 0;
  std::uint64_t corrupt_ranges = 0;
  std::size_t parallelism = 0;  // Logs recovered at a time, at most.
  Duration elapsed{};           // Wall time, from the first open to the end of the latest.
  PhaseTimes phases{};          // Summed over the logs, so it may exceed `elapsed`.

  void add(const RecoveryReport& report);
  // `recovered 12 logs in 35 ms: ...`
  std::string to_string() const;
};

}  // namespace qlab::storage
