#include "storage/layout_options.h"

namespace qlab::storage {
namespace {

Result<void> check_range(std::string_view key, std::size_t value, std::size_t least,
                         std::size_t most) {
  if (value >= least && value <= most) return {};
  return fail(Errc::invalid, "{}={} is not in [{}, {}]", key, value, least, most);
}

}  // namespace

Result<void> LayoutOptions::validate() const {
  TRY_VOID(check_range("log.open.files.max", open_files_max, 16, 1'000'000));
  TRY_VOID(check_range("log.recovery.parallelism", recovery_parallelism, 1, 256));
  if (shard >= shard_count) {
    return fail(Errc::invalid, "shard {} of {} is none", shard, shard_count);
  }
  if (group_sync > GroupSync::filesystem) {
    return fail(Errc::invalid, "log.group.sync={} is unknown; allowed are files, filesystem",
                static_cast<int>(group_sync));
  }
  return shared.validate();
}

Result<GroupSync> parse_group_sync(std::string_view word) {
  if (word == "files") return GroupSync::files;
  if (word == "filesystem") return GroupSync::filesystem;
  return fail(Errc::invalid, "log.group.sync={} is unknown; allowed are files, filesystem", word);
}

}  // namespace qlab::storage
