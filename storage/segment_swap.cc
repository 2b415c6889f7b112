#include "storage/segment_swap.h"

#include <algorithm>

#include "storage/kafka_files.h"
#include "storage/recovery.h"

namespace qlab::storage {
namespace {

constexpr std::size_t copy_bytes = 1u << 20;  // At a time, where nothing can be renamed.

std::string path_of(std::string_view directory, Offset base, std::string_view suffix,
                    std::string_view more = {}) {
  return path_in(directory, segment_file_name(base, fmt::format("{}{}", suffix, more)));
}

// What comes after `.log.swap` has its name: the old segments go, and the new files get theirs.
Result<void> complete(runtime::Runtime& runtime, Engine& engine, std::string_view directory,
                      Offset base, const std::vector<Offset>& olds) {
  runtime::Disk& disk = runtime.disk();
  for (const Offset old : olds) {
    if (old != base) TRY_VOID(remove_segment_files(runtime, engine, directory, old));
  }
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    const std::string from = path_of(directory, base, suffix, swap_suffix);
    TRY(const bool there, disk.exists(from));
    if (there) TRY_VOID(disk.rename(from, path_of(directory, base, suffix)));
  }
  TRY_VOID(disk.sync_directory(directory));
  TRY_VOID(disk.rename(path_of(directory, base, data_suffix, swap_suffix),
                       path_of(directory, base, data_suffix)));
  return disk.sync_directory(directory);
}

// An engine that keeps no files cannot rename one.
Task<Result<void>> copy_segment(Engine& engine, std::string from, std::string to) {
  CO_TRY(const std::unique_ptr<Segment> source, co_await engine.open(std::move(from)));
  CO_TRY(const std::unique_ptr<Segment> target, co_await engine.open(std::move(to)));
  for (std::uint64_t at = 0; at < source->size();) {
    CO_TRY(const Bytes bytes, co_await source->read(at, copy_bytes));
    CO_TRY_VOID(co_await target->append(std::vector<ByteView>(1, bytes)));
    at += bytes.size();
  }
  CO_TRY_VOID(co_await source->close());
  co_return co_await target->close();
}

// One past the last record of a segment that was sealed.
Task<Result<Offset>> end_of(Engine& engine, std::string path) {
  CO_TRY(const std::unique_ptr<Segment> segment, co_await engine.open(path));
  BatchScanner scanner(*segment, 0, segment->size(), BatchCheck::header);
  std::optional<Offset> end;
  Result<void> scanned;
  while (true) {
    const auto batch = co_await scanner.next();
    if (!batch) scanned = fail(batch.error());
    if (!batch || !*batch) break;
    end = (*batch)->header.next_offset();
  }
  CO_TRY_VOID(co_await segment->close());
  CO_TRY_VOID(scanned);
  if (!end) co_return fail(Errc::corrupt, "{} is empty, and was to take the place of others", path);
  co_return *end;
}

}  // namespace

Task<Result<std::shared_ptr<LogSegment>>> open_cleaned(runtime::Runtime& runtime, Engine& engine,
                                                       std::string directory, Offset base,
                                                       std::uint32_t interval) {
  CO_TRY_VOID(drop_cleaned(runtime, engine, directory, base));
  CO_TRY(auto data, co_await engine.open(path_of(directory, base, cleaned_suffix)));
  co_return std::make_shared<LogSegment>(std::move(data), std::move(directory), base, interval);
}

Task<Result<void>> seal_cleaned(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                std::shared_ptr<LogSegment> cleaned) {
  CO_TRY_VOID(co_await cleaned->data().sync());
  // Cut where it ends, because an engine may have prepared more.
  CO_TRY_VOID(co_await cleaned->data().truncate(cleaned->noted_end()));
  CO_TRY_VOID(co_await cleaned->data().close());
  if (!engine.is_persistent()) co_return Result<void>{};
  CO_TRY_VOID(co_await cleaned->store_indexes(runtime.disk(), swap_suffix));
  co_return runtime.disk().sync_directory(directory);
}

Result<void> drop_cleaned(runtime::Runtime& runtime, Engine& engine, std::string_view directory,
                          Offset base) {
  TRY_VOID(engine.remove(path_of(directory, base, cleaned_suffix)));
  if (!engine.is_persistent()) return {};
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    TRY_VOID(runtime.disk().remove(path_of(directory, base, suffix, swap_suffix)));
  }
  return {};
}

Task<Result<void>> swap_segments(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                 Offset base, std::vector<Offset> olds) {
  const std::string cleaned = path_of(directory, base, cleaned_suffix);
  if (!engine.is_persistent()) {
    for (const Offset old : olds) {
      CO_TRY_VOID(remove_segment_files(runtime, engine, directory, old));
    }
    CO_TRY_VOID(co_await copy_segment(engine, cleaned, path_of(directory, base, data_suffix)));
    co_return engine.remove(cleaned);
  }
  CO_TRY_VOID(runtime.disk().rename(cleaned, path_of(directory, base, data_suffix, swap_suffix)));
  CO_TRY_VOID(runtime.disk().sync_directory(directory));
  co_return complete(runtime, engine, directory, base, olds);
}

Task<Result<void>> finish_swaps(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                bool drop_all) {
  CO_TRY(const std::vector<std::string> names, engine.list(directory));
  const std::string counts = fmt::format("{}{}", data_suffix, swap_suffix);
  std::vector<Offset> bases;
  std::vector<Offset> swaps;
  for (const std::string& name : names) {
    if (const auto base = base_of_file(name, data_suffix)) bases.push_back(*base);
    if (const auto base = base_of_file(name, counts)) swaps.push_back(*base);
  }
  for (const Offset base : swaps) {
    const std::string path = path_of(directory, base, counts);
    if (drop_all) {
      CO_TRY_VOID(engine.remove(path));
      continue;
    }
    CO_TRY(const Offset end, co_await end_of(engine, path));
    std::vector<Offset> olds = bases;
    std::erase_if(olds, [&](Offset old) { return old < base || old >= end; });
    CO_TRY_VOID(complete(runtime, engine, directory, base, olds));
  }
  for (const std::string& name : names) {
    const bool is_index = name.ends_with(fmt::format("{}{}", offset_index_suffix, swap_suffix)) ||
                          name.ends_with(fmt::format("{}{}", time_index_suffix, swap_suffix));
    if (is_index) CO_TRY_VOID(runtime.disk().remove(path_in(directory, name)));
    if (name.ends_with(cleaned_suffix)) CO_TRY_VOID(engine.remove(path_in(directory, name)));
  }
  co_return Result<void>{};
}

}  // namespace qlab::storage
