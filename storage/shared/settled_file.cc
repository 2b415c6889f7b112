#include "storage/shared/settled_file.h"

#include <algorithm>
#include <charconv>

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::storage::shared {
namespace {

constexpr std::string_view settled_prefix = "settled-";
constexpr std::size_t block_entries = 128;
constexpr std::size_t block_header_bytes = 12;  // Position of the first batch, checksum.
constexpr std::size_t entry_bytes = 28;
constexpr std::size_t block_bytes = block_header_bytes + block_entries * entry_bytes;
constexpr std::size_t index_entry_bytes = 12;
constexpr std::size_t buffer_bytes_max = 1u << 20;

std::uint64_t blocks_of(std::uint64_t entries) {
  return (entries + block_entries - 1) / block_entries;
}
std::uint64_t footer_bytes(std::uint64_t entries) {
  return blocks_of(entries) * block_header_bytes + entries * entry_bytes;
}

Result<FooterBlock> decode_block(ByteView bytes) {
  BytesReader in(bytes);
  auto position = in.get<std::uint64_t>();
  const auto crc = in.get<std::uint32_t>();
  if (in.ok() && crc != crc32c(bytes.subspan(block_header_bytes), crc32c(bytes.first(8)))) {
    in.fail_with("the checksum does not match");
  }
  FooterBlock block;
  while (in.ok() && in.left() > 0) {
    SettledBatch batch;
    batch.stream = StreamId{in.get<std::uint32_t>()};
    batch.base = Offset{in.get<std::int64_t>()};
    batch.last_offset_delta = in.get<std::int32_t>();
    batch.bytes = in.get<std::uint32_t>();
    batch.max_timestamp = in.get<std::int64_t>();
    batch.position = position;
    position += batch.bytes;
    block.push_back(batch);
  }
  TRY_VOID(in.status());
  return block;
}

// The last entry that does not lie behind (stream, offset), or the first.
template <class Range, class Key>
std::size_t place_of(const Range& range, StreamId stream, Offset offset, Key key) {
  const auto behind = std::partition_point(range.begin(), range.end(), [&](const auto& entry) {
    return key(entry) <= std::pair(stream, offset);
  });
  return behind == range.begin() ? 0 : static_cast<std::size_t>(behind - range.begin()) - 1;
}

}  // namespace

std::string settled_path(std::string_view directory, std::uint64_t number) {
  return fmt::format("{}/{}{:010}", directory, settled_prefix, number);
}

std::optional<std::uint64_t> settled_number(std::string_view name) {
  if (!name.starts_with(settled_prefix)) return {};
  name.remove_prefix(settled_prefix.size());
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || stop != name.data() + name.size()) return {};
  return number;
}

FooterCache::BlockPtr FooterCache::find(std::uint64_t file, std::size_t block) {
  const auto place = places_.find(file << 32 | block);
  if (place == places_.end()) return nullptr;
  used_.splice(used_.begin(), used_, place->second);
  return place->second->entries;
}

void FooterCache::add(std::uint64_t file, std::size_t block, BlockPtr entries) {
  const std::uint64_t key = file << 32 | block;
  if (places_.contains(key)) return;
  used_.push_front({key, std::move(entries)});
  places_.emplace(key, used_.begin());
  while (used_.size() > blocks_max_) {
    places_.erase(used_.back().key);
    used_.pop_back();
  }
}

SettledFile::SettledFile(std::unique_ptr<Segment> data, std::string path, SettledFileEntry entry,
                         std::vector<std::pair<StreamId, Offset>> index)
    : data_(std::move(data)), path_(std::move(path)), entry_(entry), index_(std::move(index)) {}

Task<Result<SettledFilePtr>> SettledFile::open(Engine& engine, std::string directory,
                                               SettledFileEntry entry) {
  std::string path = settled_path(directory, entry.number);
  CO_TRY(std::unique_ptr<Segment> data, co_await engine.open(path));
  const std::uint64_t index_at = entry.footer_at + footer_bytes(entry.entries);
  const std::size_t index_bytes = blocks_of(entry.entries) * index_entry_bytes;
  if (data->size() < index_at + index_bytes + 4) {
    const std::uint64_t size = data->size();
    CO_TRY_VOID(co_await data->close());
    co_return fail(Errc::corrupt, "{} has {} bytes, and its footer ends at {}", path, size,
                   index_at + index_bytes + 4);
  }
  auto read = co_await data->read(index_at, index_bytes + 4);
  if (!read) co_return fail(std::move(read).error());
  const Bytes bytes = std::move(*read);
  const auto crc = load_big<std::uint32_t>(bytes.data() + index_bytes);
  if (crc != crc32c(ByteView(bytes).first(index_bytes))) {
    CO_TRY_VOID(co_await data->close());
    co_return fail(Errc::corrupt, "{} at position {}: the checksum of the index does not match",
                   path, index_at);
  }
  BytesReader in(ByteView(bytes).first(index_bytes));
  std::vector<std::pair<StreamId, Offset>> index(blocks_of(entry.entries));
  for (auto& [stream, base] : index) {
    stream = StreamId{in.get<std::uint32_t>()};
    base = Offset{in.get<std::int64_t>()};
  }
  co_return std::make_shared<SettledFile>(std::move(data), std::move(path), entry,
                                          std::move(index));
}

Task<Result<FooterCache::BlockPtr>> SettledFile::block(std::size_t index, FooterCache& cache) {
  if (auto there = cache.find(number(), index)) co_return there;
  const std::uint64_t at = entry_.footer_at + index * block_bytes;
  const std::uint64_t left = entry_.entries - index * block_entries;
  const std::size_t bytes =
      block_header_bytes + std::min<std::uint64_t>(left, block_entries) * entry_bytes;
  CO_TRY(const Bytes read, co_await data_->read(at, bytes));
  Result<FooterBlock> block = decode_block(read);
  if (!block || read.size() != bytes) {
    co_return fail(Errc::corrupt, "{} at position {}: a bad footer block: {}", path_, at,
                   block ? "it is cut short" : block.error().context);
  }
  auto shared = std::make_shared<const FooterBlock>(std::move(*block));
  cache.add(number(), index, shared);
  co_return shared;
}

Task<Result<std::vector<SettledBatch>>> SettledFile::find(StreamId stream, Offset offset,
                                                          std::size_t count, FooterCache& cache) {
  std::vector<SettledBatch> found;
  std::size_t at = place_of(index_, stream, offset, [](const auto& entry) { return entry; });
  bool first = true;
  while (at < index_.size() && found.size() < count && index_[at].first <= stream) {
    CO_TRY(const FooterCache::BlockPtr entries, co_await block(at, cache));
    std::size_t i = first ? place_of(*entries, stream, offset,
                                     [](const SettledBatch& batch) {
                                       return std::pair(batch.stream, batch.base);
                                     })
                          : 0;
    for (; i < entries->size() && found.size() < count; ++i) {
      const SettledBatch& batch = (*entries)[i];
      if (batch.stream > stream) co_return found;
      if (batch.stream == stream && batch.next() > offset) found.push_back(batch);
    }
    first = false;
    ++at;
  }
  co_return found;
}

void SettledWriter::add(SettledBatch batch, ByteView bytes) {
  if (entries_ % block_entries == 0) {
    end_block();
    block_.put(position_);
    block_.put(std::uint32_t{0});  // Checksum, when the block is full.
    index_.emplace_back(batch.stream, batch.base);
  }
  block_.put(batch.stream.value());
  block_.put(batch.base.value());
  block_.put(batch.last_offset_delta);
  block_.put(batch.bytes);
  block_.put(batch.max_timestamp);
  CHECK(bytes.size() == batch.bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  position_ += bytes.size();
  ++entries_;
}

void SettledWriter::end_block() {
  if (block_.size() == 0) return;
  const ByteView view = block_.view();
  block_.patch(8, crc32c(view.subspan(block_header_bytes), crc32c(view.first(8))));
  footer_.insert(footer_.end(), view.begin(), view.end());
  block_.take();
}

bool SettledWriter::is_full() const {
  return buffer_.size() >= buffer_bytes_max;
}

Task<Result<void>> SettledWriter::flush() {
  if (buffer_.empty()) co_return Result<void>{};
  CO_TRY_VOID(co_await data_->append(std::vector<ByteView>(1, buffer_)));
  buffer_.clear();
  co_return Result<void>{};
}

Task<Result<SettledFilePtr>> SettledWriter::finish(std::uint8_t slot) {
  end_block();
  CO_TRY_VOID(co_await flush());
  BytesWriter index;
  for (const auto& [stream, base] : index_) {
    index.put(stream.value());
    index.put(base.value());
  }
  index.put(crc32c(index.view()));
  std::vector<ByteView> pieces;
  if (!footer_.empty()) pieces.emplace_back(footer_);
  pieces.emplace_back(index.view());
  CO_TRY_VOID(co_await data_->append(std::move(pieces)));
  CO_TRY_VOID(co_await data_->sync());
  const SettledFileEntry entry{.slot = slot,
                               .number = number_,
                               .footer_at = position_,
                               .entries = entries_,
                               .bytes = data_->size()};
  co_return std::make_shared<SettledFile>(std::move(data_), path_, entry, std::move(index_));
}

Task<void> SettledWriter::abandon(Engine& engine) {
  // What is left of it goes at the next start at the latest.
  if (data_) [[maybe_unused]]
    const Result<void> closed = co_await data_->close();
  [[maybe_unused]] const Result<void> removed = engine.remove(path_);
}

}  // namespace qlab::storage::shared
