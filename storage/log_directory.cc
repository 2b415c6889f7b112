#include "storage/log_directory.h"

#include "common/logging.h"
#include "storage/directory_removal.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

constexpr std::string_view metadata_name = "partition.metadata";
constexpr std::string_view version_line = "version: 0\ntopic_id: ";

// In Kafka's form.
std::string metadata_text(const TopicId& id) {
  return fmt::format("{}{}\n", version_line, id.to_string());
}

// A crash or a write that failed leaves a part, and perhaps zeros where the rest was to be.
bool was_never_durable(ByteView metadata) {
  while (!metadata.empty() && metadata.back() == std::byte{0}) {
    metadata = metadata.first(metadata.size() - 1);
  }
  return metadata.size() < metadata_text({}).size();
}

Task<Result<void>> write_metadata(runtime::Disk& disk, std::string path, std::string text) {
  CO_TRY(const auto file,
         co_await disk.open(
             path, {.io_path = runtime::IoPath::blocking, .create = true, .exclusive = false}));
  const Result<void> written =
      co_await file->write(0, std::vector<ByteView>(1, as_view(std::string_view(text))));
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(written);
  co_return closed;
}

Task<Result<void>> sync_metadata(runtime::Disk& disk, std::string path) {
  CO_TRY(const auto file,
         co_await disk.open(
             path, {.io_path = runtime::IoPath::blocking, .create = false, .exclusive = false}));
  const Result<void> synced = co_await file->sync();
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(synced);
  co_return closed;
}

}  // namespace

Result<DirectoryState> find_log_directory(runtime::Disk& disk, const LogName& name) {
  TRY(const bool there, disk.exists(name.partition));
  if (!there) return DirectoryState::none;
  const std::string path = path_in(name.partition, metadata_name);
  TRY(const bool named, disk.exists(path));
  Bytes metadata;
  if (named) {
    TRY(metadata, disk.read_file(path));
  }
  if (as_text(metadata) == metadata_text(name.topic)) return DirectoryState::made;
  if (was_never_durable(metadata)) {
    log(LogLevel::info, "storage", "{} was never durable, removing it", name.partition);
  } else if (as_text(metadata).starts_with(version_line)) {
    log(LogLevel::info, "storage", "{} is of a topic that was deleted, removing it",
        name.partition);
  } else {
    return fail(Errc::corrupt, "{} does not tell the topic, so nothing is removed", path);
  }
  TRY_VOID(remove_directory(disk, name.partition));
  return DirectoryState::none;
}

Task<Result<void>> make_log_directory(runtime::Disk& disk, LogName name) {
  CO_TRY_VOID(disk.make_directory(name.partition));
  co_return co_await write_metadata(disk, path_in(name.partition, metadata_name),
                                    metadata_text(name.topic));
}

Task<Result<void>> sync_log_directory(LogContext& context, std::string directory) {
  if (context.shares_syncs()) co_return co_await context.filesystem.join();
  CO_TRY_VOID(co_await context.root.join());
  co_return co_await sync_metadata(context.runtime.disk(), path_in(directory, metadata_name));
}

}  // namespace qlab::storage
