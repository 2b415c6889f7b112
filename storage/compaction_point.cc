#include "storage/compaction_point.h"

#include <algorithm>
#include <charconv>

#include "common/crc32c.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

// Cuts `key` and the number behind it off the front of `text`.
std::optional<std::int64_t> take_line(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key)) return {};
  text.remove_prefix(key.size());
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto used = static_cast<std::size_t>(stop - text.data());
  if (error != std::errc{} || used == text.size() || *stop != '\n') return {};
  text.remove_prefix(used + 1);
  return number;
}

}  // namespace

CompactionPoint CompactionPoint::cut_at(Offset end) const {
  return {std::min(clean_end, end), std::min(gaps_end, end)};
}

std::string encode_compaction_point(const CompactionPoint& point) {
  const std::string text =
      fmt::format("version: 0\nclean: {}\ngaps: {}\n", point.clean_end, point.gaps_end);
  return text + fmt::format("crc32c: {}\n", crc32c(as_view(text)));
}

Result<CompactionPoint> decode_compaction_point(std::string_view text) {
  std::string_view rest = text;
  const auto version = take_line(rest, "version: ");
  const auto clean = take_line(rest, "clean: ");
  const auto gaps = take_line(rest, "gaps: ");
  const std::string_view covered = text.substr(0, text.size() - rest.size());
  const auto crc = take_line(rest, "crc32c: ");
  if (version != 0 || !clean || !gaps || crc != crc32c(as_view(covered)) || !rest.empty() ||
      *clean < 0 || *gaps < 0) {
    return fail(Errc::corrupt, "a compaction point does not match its checksum");
  }
  return CompactionPoint{Offset{*clean}, Offset{*gaps}};
}

Result<CompactionPoint> read_compaction_point(runtime::Disk& disk, std::string_view directory) {
  const std::string path = path_in(directory, compaction_point_name);
  TRY(const bool there, disk.exists(path));
  if (!there) return CompactionPoint{};
  TRY(const Bytes bytes, disk.read_file(path));
  const Result<CompactionPoint> point = decode_compaction_point(as_text(bytes));
  if (point) return point;
  return fail(Errc::corrupt, "{}: {}", path, point.error().context);
}

Result<void> write_compaction_point(runtime::Disk& disk, std::string_view directory,
                                    const CompactionPoint& point) {
  return disk.write_file_atomically(path_in(directory, compaction_point_name),
                                    as_view(encode_compaction_point(point)));
}

}  // namespace qlab::storage
