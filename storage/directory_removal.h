#pragma once
// How a log's directory goes: under its name there is all of it or nothing, whenever a crash comes.
//
// It is renamed first, durably, to `NAME-delete` as in Kafka, and what lies there belongs to no log
// any more. Deleting file by file under its own name would let a crash leave the recovery point
// without the segments it vouches for, or segments for a new log of that name to find.

#include <string>
#include <string_view>

#include "runtime/disk.h"

namespace qlab::storage {

// The first half of what is below: the new name is not durable yet.
Result<std::string> rename_aside(runtime::Disk& disk, std::string_view directory);

// Renames the directory and returns the name under which the rest is to be deleted.
// Requires: none of its files is open. Durability: when it returns. Errors: not_found; io.
Result<std::string> set_aside(runtime::Disk& disk, std::string_view directory);

// The same, and deletes it. A directory that is not there is no error. Errors: io.
Result<void> remove_directory(runtime::Disk& disk, std::string_view directory);

// Deletes what crashes left of directories that were set aside below the root. Errors: io.
Result<void> delete_what_was_set_aside(runtime::Disk& disk);

}  // namespace qlab::storage
