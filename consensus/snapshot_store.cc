#include "consensus/snapshot_store.h"

#include <algorithm>

#include "common/check.h"
#include "common/crc32c.h"
#include "consensus/config.h"

namespace qlab::consensus {
namespace {

constexpr std::uint64_t magic = 0x514C4142534E4150;  // "QLABSNAP"
constexpr std::size_t block_bytes = 256u << 10;
constexpr std::size_t stride = block_bytes + 4;                // A block and its checksum.
constexpr std::size_t header_start_bytes = 8 + 8 + 8 + 8 + 4;  // Up to the length of the config.
constexpr std::string_view file_prefix = "snapshot-";
constexpr std::string_view unfinished_suffix = ".unfinished";

Bytes encode_header(const SnapshotMeta& meta) {
  const Bytes config = encode_config(meta.config);
  BytesWriter out;
  out.put(magic);
  out.put(meta.last.epoch.value());
  out.put(meta.last.index.value());
  out.put(meta.size);
  out.put(static_cast<std::uint32_t>(config.size()));
  out.put_bytes(config);
  out.put(crc32c(out.view()));
  return out.take();
}

struct Header {
  SnapshotMeta meta;
  std::uint64_t bytes = 0;
};

Result<Header> decode_header(ByteView whole) {
  BytesReader in(whole);
  Header header;
  if (in.get<std::uint64_t>() != magic) in.fail_with("it does not begin as a snapshot does");
  header.meta.last.epoch = Epoch{in.get<std::int64_t>()};
  header.meta.last.index = LogIndex{in.get<std::int64_t>()};
  header.meta.size = in.get<std::uint64_t>();
  const auto config_bytes = in.get<std::uint32_t>();
  const ByteView config = in.get_bytes(config_bytes);
  const std::size_t covered = in.position();
  const auto crc = in.get<std::uint32_t>();
  if (in.ok() && crc != crc32c(whole.first(covered))) in.fail_with("its checksum does not match");
  TRY_VOID(in.status());
  TRY(header.meta.config, decode_config(config));
  header.bytes = covered + 4;
  return header;
}

}  // namespace

Task<Result<void>> SnapshotWriter::write_block(std::size_t count) {
  Bytes block(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  BytesWriter crc;
  crc.put(crc32c(block));
  const Bytes checksum = crc.take();
  std::vector<ByteView> pieces;
  pieces.emplace_back(block);
  pieces.emplace_back(checksum);
  CO_TRY_VOID(co_await file_->write(position_, std::move(pieces)));
  position_ += count + checksum.size();
  co_return Result<void>{};
}

Task<Result<void>> SnapshotWriter::add(std::shared_ptr<const Bytes> piece) {
  waiting_.insert(waiting_.end(), piece->begin(), piece->end());
  size_ += piece->size();
  if (file_ == nullptr) co_return Result<void>{};
  while (waiting_.size() >= block_bytes) CO_TRY_VOID(co_await write_block(block_bytes));
  co_return Result<void>{};
}

std::string SnapshotStore::path_of(LogId last) const {
  return fmt::format("{}/{}{:020}-{:020}", directory_, file_prefix, last.epoch.value(),
                     last.index.value());
}

Task<Result<std::unique_ptr<SnapshotStore>>> SnapshotStore::open(runtime::Disk* disk,
                                                                 std::string directory) {
  std::unique_ptr<SnapshotStore> store(new SnapshotStore(disk, std::move(directory)));
  if (disk == nullptr) co_return store;
  CO_TRY(std::vector<std::string> names, disk->list(store->directory_));
  std::erase_if(names, [](const std::string& name) { return !name.starts_with(file_prefix); });
  std::string newest;
  for (const std::string& name : names) {
    if (!name.ends_with(unfinished_suffix)) newest = name;  // Sorted: by epoch, then by index.
  }
  if (!newest.empty()) CO_TRY_VOID(co_await store->adopt(newest));
  for (const std::string& name : names) {
    if (name == newest) continue;
    CO_TRY_VOID(disk->remove(fmt::format("{}/{}", store->directory_, name)));
  }
  co_return store;
}

Task<Result<void>> SnapshotStore::adopt(std::string name) {
  const std::string path = fmt::format("{}/{}", directory_, name);
  const runtime::OpenOptions options{};
  CO_TRY(std::unique_ptr<runtime::File> file, co_await disk_->open(path, options));
  CO_TRY(const Bytes start, co_await file->read(0, header_start_bytes));
  if (start.size() < header_start_bytes) co_return fail(Errc::corrupt, "{} has no header", path);
  const auto config_bytes = load_big<std::uint32_t>(start.data() + header_start_bytes - 4);
  CO_TRY(const Bytes whole, co_await file->read(0, header_start_bytes + config_bytes + 4));
  const auto header = decode_header(whole);
  if (!header) co_return fail(Errc::corrupt, "{}: {}", path, header.error().context);
  if (header->meta.last < newest_.last) co_return co_await file->close();  // Overtaken meanwhile.
  newest_ = header->meta;
  blocks_at_ = header->bytes;
  const std::shared_ptr<runtime::File> old = std::exchange(file_, std::move(file));
  if (old != nullptr && old.use_count() == 1) CO_TRY_VOID(co_await old->close());
  co_return Result<void>{};
}

Task<Result<std::optional<Bytes>>> SnapshotStore::read(LogId last, std::uint64_t position,
                                                       std::size_t count) {
  if (last != newest_.last) co_return std::optional<Bytes>{};
  const std::uint64_t end = std::min(newest_.size, position + count);
  if (position >= end) co_return std::optional<Bytes>(Bytes{});
  if (disk_ == nullptr) {
    const auto at = in_memory_.begin();
    co_return std::optional<Bytes>(
        Bytes(at + static_cast<std::ptrdiff_t>(position), at + static_cast<std::ptrdiff_t>(end)));
  }
  const std::shared_ptr<runtime::File> file = file_;
  const std::uint64_t blocks_at = blocks_at_;
  const std::uint64_t size = newest_.size;
  Bytes found;
  for (std::uint64_t block = position / block_bytes; block * block_bytes < end; ++block) {
    const std::uint64_t start = block * block_bytes;
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(block_bytes, size - start));
    CO_TRY(const Bytes bytes, co_await file->read(blocks_at + block * stride, length + 4));
    const bool good =
        bytes.size() == length + 4 &&
        load_big<std::uint32_t>(bytes.data() + length) == crc32c(ByteView(bytes).first(length));
    if (!good) co_return fail(Errc::corrupt, "{}: block {} is damaged", path_of(last), block);
    const auto from = static_cast<std::ptrdiff_t>(std::max(position, start) - start);
    const auto to = static_cast<std::ptrdiff_t>(std::min(end, start + length) - start);
    found.insert(found.end(), bytes.begin() + from, bytes.begin() + to);
  }
  co_return std::optional<Bytes>(std::move(found));
}

Task<Result<std::unique_ptr<SnapshotWriter>>> SnapshotStore::begin(SnapshotMeta meta,
                                                                   std::string_view purpose) {
  std::string path = fmt::format("{}/{}{}{}", directory_, file_prefix, purpose, unfinished_suffix);
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(std::move(meta), std::move(path)));
  if (disk_ == nullptr) co_return writer;
  runtime::OpenOptions options;
  options.create = true;
  CO_TRY(writer->file_, co_await disk_->open(writer->path_, options));
  CO_TRY_VOID(co_await writer->file_->truncate(0));
  writer->position_ = encode_header(writer->meta_).size();  // Written last, with the size.
  co_return writer;
}

Task<Result<void>> SnapshotStore::finish(std::unique_ptr<SnapshotWriter> writer) {
  writer->meta_.size = writer->size_;
  const LogId last = writer->meta_.last;
  if (disk_ == nullptr) {
    if (last < newest_.last) co_return Result<void>{};
    newest_ = writer->meta_;
    in_memory_ = std::move(writer->waiting_);
    co_return Result<void>{};
  }
  if (!writer->waiting_.empty()) CO_TRY_VOID(co_await writer->write_block(writer->waiting_.size()));
  const Bytes header = encode_header(writer->meta_);
  std::vector<ByteView> pieces(1, header);
  CO_TRY_VOID(co_await writer->file_->write(0, std::move(pieces)));
  CO_TRY_VOID(co_await writer->file_->sync());
  CO_TRY_VOID(co_await writer->file_->close());
  if (last < newest_.last) co_return disk_->remove(writer->path_);
  const std::string old = newest_.last.index > LogIndex{0} ? path_of(newest_.last) : std::string();
  const std::string path = path_of(last);
  CO_TRY_VOID(disk_->rename(writer->path_, path));
  CO_TRY_VOID(disk_->sync_directory(directory_));
  CO_TRY_VOID(co_await adopt(path.substr(directory_.size() + 1)));
  if (!old.empty() && old != path) CO_TRY_VOID(disk_->remove(old));
  co_return Result<void>{};
}

Task<Result<void>> SnapshotStore::close() {
  const std::shared_ptr<runtime::File> file = std::exchange(file_, nullptr);
  if (file == nullptr) co_return Result<void>{};
  co_return co_await file->close();
}

}  // namespace qlab::consensus
