#include "storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/crc32c.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

constexpr Duration mark_interval = std::chrono::milliseconds(100);
constexpr std::size_t mark_bytes = 48;  // Within one sector, so it is never torn.
constexpr std::int32_t mark_version = 0;

bool take_field(std::string_view& text, std::string_view key, std::int64_t& into) {
  if (!text.starts_with(key)) return false;
  text.remove_prefix(key.size());
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  const auto used = static_cast<std::size_t>(stop - text.data());
  if (error != std::errc{} || used == text.size() || *stop != '\n') return false;
  text.remove_prefix(used + 1);
  return true;
}

bool is_sound(const RecoveryPoint& point) {
  return point.start.value() >= 0 && point.offset >= point.start && point.offset >= point.segment;
}

Bytes encode_mark(const RecoveryPoint& mark) {
  BytesWriter out;
  out.put(mark_version);
  out.put(mark.start.value());
  out.put(mark.offset.value());
  out.put(mark.segment.value());
  out.put(mark.position);
  out.put(mark.generation);
  out.put(crc32c(out.view()));
  return out.take();
}

std::optional<RecoveryPoint> decode_mark(ByteView bytes) {
  if (bytes.size() != mark_bytes) return {};
  BytesReader in(bytes);
  const auto version = in.get<std::int32_t>();
  RecoveryPoint mark;
  mark.start = Offset{in.get<std::int64_t>()};
  mark.offset = Offset{in.get<std::int64_t>()};
  mark.segment = Offset{in.get<std::int64_t>()};
  mark.position = in.get<std::uint64_t>();
  mark.generation = in.get<std::int64_t>();
  const bool whole = in.get<std::uint32_t>() == crc32c(bytes.first(in.position() - 4));
  if (!whole || version != mark_version || !is_sound(mark)) return {};
  return mark;
}

}  // namespace

std::string encode_recovery_point(const RecoveryPoint& point) {
  const std::string text =
      fmt::format("version: 0\nstart: {}\noffset: {}\nsegment: {}\nposition: {}\ngeneration: {}\n",
                  point.start, point.offset, point.segment, point.position, point.generation);
  return text + fmt::format("crc32c: {}\n", crc32c(as_view(text)));
}

Result<RecoveryPoint> decode_recovery_point(std::string_view text) {
  const std::string_view whole = text;
  std::array<std::int64_t, 7> fields{};
  constexpr std::array<std::string_view, 7> keys{
      "version: ", "start: ", "offset: ", "segment: ", "position: ", "generation: ", "crc32c: "};
  std::string_view covered;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i + 1 == keys.size()) covered = whole.substr(0, whole.size() - text.size());
    if (!take_field(text, keys[i], fields[i])) {
      return fail(Errc::corrupt, "line {} of a recovery point is not '{}<number>'", i + 1, keys[i]);
    }
  }
  const RecoveryPoint point{Offset{fields[1]}, Offset{fields[2]}, Offset{fields[3]},
                            static_cast<std::uint64_t>(fields[4]), fields[5]};
  if (fields[0] != 0 || !text.empty() || fields[6] != crc32c(as_view(covered)) ||
      !is_sound(point)) {
    return fail(Errc::corrupt, "a recovery point does not match its checksum");
  }
  return point;
}

Result<std::optional<RecoveryPoint>> read_recovery_point(runtime::Disk& disk,
                                                         std::string_view directory) {
  const std::string path = path_in(directory, recovery_point_name);
  TRY(const bool there, disk.exists(path));
  if (!there) return std::optional<RecoveryPoint>{};
  TRY(const Bytes bytes, disk.read_file(path));
  const Result<RecoveryPoint> point = decode_recovery_point(as_text(bytes));
  if (!point) {
    return fail(Errc::corrupt, "{}: {}; without the file the whole log would be scanned", path,
                point.error().context);
  }
  return std::optional(*point);
}

Result<void> write_recovery_point(runtime::Disk& disk, std::string_view directory,
                                  const RecoveryPoint& point) {
  return disk.write_file_atomically(path_in(directory, recovery_point_name),
                                    as_view(encode_recovery_point(point)));
}

Result<std::optional<RecoveryPoint>> read_durable_mark(runtime::Disk& disk,
                                                       std::string_view directory,
                                                       const RecoveryPoint& point) {
  const std::string path = path_in(directory, durable_mark_name);
  TRY(const bool there, disk.exists(path));
  if (!there) return std::optional<RecoveryPoint>{};
  TRY(const Bytes bytes, disk.read_file(path));
  const std::optional<RecoveryPoint> mark = decode_mark(bytes);
  const bool counts = mark && mark->generation == point.generation &&
                      mark->offset >= point.offset && mark->segment >= point.segment;
  return counts ? mark : std::optional<RecoveryPoint>{};
}

Task<Result<void>> DurableMark::note(runtime::Runtime& runtime, std::string directory,
                                     RecoveryPoint point) {
  busy_ = true;
  due_ = runtime.now() + mark_interval;
  const runtime::OpenOptions options{
      .io_path = runtime::IoPath::blocking, .create = true, .exclusive = false};
  auto opened = co_await runtime.disk().open(path_in(directory, durable_mark_name), options);
  Result<void> written;
  if (opened) {
    const Bytes bytes = encode_mark(point);
    written = co_await (*opened)->write(0, std::vector<ByteView>(1, bytes));
    const Result<void> closed = co_await (*opened)->close();
    if (written) written = closed;
  } else {
    written = fail(opened.error());
  }
  busy_ = false;
  co_return written;
}

}  // namespace qlab::storage
