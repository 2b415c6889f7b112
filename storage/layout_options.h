#pragma once
// What may be chosen about a layout, for all of its logs. The simulator draws from the same bounds.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/result.h"
#include "storage/shared/options.h"

namespace qlab::storage {

// How many dirty files are made durable at once.
enum class GroupSync : std::uint8_t {
  files,       // A sync for each of them, some at a time.
  filesystem,  // One sync of the whole file system for all.
};

struct LayoutOptions {
  // log.open.files.max, [16, 1000000]: segment files that the layout holds open at a time; the
  // least recently used is closed first.
  std::size_t open_files_max = 4000;
  GroupSync group_sync = GroupSync::files;  // log.group.sync: files | filesystem.
  // log.recovery.parallelism, [1, 256]: logs that are recovered at a time.
  std::size_t recovery_parallelism = 8;
  SharedOptions shared = {};
  // Which of a node's layouts this is: shard < shard_count. Each keeps a file of its own.
  std::size_t shard = 0;
  std::size_t shard_count = 1;

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

// Errors: invalid, naming the key, its value and what is allowed.
Result<GroupSync> parse_group_sync(std::string_view word);

}  // namespace qlab::storage
