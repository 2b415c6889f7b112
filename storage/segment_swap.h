#pragma once
// Puts one new segment in the place of several old ones, so that a crash leaves the old or the new.
//
// The new segment is written as `<base>.log.cleaned`, with its index files as `.index.swap` and
// `.timeindex.swap`, and all of them are synced with their names. Then the data file becomes
// `<base>.log.swap`: from here on the new one counts. The old segments go, the index files get
// their names, and last the data file. Each step is durable before the next begins; recovery drops
// what had not got so far as `.log.swap`, and ends what had.
//
// Source: Kafka 3.9, LogCleaner.cleanSegments and LogSegments' replaceSegments, for the names and
// the order.

#include <memory>
#include <string>

#include "storage/log_segment.h"

namespace qlab::storage {

inline constexpr std::string_view cleaned_suffix = ".log.cleaned";
inline constexpr std::string_view swap_suffix = ".swap";  // Behind the suffix a file is to have.

// Begins the new segment, empty. Removes what an earlier try has left.
Task<Result<std::shared_ptr<LogSegment>>> open_cleaned(runtime::Runtime& runtime, Engine& engine,
                                                       std::string directory, Offset base,
                                                       std::uint32_t interval);

// Makes it and its names durable, and closes it. Errors: io, no_space.
Task<Result<void>> seal_cleaned(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                std::shared_ptr<LogSegment> cleaned);

// Removes it; it is closed or was never there.
Result<void> drop_cleaned(runtime::Runtime& runtime, Engine& engine, std::string_view directory,
                          Offset base);

// Puts the sealed segment of `base` in the place of the closed segments `olds`, whose first is
// `base` too. Durability: when the task ends. Errors: io, and then only recovery knows.
Task<Result<void>> swap_segments(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                 Offset base, std::vector<Offset> olds);

// After a crash: ends the swaps that had begun to count, and drops the others; all of them with
// `drop_all`. Requires: the engine is persistent; no segment of the directory is open.
Task<Result<void>> finish_swaps(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                bool drop_all);

}  // namespace qlab::storage
