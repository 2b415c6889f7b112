#include "consensus/log_store.h"

#include <limits>

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::consensus {
namespace {

constexpr std::uint64_t magic = 0x514C41424C4F4731;  // "QLABLOG1"
constexpr std::size_t file_header_bytes = 8 + 8 + 4;
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

// A good frame behind `bad` that knows the bytes there to have been durable.
std::optional<Frame> witness(ByteView file, std::size_t bad, std::uint64_t salt) {
  for (std::size_t at = bad + 1; at < file.size(); ++at) {
    auto frame = frame_at(file, at, salt);
    if (frame && frame->durable > bad) return frame;
  }
  return std::nullopt;
}

}  // namespace

Task<Result<std::unique_ptr<LogStore>>> LogStore::open(storage::Engine& engine, std::string path,
                                                       std::uint64_t salt, bool fresh) {
  CO_TRY(auto segment, co_await engine.open(path));
  std::unique_ptr<LogStore> store(new LogStore(std::move(segment)));
  CO_TRY_VOID(co_await store->recover(path, salt, fresh));
  co_return store;
}

Task<Result<void>> LogStore::recover(std::string path, std::uint64_t salt, bool fresh) {
  Bytes file;
  while (file.size() < segment_->size()) {
    CO_TRY(const Bytes piece, co_await segment_->read(file.size(), read_bytes));
    if (piece.empty()) co_return fail(Errc::io, "{} ends before its size", path);
    file.insert(file.end(), piece.begin(), piece.end());
  }
  const bool whole = file.size() >= file_header_bytes &&
                     load_big<std::uint64_t>(file.data()) == magic &&
                     load_big<std::uint32_t>(file.data() + 16) == crc32c(ByteView(file).first(16));
  if (!whole) {
    if (!fresh) co_return fail(Errc::corrupt, "the header of {} is damaged", path);
    co_return co_await begin_file(salt);
  }
  salt_ = load_big<std::uint64_t>(file.data() + 8);
  CO_TRY(const std::uint64_t good, scan(file, path));
  bytes_cut_ = file.size() - good;
  if (bytes_cut_ > 0) {
    CO_TRY_VOID(co_await segment_->truncate(good));
  }
  co_return co_await sync();  // What was read may have been in the page cache only.
}

Task<Result<void>> LogStore::begin_file(std::uint64_t salt) {
  salt_ = salt;
  CO_TRY_VOID(co_await segment_->truncate(0));
  BytesWriter header;
  header.put(magic);
  header.put(salt);
  header.put(crc32c(header.view()));
  std::vector<ByteView> pieces(1, header.view());
  CO_TRY_VOID(co_await segment_->append(std::move(pieces)));
  co_return co_await sync();
}

// Takes in all good frames. Returns where they end.
Result<std::uint64_t> LogStore::scan(ByteView file, std::string_view path) {
  std::size_t at = file_header_bytes;
  while (at < file.size()) {
    auto frame = frame_at(file, at, salt_);
    const LogId last = entries_.last();
    if (frame &&
        (frame->entry.id.index != last.index.next() || frame->entry.id.epoch < last.epoch)) {
      return fail(Errc::corrupt, "{} has entry {}/{} behind {}/{} at byte {}", path,
                  frame->entry.id.epoch, frame->entry.id.index, last.epoch, last.index, at);
    }
    if (!frame) {
      if (const auto later = witness(file, at, salt_)) {
        return fail(Errc::corrupt, "{} is damaged at byte {}, which was durable when entry {} came",
                    path, at, later->entry.id.index);
      }
      break;
    }
    entries_.append(std::move(frame->entry));
    at += frame->bytes;
    ends_.push_back(at);
  }
  return at;
}

void LogStore::append(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) entries_.append(entry);
}

Task<Result<void>> LogStore::write(std::vector<Entry> entries) {
  std::vector<Bytes> heads;
  std::vector<ByteView> pieces;
  heads.reserve(entries.size());
  pieces.reserve(entries.size() * 2);
  std::uint64_t end = segment_->size();
  for (const Entry& entry : entries) {
    CHECK(entry.id.index.value() == static_cast<std::int64_t>(ends_.size()) + 1);
    heads.push_back(frame_head(entry, segment_->durable_size(), salt_));
    pieces.push_back(heads.back());
    pieces.push_back(*entry.body);
    end += heads.back().size() + entry.body->size();
    ends_.push_back(end);
  }
  co_return co_await segment_->append(std::move(pieces));
}

Task<Result<void>> LogStore::cut(LogIndex from) {
  const auto keep = static_cast<std::size_t>(from.value() - 1);
  CHECK(keep < ends_.size());
  ends_.resize(keep);
  co_return co_await segment_->truncate(keep == 0 ? file_header_bytes : ends_.back());
}

Task<Result<void>> LogStore::sync() {
  CO_TRY_VOID(co_await segment_->sync());
  co_return Result<void>{};
}

Task<Result<void>> LogStore::close() {
  return segment_->close();
}

}  // namespace qlab::consensus
