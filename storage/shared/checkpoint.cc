#include "storage/shared/checkpoint.h"

#include <algorithm>

#include "common/crc32c.h"

namespace qlab::storage::shared {
namespace {

constexpr std::uint32_t checkpoint_magic = 0x516C5343;  // "QlSC"
constexpr std::uint32_t checkpoint_version = 0;
constexpr std::size_t header_bytes = 24;
constexpr std::size_t frame_bytes = 8;  // Length and checksum of a block.
constexpr std::size_t buffer_bytes_max = 1u << 20;
constexpr std::size_t block_bytes_max = 1u << 28;
constexpr std::size_t block_bytes_expected = 32u << 10;
constexpr std::size_t read_bytes = 4u << 20;

std::string checkpoint_path(std::string_view directory) {
  return fmt::format("{}/checkpoint", directory);
}
std::string temporary_path(std::string_view directory) {
  return fmt::format("{}/checkpoint.new", directory);
}

void put_stream(BytesWriter& out, const Stream& stream) {
  out.put(stream.topic.high);
  out.put(stream.topic.low);
  out.put_uvarint(stream.name.size());
  out.put_text(stream.name);
  out.put(stream.start.value());
  out.put(stream.end.value());
  out.put(stream.size_bytes);
  out.put(stream.files);
  out.put(stream.clean_end.value());
  out.put_uvarint(stream.epochs.entries().size());
  for (const EpochCache::Entry& entry : stream.epochs.entries()) {
    out.put(entry.epoch.value());
    out.put(entry.start.value());
  }
  out.put_uvarint(stream.cuts.size());
  for (const Cut& cut : stream.cuts) {
    out.put(cut.from.value());
    out.put(cut.file);
  }
}

void get_stream(BytesReader& in, StreamId id, StreamTable& streams) {
  TopicId topic;
  topic.high = in.get<std::uint64_t>();
  topic.low = in.get<std::uint64_t>();
  const std::string name(as_text(in.get_bytes(in.get_uvarint())));
  if (!in.ok()) return;
  if (streams.find(id)) return in.fail_with("a stream is there twice");
  // Removed, as a frame behind its block says, and made again before this block was written.
  if (const auto namesake = streams.find(name)) streams.forget_name(*namesake);
  Stream& stream = streams.add(id, name, topic);
  stream.is_logged = stream.is_created = true;
  stream.start = Offset{in.get<std::int64_t>()};
  stream.end = Offset{in.get<std::int64_t>()};
  stream.size_bytes = in.get<std::uint64_t>();
  stream.files = in.get<std::uint64_t>();
  stream.clean_end = Offset{in.get<std::int64_t>()};
  const std::uint64_t epochs = in.get_uvarint();
  for (std::uint64_t i = 0; i < epochs && in.ok(); ++i) {
    const LeaderEpoch epoch{in.get<std::int32_t>()};
    stream.epochs.assign(epoch, Offset{in.get<std::int64_t>()});
  }
  const std::uint64_t cuts = in.get_uvarint();
  for (std::uint64_t i = 0; i < cuts && in.ok(); ++i) {
    Cut cut;
    cut.from = Offset{in.get<std::int64_t>()};
    cut.file = in.get<std::uint64_t>();
    stream.cuts.push_back(cut);
  }
}

struct DecodedBlock {
  Position at;
  SlotNumbers slots{};
};

Result<DecodedBlock> decode_block(ByteView bytes, std::size_t index, StreamTable& streams) {
  BytesReader in(bytes);
  DecodedBlock block;
  block.at.segment = in.get<std::uint32_t>();
  block.at.byte = in.get<std::uint32_t>();
  for (std::uint64_t& number : block.slots) number = in.get<std::uint64_t>();
  const auto count = in.get<std::uint16_t>();
  const StreamId first = StreamTable::first_of(index);
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    const auto place = in.get<std::uint16_t>();
    if (place >= StreamTable::block_streams) in.fail_with("a stream lies beyond its block");
    if (in.ok()) get_stream(in, first.plus(place), streams);
  }
  TRY_VOID(in.status());
  return block;
}

// The checkpoint's bytes in order, a few at a time.
class Source {
 public:
  explicit Source(runtime::File& file) : file_(file) {}
  // Exactly `count` bytes, or fewer at the end.
  Task<Result<ByteView>> take(std::size_t count) {
    if (bytes_.size() - at_ < count) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
      at_ = 0;
      while (bytes_.size() < count) {
        CO_TRY(const Bytes more, co_await file_.read(position_, std::max(read_bytes, count)));
        if (more.empty()) break;
        position_ += more.size();
        bytes_.insert(bytes_.end(), more.begin(), more.end());
      }
    }
    const ByteView view = ByteView(bytes_).subspan(at_, std::min(count, bytes_.size() - at_));
    at_ += view.size();
    co_return view;
  }

 private:
  runtime::File& file_;
  Bytes bytes_;
  std::size_t at_ = 0;
  std::uint64_t position_ = 0;
};

Task<Result<LoadedCheckpoint>> load(runtime::File& file, StreamTable& streams) {
  const auto bad = [](std::string_view why) { return fail(Errc::corrupt, "{}", why); };
  Source source(file);
  CO_TRY(const ByteView header, co_await source.take(header_bytes));
  BytesReader in(header);
  const auto magic = in.get<std::uint32_t>();
  const auto version = in.get<std::uint32_t>();
  LoadedCheckpoint loaded;
  loaded.checkpoint.begin.segment = in.get<std::uint32_t>();
  loaded.checkpoint.begin.byte = in.get<std::uint32_t>();
  streams.reserve_ids_below(StreamId{in.get<std::uint32_t>()});
  const auto crc = in.get<std::uint32_t>();
  if (!in.ok() || magic != checkpoint_magic || version != checkpoint_version ||
      crc != crc32c(header.first(header_bytes - 4))) {
    co_return bad("its header is bad");
  }
  while (true) {
    CO_TRY(const ByteView frame, co_await source.take(frame_bytes));
    if (frame.size() < frame_bytes) co_return bad("it ends without its end");
    const auto length = load_big<std::uint32_t>(frame.data());
    const auto sum = load_big<std::uint32_t>(frame.data() + 4);
    if (length == 0) {
      if (sum != static_cast<std::uint32_t>(loaded.slots.size())) {
        co_return bad("a block is missing");
      }
      co_return loaded;
    }
    if (length > block_bytes_max) co_return bad("a block is too long");
    CO_TRY(const ByteView body, co_await source.take(length));
    if (body.size() < length || crc32c(body) != sum) {
      co_return bad(fmt::format("the checksum of block {} does not match", loaded.slots.size()));
    }
    CO_TRY(const DecodedBlock block, decode_block(body, loaded.slots.size(), streams));
    loaded.checkpoint.blocks.push_back(block.at);
    loaded.slots.push_back(block.slots);
  }
}

}  // namespace

Task<Result<void>> CheckpointWriter::open(Position begin, StreamId next_id) {
  const std::string path = temporary_path(directory_);
  CO_TRY_VOID(disk_.remove(path));
  const runtime::OpenOptions options{
      .io_path = runtime::IoPath::blocking, .create = true, .exclusive = false};
  CO_TRY(file_, co_await disk_.open(path, options));
  BytesWriter out;
  out.put(checkpoint_magic);
  out.put(checkpoint_version);
  out.put(begin.segment);
  out.put(begin.byte);
  out.put(next_id.value());
  out.put(crc32c(out.view()));
  buffer_ = out.take();
  co_return Result<void>{};
}

void CheckpointWriter::add(const StreamTable::Block* block, Position now,
                           const SlotNumbers& slots) {
  BytesWriter out;
  out.reserve(block_bytes_expected);
  out.put(std::uint32_t{0});
  out.put(std::uint32_t{0});  // Length and checksum.
  out.put(now.segment);
  out.put(now.byte);
  for (const std::uint64_t number : slots) out.put(number);
  const std::size_t count_at = out.size();
  out.put(std::uint16_t{0});
  std::uint16_t count = 0;
  for (std::size_t i = 0; block && i < block->size(); ++i) {
    const std::optional<Stream>& stream = (*block)[i];
    if (!stream || !stream->is_created) continue;
    out.put(static_cast<std::uint16_t>(i));
    put_stream(out, *stream);
    ++count;
  }
  out.patch(count_at, count);
  const ByteView body = out.view().subspan(frame_bytes);
  out.patch(0, static_cast<std::uint32_t>(body.size()));
  out.patch(4, crc32c(body));
  buffer_.insert(buffer_.end(), out.view().begin(), out.view().end());
  ++blocks_;
}

Task<Result<void>> CheckpointWriter::flush(bool all) {
  if (buffer_.empty() || (!all && buffer_.size() < buffer_bytes_max)) co_return Result<void>{};
  CO_TRY_VOID(co_await file_->write(position_, std::vector<ByteView>(1, buffer_)));
  position_ += buffer_.size();
  buffer_.clear();
  co_return Result<void>{};
}

Task<Result<void>> CheckpointWriter::commit() {
  BytesWriter end;
  end.put(std::uint32_t{0});
  end.put(blocks_);
  buffer_.insert(buffer_.end(), end.view().begin(), end.view().end());
  CO_TRY_VOID(co_await flush(true));
  CO_TRY_VOID(co_await file_->sync());
  const std::unique_ptr<runtime::File> file = std::move(file_);
  CO_TRY_VOID(co_await file->close());
  CO_TRY_VOID(disk_.rename(temporary_path(directory_), checkpoint_path(directory_)));
  co_return disk_.sync_directory(directory_);
}

Task<void> CheckpointWriter::abandon() {
  if (file_) [[maybe_unused]]
    const Result<void> closed = co_await file_->close();
  file_ = nullptr;
  [[maybe_unused]] const Result<void> removed = disk_.remove(temporary_path(directory_));
}

Task<Result<std::optional<LoadedCheckpoint>>> load_checkpoint(runtime::Disk& disk,
                                                              std::string directory,
                                                              StreamTable& streams) {
  const std::string path = checkpoint_path(directory);
  CO_TRY(const bool there, disk.exists(path));
  if (!there) co_return std::optional<LoadedCheckpoint>{};
  const runtime::OpenOptions options{
      .io_path = runtime::IoPath::blocking, .create = false, .exclusive = false};
  CO_TRY(const std::unique_ptr<runtime::File> file, co_await disk.open(path, options));
  Result<LoadedCheckpoint> loaded = co_await load(*file, streams);
  CO_TRY_VOID(co_await file->close());
  if (!loaded) co_return fail(loaded.error().code, "{}: {}", path, loaded.error().context);
  co_return std::optional(std::move(*loaded));
}

}  // namespace qlab::storage::shared
