#include "storage/shared/frame.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "common/crc32c.h"

namespace qlab::storage::shared {
namespace {

constexpr std::uint32_t frame_magic = 0x516C5746;  // "QlWF"

// Where the fields of the header begin.
constexpr std::size_t crc_at = 4;
constexpr std::size_t length_at = 8;
constexpr std::size_t kind_at = 12;
constexpr std::size_t stream_at = 16;
constexpr std::size_t durable_at = 20;
constexpr std::size_t own_at = 28;

// How much of a frame its own checksum covers.
std::size_t covered_bytes(FrameKind kind, std::size_t payload_bytes) {
  const std::size_t covered =
      kind == FrameKind::append ? std::min(payload_bytes, batch_crc_start) : payload_bytes;
  return frame_header_bytes + covered;
}

std::uint32_t sum_of(ByteView covered, std::uint32_t seed) {
  return crc32c(covered.subspan(length_at), seed);
}

}  // namespace

std::size_t Frame::total_bytes() const {
  return frame_header_bytes + payload.size();
}

std::uint32_t segment_seed(std::uint64_t salt, std::uint32_t segment) {
  std::array<std::byte, 12> bytes{};
  store_big(bytes.data(), salt);
  store_big(bytes.data() + 8, segment);
  return crc32c(bytes);
}

std::size_t put_frame(Bytes& out, FrameKind kind, StreamId stream, ByteView payload) {
  std::array<std::byte, frame_header_bytes> header{};
  store_big(header.data(), frame_magic);
  store_big(header.data() + length_at, static_cast<std::uint32_t>(payload.size()));
  header[kind_at] = static_cast<std::byte>(kind);
  store_big(header.data() + stream_at, stream.value());
  out.insert(out.end(), header.begin(), header.end());
  const std::size_t at = out.size();
  out.insert(out.end(), payload.begin(), payload.end());
  return at;
}

std::size_t seal_frame(std::span<std::byte> frame, std::uint32_t seed, Position durable,
                       Position own) {
  const auto payload_bytes = load_big<std::uint32_t>(frame.data() + length_at);
  const auto kind = static_cast<FrameKind>(frame[kind_at]);
  store_big(frame.data() + durable_at, durable.segment);
  store_big(frame.data() + durable_at + 4, durable.byte);
  store_big(frame.data() + own_at, own.byte);
  const std::uint32_t sum = sum_of(frame.first(covered_bytes(kind, payload_bytes)), seed);
  store_big(frame.data() + crc_at, sum);
  return frame_header_bytes + payload_bytes;
}

bool may_be_frame(ByteView bytes) {
  return bytes.size() >= frame_header_bytes && load_big<std::uint32_t>(bytes.data()) == frame_magic;
}

Result<Frame> check_frame_header(ByteView bytes, std::uint32_t seed, Position own) {
  if (bytes.size() < frame_header_bytes) {
    return fail(Errc::torn, "a frame header has {} bytes; {} are here", frame_header_bytes,
                bytes.size());
  }
  if (!may_be_frame(bytes)) return fail(Errc::corrupt, "no frame begins here");
  const std::size_t payload_bytes = load_big<std::uint32_t>(bytes.data() + length_at);
  const auto kind = static_cast<FrameKind>(bytes[kind_at]);
  const std::size_t covered = covered_bytes(kind, payload_bytes);
  if (covered > bytes.size()) {
    return fail(Errc::torn, "a frame has {} bytes; {} are here", frame_header_bytes + payload_bytes,
                bytes.size());
  }
  const auto stored = load_big<std::uint32_t>(bytes.data() + crc_at);
  const std::uint32_t sum = sum_of(bytes.first(covered), seed);
  if (stored != sum) {
    return fail(Errc::corrupt, "a frame has CRC {:#010x}; its bytes give {:#010x}", stored, sum);
  }
  const auto at = load_big<std::uint32_t>(bytes.data() + own_at);
  if (at != own.byte) return fail(Errc::corrupt, "a frame says that it is at {}", at);
  Frame frame;
  frame.kind = kind;
  frame.stream = StreamId{load_big<std::uint32_t>(bytes.data() + stream_at)};
  frame.durable = {load_big<std::uint32_t>(bytes.data() + durable_at),
                   load_big<std::uint32_t>(bytes.data() + durable_at + 4)};
  frame.payload =
      bytes.subspan(frame_header_bytes, std::min(payload_bytes, bytes.size() - frame_header_bytes));
  return frame;
}

Result<Frame> check_frame(ByteView bytes, std::uint32_t seed, Position own) {
  TRY(const Frame frame, check_frame_header(bytes, seed, own));
  const std::size_t payload_bytes = load_big<std::uint32_t>(bytes.data() + length_at);
  if (frame.payload.size() < payload_bytes) {
    return fail(Errc::torn, "a frame has {} bytes; {} are here", frame_header_bytes + payload_bytes,
                bytes.size());
  }
  if (frame.kind == FrameKind::append) {
    TRY(const BatchHeader header, check_batch(frame.payload));
    if (header.total_bytes() != payload_bytes) {
      return fail(Errc::corrupt, "a frame of {} bytes holds a batch of {}", payload_bytes,
                  header.total_bytes());
    }
  }
  return frame;
}

Bytes encode_truncation(const Truncation& truncation) {
  BytesWriter out;
  out.put(truncation.offset.value());
  out.put(truncation.file);
  out.put(truncation.size_bytes);
  return out.take();
}

Result<Truncation> decode_truncation(ByteView payload) {
  BytesReader in(payload);
  Truncation truncation;
  truncation.offset = Offset{in.get<std::int64_t>()};
  truncation.file = in.get<std::uint64_t>();
  truncation.size_bytes = in.get<std::uint64_t>();
  TRY_VOID(in.status());
  return truncation;
}

Bytes encode_stream_name(const TopicId& topic, std::string_view name) {
  BytesWriter out;
  out.put(topic.high);
  out.put(topic.low);
  out.put_text(name);
  return out.take();
}

Result<StreamName> decode_stream_name(ByteView payload) {
  BytesReader in(payload);
  StreamName named;
  named.topic.high = in.get<std::uint64_t>();
  named.topic.low = in.get<std::uint64_t>();
  named.name = as_text(in.get_bytes(in.left()));
  TRY_VOID(in.status());
  return named;
}

Bytes encode_begin(Position previous_end) {
  BytesWriter out;
  out.put(frame_version);
  out.put(previous_end.segment);
  out.put(previous_end.byte);
  return out.take();
}

Result<Position> decode_begin(ByteView payload) {
  BytesReader in(payload);
  const auto version = in.get<std::uint32_t>();
  if (version != frame_version) in.fail_with("the version of a segment is unknown");
  Position previous_end;
  previous_end.segment = in.get<std::uint32_t>();
  previous_end.byte = in.get<std::uint32_t>();
  TRY_VOID(in.status());
  return previous_end;
}

}  // namespace qlab::storage::shared
