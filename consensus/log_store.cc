#include "consensus/log_store.h"

#include <algorithm>
#include <limits>

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::consensus {
namespace {

constexpr std::uint64_t magic = 0x514C41424C4F4732;  // "QLABLOG2"
constexpr std::size_t file_header_bytes = 8 + 8 + 8 + 8 + 4;
constexpr std::string_view file_prefix = "log-";
constexpr std::string_view mark_name = "giving-way";
constexpr std::size_t checksum_end = 4 + 4;              // Of a frame: length, crc32c.
constexpr std::size_t frame_head_bytes = 8 + 8 + 8 + 1;  // durable, epoch, index, kind.
constexpr std::size_t read_bytes = 1u << 20;

struct Frame {
  std::uint64_t durable = 0;
  Entry entry;
  std::size_t bytes = 0;  // All of it.
};

std::uint32_t frame_crc(std::uint64_t salt, ByteView length, ByteView rest) {
  std::array<std::byte, 8> salt_bytes{};
  store_big(salt_bytes.data(), salt);
  return crc32c(rest, crc32c(length, crc32c(salt_bytes)));
}

Bytes frame_head(const Entry& entry, std::uint64_t durable, std::uint64_t salt) {
  const std::size_t length = frame_head_bytes + entry.body->size();
  CHECK(length <= std::numeric_limits<std::uint32_t>::max());
  BytesWriter out;
  out.put(static_cast<std::uint32_t>(length));
  out.put<std::uint32_t>(0);
  out.put(durable);
  out.put(entry.id.epoch.value());
  out.put(entry.id.index.value());
  out.put(static_cast<std::uint8_t>(entry.kind));
  const ByteView head = out.view();
  const std::uint32_t crc = frame_crc(salt, head.first(4), head.subspan(checksum_end));
  out.patch(4, crc32c(*entry.body, crc));
  return out.take();
}

// Nothing: there is no good frame at `at`.
std::optional<Frame> frame_at(ByteView file, std::size_t at, std::uint64_t salt) {
  if (file.size() - at < checksum_end + frame_head_bytes) return std::nullopt;
  const auto length = load_big<std::uint32_t>(file.data() + at);
  if (length < frame_head_bytes || length > file.size() - at - checksum_end) return std::nullopt;
  const ByteView rest = file.subspan(at + checksum_end, length);
  if (load_big<std::uint32_t>(file.data() + at + 4) != frame_crc(salt, file.subspan(at, 4), rest)) {
    return std::nullopt;
  }
  BytesReader in(rest);
  Frame frame;
  frame.durable = in.get<std::uint64_t>();
  frame.entry.id.epoch = Epoch{in.get<std::int64_t>()};
  frame.entry.id.index = LogIndex{in.get<std::int64_t>()};
  frame.entry.kind = static_cast<EntryKind>(in.get<std::uint8_t>());
  const ByteView body = in.get_bytes(in.left());
  frame.entry.body = std::make_shared<const Bytes>(body.begin(), body.end());
  frame.bytes = checksum_end + length;
  return frame;
}

// Prepared and not used.
bool is_space(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// A good frame behind `bad` that knows the bytes there to have been durable.
std::optional<Frame> witness(ByteView file, std::size_t bad, std::uint64_t salt) {
  for (std::size_t at = bad + 1; at < file.size(); ++at) {
    auto frame = frame_at(file, at, salt);
    if (frame && frame->durable > bad) return frame;
  }
  return std::nullopt;
}

}  // namespace

struct LogStore::Header {
  std::uint64_t salt = 0;
  LogId previous;

  Bytes encode() const {
    BytesWriter out;
    out.put(magic);
    out.put(salt);
    out.put(previous.epoch.value());
    out.put(previous.index.value());
    out.put(crc32c(out.view()));
    return out.take();
  }
  // Nothing: it is not whole, or not good.
  static std::optional<Header> decode(ByteView file) {
    if (file.size() < file_header_bytes) return std::nullopt;
    BytesReader in(file);
    Header header;
    const auto kind = in.get<std::uint64_t>();
    header.salt = in.get<std::uint64_t>();
    header.previous.epoch = Epoch{in.get<std::int64_t>()};
    header.previous.index = LogIndex{in.get<std::int64_t>()};
    const bool good =
        kind == magic && in.get<std::uint32_t>() == crc32c(file.first(file_header_bytes - 4));
    return good ? std::optional(header) : std::nullopt;
  }
};

LogIndex LogStore::File::last() const {
  return LogIndex{previous.index.value() + static_cast<std::int64_t>(ends.size())};
}

LogId LogStore::File::end() const {
  return ends.empty() ? previous : LogId{epochs.back(), last()};
}

std::uint64_t LogStore::File::size() const {
  return ends.empty() ? file_header_bytes : ends.back();
}

Result<bool> LogStore::exists(storage::Engine& engine, std::string_view directory,
                              runtime::Disk* disk) {
  if (disk != nullptr) {
    TRY(const bool gave_way, disk->exists(fmt::format("{}/{}", directory, mark_name)));
    if (gave_way) return true;
  }
  TRY(const auto names, engine.list(directory));
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.starts_with(file_prefix); });
}

Task<Result<std::unique_ptr<LogStore>>> LogStore::open(storage::Engine& engine,
                                                       std::string directory, SnapshotMeta snapshot,
                                                       LogStoreOptions options) {
  std::unique_ptr<LogStore> store(new LogStore(engine, std::move(directory), options));
  CO_TRY_VOID(co_await store->recover(std::move(snapshot)));
  co_return store;
}

Task<Result<void>> LogStore::recover(SnapshotMeta snapshot) {
  CO_TRY(std::vector<std::string> names, engine_.list(directory_));
  std::erase_if(names, [](const std::string& name) { return !name.starts_with(file_prefix); });
  for (std::size_t i = 0; i < names.size(); ++i) {
    CO_TRY_VOID(co_await recover_file(names[i], i + 1 == names.size(), snapshot.last.index));
  }
  if (files_.empty()) {
    CO_TRY(const bool gave_way, exists(engine_, directory_, options_.disk));
    if (!options_.fresh && (snapshot.last.index == LogIndex{0} || !gave_way)) {
      co_return fail(Errc::corrupt, "{} has no log with a whole header", directory_);
    }
    CO_TRY_VOID(co_await begin_file(snapshot.last));
    entries_.reset(snapshot.last);
  }
  if (entries_.previous().index > snapshot.last.index) {
    co_return fail(Errc::corrupt,
                   "the log in {} begins behind entry {}, and its snapshot ends at {}", directory_,
                   entries_.previous().index, snapshot.last.index);
  }
  if (snapshot.last.index > LogIndex{0}) {
    const LogId last = snapshot.last;
    entries_.install(std::move(snapshot));
    CO_TRY_VOID(co_await reset(last));
  }
  // What was read may have been in the page cache only, and after a failed sync the kernel takes
  // that for written: so what no good sync is known to have covered is written again.
  storage::Segment& last = *files_.back().segment;
  CO_TRY_VOID(co_await last.rewrite(std::min(files_.back().durable, last.size())));
  CO_TRY_VOID(co_await sync());
  co_return has_given_way();
}

Task<Result<void>> LogStore::recover_file(std::string name, bool is_last, LogIndex image) {
  File file;
  file.path = fmt::format("{}/{}", directory_, name);
  CO_TRY(file.segment, co_await engine_.open(file.path));
  Bytes bytes;
  while (bytes.size() < file.segment->size()) {
    CO_TRY(const Bytes piece, co_await file.segment->read(bytes.size(), read_bytes));
    if (piece.empty()) co_return fail(Errc::io, "{} ends before its size", file.path);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  const auto header = Header::decode(bytes);
  if (!header) {
    // A crash while it was made: then nothing is behind the header, and the file before it is
    // whole, or the image that it was to follow.
    const ByteView behind = ByteView(bytes).subspan(std::min(bytes.size(), file_header_bytes));
    const bool is_after_image = image > LogIndex{0} && file.path == path_behind(image);
    const bool follows = !files_.empty() || is_after_image;
    const bool is_torn = is_last && (options_.fresh || (follows && is_space(behind)));
    if (!is_torn) {
      co_return fail(Errc::corrupt, "the header of {} is damaged", file.path);
    }
    CO_TRY_VOID(co_await file.segment->close());
    co_return engine_.remove(file.path);
  }
  file.salt = header->salt;
  file.previous = header->previous;
  if (files_.empty()) entries_.reset(file.previous);
  if (file.previous != entries_.last()) {
    co_return fail(Errc::corrupt, "{} follows entry {}/{}, and the log before it ends at {}/{}",
                   file.path, file.previous.epoch, file.previous.index, entries_.last().epoch,
                   entries_.last().index);
  }
  files_.push_back(std::move(file));
  CO_TRY_VOID(scan(bytes, is_last));
  const std::uint64_t good = files_.back().size();
  if (good < bytes.size()) CO_TRY_VOID(co_await files_.back().segment->truncate(good));
  co_return Result<void>{};
}

// Takes in all good frames of the last file.
Result<void> LogStore::scan(ByteView bytes, bool is_last) {
  File& file = files_.back();
  std::size_t at = file_header_bytes;
  while (at < bytes.size()) {
    auto frame = frame_at(bytes, at, file.salt);
    if (!frame) break;
    const LogId last = entries_.last();
    if (frame->entry.id.index != last.index.next() || frame->entry.id.epoch < last.epoch) {
      return fail(Errc::corrupt, "{} has entry {}/{} behind {}/{} at byte {}", file.path,
                  frame->entry.id.epoch, frame->entry.id.index, last.epoch, last.index, at);
    }
    at += frame->bytes;
    file.durable = std::max(file.durable, frame->durable);
    file.ends.push_back(at);
    file.epochs.push_back(frame->entry.id.epoch);
    entries_.append(std::move(frame->entry));
  }
  const ByteView rest = bytes.subspan(at);
  if (is_space(rest)) return {};
  if (!is_last) {
    return fail(Errc::corrupt, "{} is damaged at byte {}, and a later file follows it", file.path,
                at);
  }
  if (const auto later = witness(bytes, at, file.salt)) {
    return fail(Errc::corrupt, "{} is damaged at byte {}, which was durable when entry {} came",
                file.path, at, later->entry.id.index);
  }
  bytes_cut_ = rest.size();
  return {};
}

std::string LogStore::path_behind(LogIndex previous) const {
  return fmt::format("{}/{}{:020}", directory_, file_prefix, previous.next().value());
}

Task<Result<void>> LogStore::begin_file(LogId previous) {
  File file;
  file.path = path_behind(previous.index);
  file.previous = previous;
  // Another for each file, also where two were made behind the same entry.
  file.salt = options_.salt + static_cast<std::uint64_t>(previous.index.value()) * 2 +
              static_cast<std::uint64_t>(previous.epoch.value());
  CO_TRY(file.segment, co_await engine_.open(file.path));
  if (file.segment->size() > 0) CO_TRY_VOID(co_await file.segment->truncate(0));
  const Bytes header = Header{file.salt, previous}.encode();
  std::vector<ByteView> pieces(1, header);
  CO_TRY_VOID(co_await file.segment->append(std::move(pieces)));
  CO_TRY_VOID(co_await file.segment->sync());
  files_.push_back(std::move(file));
  co_return Result<void>{};
}

Task<Result<void>> LogStore::remove_file(std::size_t at) {
  const File file = std::move(files_[at]);
  files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(at));
  CO_TRY_VOID(co_await file.segment->close());
  CO_TRY_VOID(engine_.remove(file.path));
  if (options_.disk != nullptr) CO_TRY_VOID(options_.disk->sync_directory(directory_));
  co_return Result<void>{};
}

void LogStore::append(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) entries_.append(entry);
}

Task<Result<void>> LogStore::trim(SnapshotMeta meta, LogIndex keep_from) {
  CHECK(keep_from <= meta.last.index.next());
  entries_.set_snapshot(std::move(meta));
  entries_.trim(keep_from);
  while (files_.size() > 1 && files_[1].first() <= keep_from) {
    CO_TRY_VOID(co_await remove_file(0));
  }
  co_return Result<void>{};
}

Task<Result<void>> LogStore::write(std::vector<Entry> entries) {
  if (files_.back().size() >= options_.file_bytes && !files_.back().ends.empty()) {
    const LogId last = written();
    CO_TRY_VOID(co_await sync());
    CO_TRY_VOID(co_await begin_file(last));
  }
  File& file = files_.back();
  std::vector<Bytes> heads;
  std::vector<ByteView> pieces;
  heads.reserve(entries.size());
  pieces.reserve(entries.size() * 2);
  std::uint64_t end = file.size();
  for (const Entry& entry : entries) {
    CHECK(entry.id.index == file.last().next());
    heads.push_back(frame_head(entry, file.segment->durable_size(), file.salt));
    pieces.push_back(heads.back());
    pieces.push_back(*entry.body);
    end += heads.back().size() + entry.body->size();
    file.ends.push_back(end);
    file.epochs.push_back(entry.id.epoch);
  }
  co_return co_await file.segment->append(std::move(pieces));
}

// The newest file first, so that what a crash leaves is a prefix of the log.
Task<Result<void>> LogStore::cut(LogIndex from) {
  CHECK(from >= files_.front().first());
  while (files_.size() > 1 && files_.back().first() >= from) {
    CO_TRY_VOID(co_await remove_file(files_.size() - 1));
  }
  File& file = files_.back();
  const auto keep = static_cast<std::size_t>(from - file.first());
  CHECK(keep <= file.ends.size());
  file.ends.resize(keep);
  file.epochs.resize(keep);
  CO_TRY_VOID(co_await file.segment->truncate(file.size()));
  co_return co_await sync();
}

Task<Result<void>> LogStore::reset(LogId last) {
  for (const File& file : files_) {
    if (last.index < file.previous.index || last.index > file.last()) continue;
    const bool is_here =
        last.index == file.previous.index
            ? file.previous.epoch == last.epoch
            : file.epochs[static_cast<std::size_t>(last.index - file.first())] == last.epoch;
    if (is_here) co_return Result<void>{};
  }
  CO_TRY_VOID(begin_to_give_way());
  while (!files_.empty()) CO_TRY_VOID(co_await remove_file(files_.size() - 1));
  CO_TRY_VOID(co_await begin_file(last));
  co_return has_given_way();
}

Result<void> LogStore::begin_to_give_way() {
  if (options_.disk == nullptr) return {};
  return options_.disk->write_file_atomically(fmt::format("{}/{}", directory_, mark_name), {});
}

Result<void> LogStore::has_given_way() {
  if (options_.disk == nullptr) return {};
  const std::string path = fmt::format("{}/{}", directory_, mark_name);
  TRY(const bool is_there, options_.disk->exists(path));
  if (!is_there) return {};
  TRY_VOID(options_.disk->remove(path));
  return options_.disk->sync_directory(directory_);
}

Task<Result<void>> LogStore::sync() {
  CO_TRY_VOID(co_await files_.back().segment->sync());
  co_return Result<void>{};
}

Task<Result<void>> LogStore::close() {
  Result<void> result;
  for (const File& file : files_) {
    const Result<void> closed = co_await file.segment->close();
    if (result) result = closed;
  }
  co_return result;
}

}  // namespace qlab::consensus
