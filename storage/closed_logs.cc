#include "storage/closed_logs.h"

#include "common/crc32c.h"
#include "common/logging.h"

namespace qlab::storage {
namespace {

constexpr std::int32_t version = 0;

void put_text(BytesWriter& out, std::string_view text) {
  out.put(static_cast<std::uint32_t>(text.size()));
  out.put_bytes(as_view(text));
}

std::string get_text(BytesReader& in) {
  const auto size = in.get<std::uint32_t>();
  return std::string(as_text(in.get_bytes(size)));
}

void put_log(BytesWriter& out, const ClosedLog& log) {
  out.put(log.topic.high);
  out.put(log.topic.low);
  out.put(log.point.start.value());
  out.put(log.point.offset.value());
  out.put(log.point.segment.value());
  out.put(log.point.position);
  out.put(log.point.generation);
  out.put(log.compacted.clean_end.value());
  out.put(log.compacted.gaps_end.value());
  out.put(static_cast<std::uint32_t>(log.segments.size()));
  for (const ClosedLog::SegmentFile& segment : log.segments) {
    out.put(segment.base.value());
    out.put(segment.size);
  }
  out.put(static_cast<std::uint32_t>(log.epochs.entries().size()));
  for (const EpochCache::Entry& entry : log.epochs.entries()) {
    out.put(entry.epoch.value());
    out.put(entry.start.value());
  }
}

Offset get_offset(BytesReader& in) {
  return Offset{in.get<std::int64_t>()};
}

ClosedLog get_log(BytesReader& in) {
  ClosedLog log;
  log.topic.high = in.get<std::uint64_t>();
  log.topic.low = in.get<std::uint64_t>();
  log.point.start = get_offset(in);
  log.point.offset = get_offset(in);
  log.point.segment = get_offset(in);
  log.point.position = in.get<std::uint64_t>();
  log.point.generation = in.get<std::int64_t>();
  log.compacted.clean_end = get_offset(in);
  log.compacted.gaps_end = get_offset(in);
  const auto segments = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < segments && in.ok(); ++i) {
    const Offset base = get_offset(in);
    log.segments.push_back({base, in.get<std::uint64_t>()});
  }
  const auto epochs = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < epochs && in.ok(); ++i) {
    const LeaderEpoch epoch{in.get<std::int32_t>()};
    log.epochs.assign(epoch, get_offset(in));
  }
  return log;
}

}  // namespace

Bytes encode_closed_logs(const std::unordered_map<std::string, ClosedLog>& logs) {
  BytesWriter out;
  out.put(version);
  out.put(static_cast<std::uint32_t>(logs.size()));
  for (const auto& [partition, log] : logs) {
    put_text(out, partition);
    put_log(out, log);
  }
  out.put(crc32c(out.view()));
  return out.take();
}

Result<std::unordered_map<std::string, ClosedLog>> decode_closed_logs(ByteView bytes) {
  constexpr std::size_t crc_bytes = sizeof(std::uint32_t);
  if (bytes.size() < crc_bytes) return fail(Errc::corrupt, "it has {} bytes", bytes.size());
  const ByteView covered = bytes.first(bytes.size() - crc_bytes);
  BytesReader tail(bytes.last(crc_bytes));
  if (tail.get<std::uint32_t>() != crc32c(covered)) {
    return fail(Errc::corrupt, "it does not match its checksum");
  }
  BytesReader in(covered);
  const auto found = in.get<std::int32_t>();
  if (found != version) return fail(Errc::corrupt, "version {} is unknown", found);
  const auto count = in.get<std::uint32_t>();
  std::unordered_map<std::string, ClosedLog> logs;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string partition = get_text(in);
    ClosedLog log = get_log(in);
    logs.emplace(std::move(partition), std::move(log));
  }
  TRY_VOID(in.status());
  return logs;
}

Result<void> ClosedLogs::load(runtime::Disk& disk, std::string path) {
  TRY(const bool there, disk.exists(path));
  if (!there) return {};
  TRY(const Bytes bytes, disk.read_file(path));
  auto logs = decode_closed_logs(bytes);
  if (logs) {
    loaded_ = std::move(*logs);
  } else {
    log(LogLevel::warn, "storage", "{}: {}; every log is recovered from its own directory", path,
        logs.error().context);
  }
  TRY_VOID(disk.remove(path));
  return disk.sync_directory(path.substr(0, path.rfind('/')));
}

Result<void> ClosedLogs::store(runtime::Disk& disk, std::string path) const {
  return disk.write_file_atomically(path, encode_closed_logs(added_));
}

std::optional<ClosedLog> ClosedLogs::take(const std::string& partition) {
  for (Logs* const logs : {&added_, &loaded_}) {
    const auto found = logs->find(partition);
    if (found == logs->end()) continue;
    std::optional<ClosedLog> log(std::move(found->second));
    logs->erase(found);
    return log;
  }
  return std::nullopt;
}

}  // namespace qlab::storage
