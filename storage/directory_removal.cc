#include "storage/directory_removal.h"

namespace qlab::storage {
namespace {

constexpr std::string_view suffix = "-delete";

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

}  // namespace

Result<std::string> rename_aside(runtime::Disk& disk, std::string_view directory) {
  std::string aside = fmt::format("{}{}", directory, suffix);
  TRY_VOID(disk.remove_all(aside));  // Of an earlier removal.
  TRY_VOID(disk.rename(directory, aside));
  return aside;
}

Result<std::string> set_aside(runtime::Disk& disk, std::string_view directory) {
  TRY(std::string aside, rename_aside(disk, directory));
  TRY_VOID(disk.sync_directory(parent_of(directory)));
  return aside;
}

Result<void> remove_directory(runtime::Disk& disk, std::string_view directory) {
  TRY(const bool there, disk.exists(directory));
  if (!there) return {};
  TRY(const std::string aside, set_aside(disk, directory));
  return disk.remove_all(aside);
}

Result<void> delete_what_was_set_aside(runtime::Disk& disk) {
  TRY(const std::vector<std::string> names, disk.list(""));
  for (const std::string& name : names) {
    if (name.ends_with(suffix)) TRY_VOID(disk.remove_all(name));
  }
  return {};
}

}  // namespace qlab::storage
