#include "storage/shared/checkpoint.h"

#include <algorithm>

#include "common/crc32c.h"

namespace qlab::storage::shared {
namespace {

constexpr std::uint32_t checkpoint_magic = 0x516C5343;  // "QlSC"
constexpr std::uint32_t checkpoint_version = 1;
constexpr std::size_t header_bytes = 24;
constexpr std::size_t frame_bytes = 8;  // Length and checksum of a block.
constexpr std::size_t write_bytes = 1u << 20;
constexpr std::size_t block_bytes_max = 1u << 28;
constexpr std::size_t block_bytes_expected = 16u << 10;
constexpr std::size_t read_bytes = 4u << 20;

std::string checkpoint_path(std::string_view directory) {
  return fmt::format("{}/checkpoint", directory);
}
std::string temporary_path(std::string_view directory) {
  return fmt::format("{}/checkpoint.new", directory);
}

// The topics of a block's streams: each is written out once, and is a number from there on.
using Topics = std::vector<TopicId>;

void put_topic(BytesWriter& out, const TopicId& topic, Topics& topics) {
  const auto known = std::find(topics.begin(), topics.end(), topic);
  out.put_uvarint(static_cast<std::uint64_t>(known - topics.begin()));
  if (known != topics.end()) return;
  out.put(topic.high);
  out.put(topic.low);
  topics.push_back(topic);
}

TopicId get_topic(BytesReader& in, Topics& topics) {
  const std::uint64_t number = in.get_uvarint();
  if (number < topics.size()) return topics[number];
  if (number > topics.size()) in.fail_with("a topic is not there");
  topics.push_back({in.get<std::uint64_t>(), in.get<std::uint64_t>()});
  return topics.back();
}

// Requires: offset >= 0, as all that are stored.
void put_offset(BytesWriter& out, Offset offset) {
  out.put_uvarint(static_cast<std::uint64_t>(offset.value()));
}

Offset get_offset(BytesReader& in) {
  return Offset{static_cast<std::int64_t>(in.get_uvarint())};
}

void put_stream(BytesWriter& out, const Stream& stream, Topics& topics) {
  put_topic(out, stream.topic, topics);
  out.put_uvarint(stream.name.size());
  out.put_text(stream.name);
  put_offset(out, stream.start);
  put_offset(out, stream.end);
  out.put_uvarint(stream.size_bytes);
  out.put_uvarint(stream.files);
  put_offset(out, stream.clean_end);
  out.put_uvarint(stream.epochs.entries().size());
  for (const EpochCache::Entry& entry : stream.epochs.entries()) {
    out.put_uvarint(static_cast<std::uint64_t>(entry.epoch.value()));
    put_offset(out, entry.start);
  }
  out.put_uvarint(stream.cuts.size());
  for (const Cut& cut : stream.cuts) {
    put_offset(out, cut.from);
    out.put_uvarint(cut.file);
  }
}

void get_stream(BytesReader& in, StreamId id, Topics& topics, StreamTable& streams) {
  const TopicId topic = get_topic(in, topics);
  const std::string name(as_text(in.get_bytes(in.get_uvarint())));
  if (!in.ok()) return;
  if (streams.find(id)) return in.fail_with("a stream is there twice");
  // Removed, as a frame behind its block says, and made again before this block was written.
  if (const auto namesake = streams.find(name)) streams.forget_name(*namesake);
  Stream& stream = streams.add(id, name, topic);
  stream.is_logged = stream.is_created = true;
  stream.start = get_offset(in);
  stream.end = get_offset(in);
  stream.size_bytes = in.get_uvarint();
  stream.files = in.get_uvarint();
  stream.clean_end = get_offset(in);
  const std::uint64_t epochs = in.get_uvarint();
  for (std::uint64_t i = 0; i < epochs && in.ok(); ++i) {
    const LeaderEpoch epoch{static_cast<std::int32_t>(in.get_uvarint())};
    stream.epochs.assign(epoch, get_offset(in));
  }
  const std::uint64_t cuts = in.get_uvarint();
  for (std::uint64_t i = 0; i < cuts && in.ok(); ++i) {
    Cut cut;
    cut.from = get_offset(in);
    cut.file = in.get_uvarint();
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
  Topics topics;
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    const auto place = in.get<std::uint16_t>();
    if (place >= StreamTable::block_streams) in.fail_with("a stream lies beyond its block");
    if (in.ok()) get_stream(in, first.plus(place), topics, streams);
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

// Past the page cache, where that can be: it is much, and read once.
Task<Result<std::unique_ptr<runtime::File>>> open_file(runtime::Disk& disk, std::string path,
                                                       bool create) {
  runtime::OpenOptions options{
      .io_path = runtime::IoPath::direct, .create = create, .exclusive = false};
  auto file = co_await disk.open(path, options);
  if (!file && file.error().code == Errc::unsupported) {
    options.io_path = runtime::IoPath::blocking;
    file = co_await disk.open(path, options);
  }
  co_return file;
}

}  // namespace

Task<Result<void>> CheckpointWriter::open(Position begin, StreamId next_id) {
  const std::string path = temporary_path(directory_);
  CO_TRY_VOID(disk_.remove(path));
  CO_TRY(out_, disk_.make_buffer(write_bytes));
  CO_TRY(file_, co_await open_file(disk_, path, true));
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
  Topics topics;
  for (std::size_t i = 0; block && i < block->size(); ++i) {
    const Stream& stream = (*block)[i];
    if (!stream.is_created) continue;
    out.put(static_cast<std::uint16_t>(i));
    put_stream(out, stream, topics);
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
  const std::size_t rest = buffer_.size() % runtime::direct_alignment;
  // Zeros behind the end mean nothing.
  if (all && rest > 0) buffer_.resize(buffer_.size() + runtime::direct_alignment - rest);
  std::size_t at = 0;
  while (buffer_.size() - at >= write_bytes || (all && at < buffer_.size())) {
    const std::size_t count = std::min(write_bytes, buffer_.size() - at);
    const std::span<std::byte> out = out_->bytes().first(count);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
    CO_TRY_VOID(co_await file_->write(position_, std::vector<ByteView>(1, out)));
    position_ += count;
    at += count;
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
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
  CO_TRY(const std::unique_ptr<runtime::File> file, co_await open_file(disk, path, false));
  Result<LoadedCheckpoint> loaded = co_await load(*file, streams);
  CO_TRY_VOID(co_await file->close());
  if (!loaded) co_return fail(loaded.error().code, "{}: {}", path, loaded.error().context);
  co_return std::optional(std::move(*loaded));
}

}  // namespace qlab::storage::shared
