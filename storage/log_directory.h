#pragma once
// The directory of a log of the layout per_partition, and the file in it that tells its topic.
//
// A log without a record has none: after a crash it is a log without a record again. It is made
// for the first append, without a sync, and made durable with the first sync of the log. So a
// million idle partitions cost the disk nothing, and the directories of many that begin at once
// share a sync of their parent, or of the file system.
//
// What a crash may leave: no directory, or one whose partition.metadata is missing or not
// whole; then nothing in it was ever durable, and it goes, with its data if there is any: that is
// named as a torn tail is.

#include "storage/layout.h"
#include "storage/log_context.h"
#include "storage/recovery_report.h"

namespace qlab::storage {

// How far a log's directory is there.
enum class DirectoryState : std::uint8_t {
  none,  // The log has no record and no file.
  made,  // A crash may take it, with all that was synced in it.
  durable,
};

// What was found of a log.
struct FoundDirectory {
  DirectoryState state;   // none or made
  RecoveryReport report;  // Of a removal that took data with it, when the state is none.
};

// Looks for the directory of that log. One that was never durable, or that is of another topic, is
// removed. Errors: corrupt, when it does not tell its topic; io.
Task<Result<FoundDirectory>> find_log_directory(runtime::Disk& disk, LogName name);

// The topic whose log the directory of that name holds. The zero id when it was never durable, and
// has nothing but a log's files; nothing when it is not there or does not tell. Errors: io.
Result<std::optional<TopicId>> topic_of_directory(runtime::Disk& disk, const std::string& name);

// Makes it. Requires: it is not there, or an earlier call failed. Errors: no_space, io.
Task<Result<void>> make_log_directory(runtime::Disk& disk, LogName name);

// Makes durable what make_log_directory() made, but for the names in it, which go with the next
// sync of a new file there. Callers share what can be shared. Errors: io.
Task<Result<void>> sync_log_directory(LogContext& context, std::string directory);

}  // namespace qlab::storage
