#include "storage/log_directory.h"

#include <algorithm>

#include "common/logging.h"
#include "storage/directory_removal.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

constexpr std::string_view metadata_name = "partition.metadata";
constexpr std::size_t read_bytes = 256u << 10;
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

// What an earlier life left may be in the page cache alone, in pages that keep from the disk what
// is written to them (File::forget_cached).
Task<Result<void>> overwrite(runtime::File& file, std::string text) {
  CO_TRY(const std::uint64_t size, file.size());
  if (size > 0) CO_TRY_VOID(co_await file.forget_cached());
  co_return co_await file.write(0, std::vector<ByteView>(1, as_view(std::string_view(text))));
}

Task<Result<void>> write_metadata(runtime::Disk& disk, std::string path, std::string text) {
  CO_TRY(const auto file,
         co_await disk.open(
             path, {.io_path = runtime::IoPath::blocking, .create = true, .exclusive = false}));
  const Result<void> written = co_await overwrite(*file, std::move(text));
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

// One past the last byte that is not zero: what lies behind it was prepared and never used.
Task<Result<std::uint64_t>> end_of_data(runtime::Disk& disk, std::string path) {
  CO_TRY(const auto file,
         co_await disk.open(
             path, {.io_path = runtime::IoPath::blocking, .create = false, .exclusive = false}));
  std::uint64_t at = 0;
  std::uint64_t end = 0;
  while (true) {
    CO_TRY(const Bytes bytes, co_await file->read(at, read_bytes));
    if (bytes.empty()) break;
    const auto data = std::find_if(bytes.rbegin(), bytes.rend(),
                                   [](std::byte byte) { return byte != std::byte{0}; });
    if (data != bytes.rend()) end = at + static_cast<std::uint64_t>(bytes.rend() - data);
    at += bytes.size();
  }
  CO_TRY_VOID(co_await file->close());
  co_return end;
}

// Of a directory that was never durable: its data files may have been synced before it was.
Task<Result<RecoveryReport>> report_of_what_goes(runtime::Disk& disk, std::string directory) {
  RecoveryReport report;
  CO_TRY(const std::vector<std::string> names, disk.list(directory));
  for (const std::string& name : names) {
    if (!base_of_data_file(name)) continue;
    CO_TRY(const std::uint64_t end, co_await end_of_data(disk, path_in(directory, name)));
    report.bytes_truncated += end;
  }
  report.clean = report.bytes_truncated == 0;
  if (report.clean) co_return std::move(report);
  report.torn_tails = 1;
  report.dropped = fmt::format("{} was never durable; removed it with {} bytes of data", directory,
                               report.bytes_truncated);
  co_return std::move(report);
}

// A crash may keep these and not the name of partition.metadata.
bool is_of_new_log(const std::string& name) {
  return base_of_data_file(name) || base_of_file(name, offset_index_suffix) ||
         base_of_file(name, time_index_suffix);
}

}  // namespace

Result<std::optional<TopicId>> topic_of_directory(runtime::Disk& disk, const std::string& name) {
  constexpr std::optional<TopicId> unknown;
  const std::string path = path_in(name, metadata_name);
  TRY(const bool named, disk.exists(path));
  if (!named) {
    const auto files = disk.list(name);  // Fails for what is a file itself, or nothing.
    return files && std::ranges::all_of(*files, is_of_new_log) ? TopicId{} : unknown;
  }
  TRY(const Bytes metadata, disk.read_file(path));
  if (was_never_durable(metadata)) return TopicId{};
  std::string_view text = as_text(metadata);
  if (!text.starts_with(version_line) || !text.ends_with('\n')) return unknown;
  text.remove_suffix(1);
  const auto topic = TopicId::parse(text.substr(version_line.size()));
  return topic ? *topic : unknown;
}

Task<Result<FoundDirectory>> find_log_directory(runtime::Disk& disk, LogName name) {
  FoundDirectory found{DirectoryState::none, {}};
  found.report.clean = true;
  CO_TRY(const bool there, disk.exists(name.partition));
  if (!there) co_return std::move(found);
  const std::string path = path_in(name.partition, metadata_name);
  CO_TRY(const bool named, disk.exists(path));
  Bytes metadata;
  if (named) {
    CO_TRY(metadata, disk.read_file(path));
  }
  if (as_text(metadata) == metadata_text(name.topic)) {
    found.state = DirectoryState::made;
    co_return std::move(found);
  }
  if (was_never_durable(metadata)) {
    log(LogLevel::info, "storage", "{} was never durable, removing it", name.partition);
    CO_TRY(found.report, co_await report_of_what_goes(disk, name.partition));
  } else if (as_text(metadata).starts_with(version_line)) {
    log(LogLevel::info, "storage", "{} is of a topic that was deleted, removing it",
        name.partition);
  } else {
    co_return fail(Errc::corrupt, "{} does not tell the topic, so nothing is removed", path);
  }
  CO_TRY_VOID(remove_directory(disk, name.partition));
  co_return std::move(found);
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
