#pragma once
// Is a log what it promised to be?

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/crash/content.h"
#include "storage/crash/options.h"
#include "storage/crash/promises.h"
#include "storage/layout.h"

namespace qlab::storage {

struct LogVerdict {
  std::vector<std::string> violations;  // Promises that were broken, in words.
  std::optional<std::string> stopped;   // The disk refused: nothing can be said.
  std::optional<std::string> dropped;   // As the recovery report has it.
  std::uint64_t bytes_truncated = 0;    // Likewise.
  std::uint64_t bytes_vanished = 0;     // Behind the end of data files, as seen from outside.
  Offset start;
  Offset end;
  std::vector<Offset> bases;  // Of the batches, in order.
};

// Where the data of every segment file ends: one past its last byte that is not zero.
struct FileEnd {
  std::int64_t base = 0;
  std::uint64_t end = 0;
};
// Nothing when the disk refuses; none when there is no such directory.
std::optional<std::vector<FileEnd>> data_ends(const std::string& directory);

class Examination {
 public:
  Examination(Layout& layout, const CrashOptions& options) : layout_(layout), options_(options) {}

  // Opens the log and compares all of it with what was promised. `log` is empty when it does not
  // open. Requires: the log is not open.
  Task<LogVerdict> open(LogIdentity identity, Promises promises, LogOptions log_options,
                        std::unique_ptr<Log>& log);
  // Opens a log that was recovered, compared and closed: nothing may be left to repair.
  Task<void> open_again(LogIdentity identity, LogOptions log_options, std::unique_ptr<Log>& log,
                        LogVerdict& verdict);

 private:
  Task<Result<std::unique_ptr<Log>>> open_log(LogIdentity identity, LogOptions log_options);
  void compare_bounds(const Log& log, const Promises& promises, LogVerdict& verdict) const;
  void compare_files(const std::vector<FileEnd>& before, const std::vector<FileEnd>& after,
                     LogVerdict& verdict) const;

  Layout& layout_;
  const CrashOptions& options_;
};

// Reads [from, to) in whole batches and compares every byte with what may stand there; `bases`, if
// given, collects where batches begin.
// Errors: those of the read; corrupt, naming what is wrong, when something is served that was not
// written there.
Task<Result<void>> read_and_compare(Log& log, LogIdentity identity, const Promises& promises,
                                    Offset from, Offset to, std::vector<Offset>* bases);

// True for what a disk or a file system answers when it is broken or full.
bool is_refusal(const Error& error);

}  // namespace qlab::storage
