#include "replication/groups/group_log.h"

#include <algorithm>
#include <charconv>

#include "common/check.h"
#include "common/crc32c.h"
#include "consensus/config.h"
#include "replication/groups/group_codec.h"

namespace qlab::replication {
namespace {

using consensus::Entry;

constexpr std::uint64_t magic = 0x514C414247525031;  // "QLABGRP1"
constexpr std::size_t file_header_bytes = 8 + 8 + 4;
constexpr std::size_t checksum_end = 4 + 4;               // Of a frame: length, crc32c.
constexpr std::size_t frame_head_bytes = 8 + 16 + 4 + 1;  // durable, group, kind.
constexpr std::string_view file_prefix = "groups-";
constexpr std::size_t read_bytes = 1u << 20;

enum Kind : std::uint8_t {
  kind_begin = 1,
  kind_entries = 2,
  kind_truncate = 3,
  kind_state = 4,
  kind_forget = 5,
};

std::uint32_t crc_with(std::uint64_t salt, ByteView length) {
  std::array<std::byte, 8> salt_bytes{};
  store_big(salt_bytes.data(), salt);
  return crc32c(length, crc32c(salt_bytes));
}

// The bytes behind the checksum of a good frame at `at`; nothing: there is none.
std::optional<ByteView> frame_at(ByteView file, std::size_t at, std::uint64_t salt) {
  if (file.size() - at < checksum_end + frame_head_bytes) return std::nullopt;
  const auto length = load_big<std::uint32_t>(file.data() + at);
  if (length < frame_head_bytes || length > file.size() - at - checksum_end) return std::nullopt;
  const ByteView rest = file.subspan(at + checksum_end, length);
  const std::uint32_t crc = crc32c(rest, crc_with(salt, file.subspan(at, 4)));
  if (load_big<std::uint32_t>(file.data() + at + 4) != crc) return std::nullopt;
  return rest;
}

// Prepared and not used.
bool is_space(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Whether a good frame behind `bad` knows the bytes there to have been durable.
bool has_witness(ByteView file, std::size_t bad, std::uint64_t salt) {
  for (std::size_t at = bad + 1; at < file.size(); ++at) {
    const auto frame = frame_at(file, at, salt);
    if (frame && load_big<std::uint64_t>(frame->data()) > bad) return true;
  }
  return false;
}

// Nothing: it is not whole, or not good.
std::optional<std::uint64_t> salt_of(ByteView file) {
  if (file.size() < file_header_bytes) return std::nullopt;
  BytesReader in(file);
  const auto kind = in.get<std::uint64_t>();
  const auto salt = in.get<std::uint64_t>();
  const bool good = kind == magic && in.get<std::uint32_t>() == crc32c(file.first(16));
  return good ? std::optional(salt) : std::nullopt;
}

}  // namespace

Task<Result<std::unique_ptr<GroupLog>>> GroupLog::open(runtime::Runtime& runtime,
                                                       storage::Engine& engine,
                                                       std::string directory,
                                                       GroupLogOptions options) {
  runtime::Disk* const disk = engine.is_persistent() ? &runtime.disk() : nullptr;
  if (disk != nullptr) CO_TRY_VOID(disk->make_directories(directory));
  std::unique_ptr<GroupLog> log(
      new GroupLog(engine, disk, std::move(directory), options, runtime.random().next()));
  CO_TRY_VOID(co_await log->recover());
  co_return log;
}

Task<Result<void>> GroupLog::recover() {
  CO_TRY(std::vector<std::string> names, engine_.list(directory_));
  std::erase_if(names, [](const std::string& name) { return !name.starts_with(file_prefix); });
  for (std::size_t i = 0; i < names.size(); ++i) {
    CO_TRY_VOID(co_await recover_file(names[i], i + 1 == names.size()));
  }
  if (!headless_.empty()) {
    co_return fail(Errc::corrupt, "{} has {} groups that go on and do not begin", directory_,
                   headless_.size());
  }
  CO_TRY_VOID(co_await begin_file());
  co_return co_await drop_old_files();
}

Task<Result<void>> GroupLog::recover_file(std::string name, bool is_last) {
  const std::string path = fmt::format("{}/{}", directory_, name);
  std::from_chars(name.data() + file_prefix.size(), name.data() + name.size(), number_);
  CO_TRY(const auto segment, co_await engine_.open(path));
  Bytes bytes;
  while (bytes.size() < segment->size()) {
    CO_TRY(const Bytes piece, co_await segment->read(bytes.size(), read_bytes));
    if (piece.empty()) co_return fail(Errc::io, "{} ends before its size", path);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  const auto read = scan(bytes, path, is_last);
  if (!read) {
    static_cast<void>(co_await segment->close());  // The damage says more.
    co_return fail(read.error());
  }
  // What is torn goes before a later file comes: behind that it would be damage.
  if (*read < bytes.size()) CO_TRY_VOID(co_await segment->truncate(*read));
  old_files_.push_back(path);
  co_return co_await segment->close();
}

// Takes in all good frames; returns where they end, which is 0 behind a header that is torn.
Result<std::size_t> GroupLog::scan(ByteView file, std::string_view name, bool is_last) {
  const auto salt = salt_of(file);
  if (!salt) {
    const bool is_torn =
        is_last && is_space(file.subspan(std::min(file.size(), file_header_bytes)));
    if (is_torn || file.empty()) return std::size_t{0};
    return fail(Errc::corrupt, "the header of {} is damaged", name);
  }
  std::size_t at = file_header_bytes;
  while (const auto frame = at < file.size() ? frame_at(file, at, *salt) : std::nullopt) {
    const auto replayed = replay(*frame);
    if (!replayed) {
      return fail(Errc::corrupt, "{} at byte {}: {}", name, at, replayed.error().context);
    }
    at += checksum_end + frame->size();
  }
  const ByteView rest = file.subspan(at);
  if (is_space(rest)) return at;
  if (!is_last) {
    return fail(Errc::corrupt, "{} is damaged at byte {}, and a later file follows it", name, at);
  }
  if (has_witness(file, at, *salt)) {
    return fail(Errc::corrupt, "{} is damaged at byte {}, which was durable", name, at);
  }
  bytes_cut_ = rest.size();
  return at;
}

Result<void> GroupLog::replay(ByteView frame) {
  BytesReader in(frame);
  in.get<std::uint64_t>();  // Durable.
  const GroupId group = get_group(in);
  const auto kind = in.get<std::uint8_t>();
  if (kind == kind_begin) return replay_begin(group, in);
  if (kind == kind_forget) {
    found_.erase(group);
    headless_.erase(group);
    return in.status();
  }
  const auto at = found_.find(group);
  if (at == found_.end()) {
    headless_.insert(group);
    return {};
  }
  GroupState& state = at->second;
  switch (kind) {
    case kind_entries:
      return replay_entries(state, in);
    case kind_truncate: {
      const LogIndex from{in.get<std::int64_t>()};
      if (from <= state.base.last.index) return fail(Errc::corrupt, "a cut below the base");
      while (!state.entries.empty() && state.entries.back().id.index >= from) {
        state.entries.pop_back();
      }
      return in.status();
    }
    case kind_state:
      state.hard = get_hard_state(in);
      return in.status();
    default:
      return fail(Errc::corrupt, "a frame of kind {}", kind);
  }
}

Result<void> GroupLog::replay_begin(const GroupId& group, BytesReader& in) {
  GroupState state;
  state.hard = get_hard_state(in);
  state.base.last.epoch = Epoch{in.get<std::int64_t>()};
  state.base.last.index = LogIndex{in.get<std::int64_t>()};
  state.base.end = Offset{in.get<std::int64_t>()};
  const auto length = in.get<std::uint32_t>();
  TRY(state.base.config, consensus::decode_config(in.get_bytes(length)));
  TRY_VOID(replay_entries(state, in));
  found_.insert_or_assign(group, std::move(state));
  headless_.erase(group);
  return {};
}

Result<void> GroupLog::replay_entries(GroupState& state, BytesReader& in) {
  while (in.ok() && in.left() > 0) {
    Entry entry = get_entry(in);
    if (!in.ok()) break;
    const consensus::LogId last = state.entries.empty() ? state.base.last : state.entries.back().id;
    if (entry.id.index != last.index.next() || entry.id.epoch < last.epoch) {
      return fail(Errc::corrupt, "entry {}/{} behind {}/{}", entry.id.epoch, entry.id.index,
                  last.epoch, last.index);
    }
    state.entries.push_back(std::move(entry));
  }
  return in.status();
}

std::optional<GroupState> GroupLog::take(const GroupId& group) {
  auto found = found_.extract(group);
  if (found.empty()) return std::nullopt;
  return std::move(found.mapped());
}

void GroupLog::sweep(const std::function<bool(const GroupId&)>& is_wanted) {
  std::erase_if(found_, [&](const auto& group) {
    const bool is_gone = !is_wanted(group.first);
    if (is_gone) forget(group.first);
    return is_gone;
  });
}

void GroupLog::give_back(const GroupId& group, GroupState state) {
  found_.insert_or_assign(group, std::move(state));
}

void GroupLog::put(const GroupId& group, std::uint8_t kind, ByteView head,
                   const std::vector<ByteView>& rest) {
  const std::size_t at = queued_.size();
  queued_.put<std::uint32_t>(0);
  queued_.put<std::uint32_t>(0);
  queued_.put(flushed_);
  put_group(queued_, group);
  queued_.put(kind);
  queued_.put_bytes(head);
  for (const ByteView piece : rest) queued_.put_bytes(piece);
  const std::size_t length = queued_.size() - at - checksum_end;
  queued_.patch(at, static_cast<std::uint32_t>(length));
  const ByteView frame = queued_.view().subspan(at);
  queued_.patch(at + 4, crc32c(frame.subspan(checksum_end), crc_with(salt_, frame.first(4))));
  size_ += checksum_end + length;
}

void GroupLog::begin(const GroupId& group, const GroupState& state) {
  BytesWriter head;
  put_hard_state(head, state.hard);
  head.put(state.base.last.epoch.value());
  head.put(state.base.last.index.value());
  head.put(state.base.end.value());
  const Bytes config = consensus::encode_config(state.base.config);
  head.put(static_cast<std::uint32_t>(config.size()));
  head.put_bytes(config);
  // One frame: a crash that kept the beginning alone would take the entries of before with it.
  for (const Entry& entry : state.entries) {
    put_entry_head(head, entry);
    head.put_bytes(*entry.body);
  }
  put(group, kind_begin, head.view());
}

void GroupLog::append(const GroupId& group, const std::vector<Entry>& entries) {
  // A frame's length has 32 bits, and a batch of entries of a module is far below them.
  for (const Entry& entry : entries) {
    BytesWriter head;
    put_entry_head(head, entry);
    put(group, kind_entries, head.view(), {*entry.body});
  }
}

void GroupLog::truncate(const GroupId& group, LogIndex from) {
  BytesWriter head;
  head.put(from.value());
  put(group, kind_truncate, head.view());
}

void GroupLog::save(const GroupId& group, const consensus::HardState& state) {
  BytesWriter head;
  put_hard_state(head, state);
  put(group, kind_state, head.view());
}

void GroupLog::forget(const GroupId& group) {
  put(group, kind_forget, {});
}

Task<Result<void>> GroupLog::flush() {
  if (queued_.size() == 0) co_return Result<void>{};
  BytesWriter writing;
  std::swap(writing, queued_);
  std::vector<ByteView> pieces(1, writing.view());
  CO_TRY_VOID(co_await segment_->append(std::move(pieces)));
  ++syncs_;
  CO_TRY_VOID(co_await segment_->sync());
  flushed_ += writing.size();
  co_return Result<void>{};
}

std::string GroupLog::path_of(std::uint64_t number) const {
  return fmt::format("{}/{}{:020}", directory_, file_prefix, number);
}

Task<Result<void>> GroupLog::begin_file() {
  while (queued_.size() > 0) CO_TRY_VOID(co_await flush());
  // From here on what is put is for the new file.
  if (segment_ != nullptr) old_files_.push_back(path_of(number_));
  ++number_;
  ++salt_;
  flushed_ = size_ = file_header_bytes;
  if (segment_ != nullptr) CO_TRY_VOID(co_await segment_->close());
  CO_TRY(segment_, co_await engine_.open(path_of(number_)));
  if (segment_->size() > 0) CO_TRY_VOID(co_await segment_->truncate(0));
  BytesWriter header;
  header.put(magic);
  header.put(salt_);
  header.put(crc32c(header.view()));
  std::vector<ByteView> pieces(1, header.view());
  CO_TRY_VOID(co_await segment_->append(std::move(pieces)));
  CO_TRY_VOID(co_await segment_->sync());
  co_return Result<void>{};
}

Task<Result<void>> GroupLog::drop_old_files() {
  for (const auto& [group, state] : found_) begin(group, state);
  CO_TRY_VOID(co_await flush());
  for (const std::string& path : std::exchange(old_files_, {})) CO_TRY_VOID(engine_.remove(path));
  if (disk_ != nullptr) CO_TRY_VOID(disk_->sync_directory(directory_));
  full_at_ = std::max(options_.file_bytes, size_ * 2);
  co_return Result<void>{};
}

Task<Result<void>> GroupLog::close() {
  if (segment_ == nullptr) co_return Result<void>{};
  co_return co_await segment_->close();
}

}  // namespace qlab::replication
