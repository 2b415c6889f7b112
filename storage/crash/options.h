#pragma once
// What qlab-storage-crash can be asked to do: one struct, one table of flags with default, bounds
// and meaning.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/fault_hook.h"
#include "storage/engine_options.h"
#include "storage/layout_options.h"

namespace qlab::storage {

// Known-bad modes: what a broken writer or engine would do, to see that the checks can fail.
enum class Mutant : std::uint8_t {
  none,
  ack_before_append,    // Acknowledges what is not in the log yet: any kill may show it.
  ack_before_sync,      // Acknowledges what was appended and not synced: a power cut shows it.
  ack_failed_sync,      // Takes a failed sync for a good one: an injected error shows it.
  skip_directory_sync,  // fsync of a directory does nothing: a power cut right after shows it.
};

// The `count`-th operation of a kind fails with `number`, and no other.
struct InjectedError {
  runtime::DiskOperation operation{};
  int number = 0;
  std::uint64_t count = 0;  // From 1.
};

struct CrashOptions {
  bool write = false;     // After the check, goes on writing.
  std::string directory;  // The data directory; on the file system that crashes.
  std::string journal;    // What was promised; on one that does not.
  std::string engine = "buffered";
  std::string layout = "per_partition";
  EngineOptions preparation;  // --preallocation, --prepared-bytes.
  LayoutOptions grouping;     // --group-sync, --open-files-max.
  std::uint64_t seed = 1;
  std::int64_t partitions = 3;              // [1, 64]
  std::int64_t operations = 0;              // Of each partition, then a clean end; 0: until killed.
  std::uint64_t segment_bytes = 96 * 1024;  // [4 KiB, 1 GiB]
  bool process_only = false;  // --survives=process: the page cache outlived the crash.
  std::uint64_t kill_at = 0;  // SIGKILL to itself before the n-th disk operation; 0: never.
  bool tear = false;          // With kill_at: that operation, if a write, is cut short first.
  std::optional<InjectedError> fault;
  Mutant mutant = Mutant::none;
};

// Reads `write|check --flag value ...`.
// Errors: invalid; names the flag, the value and what is allowed.
Result<CrashOptions> parse_crash_options(std::span<const std::string_view> words);

// Every mode and flag with default, allowed values and meaning.
std::string crash_help();

}  // namespace qlab::storage
