#pragma once
// The frames of the shared log: what happened to which stream.
//
// A frame is a header of 32 bytes and a payload. Its checksum begins with the salt of the segment
// it is in, so a frame that an earlier life of the same file left behind never passes. Of an
// appended batch the checksum covers the 21 bytes that the batch's own CRC leaves out, and the rest
// is that CRC's: no byte is summed twice.
//
// Layout in docs/formats.md.

#include <compare>
#include <cstdint>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/record_batch.h"

namespace qlab::storage::shared {

// One partition's log within the shared one. Never used twice.
using StreamId = StrongId<struct StreamIdTag, std::uint32_t>;

// A place in the shared log.
struct Position {
  std::uint32_t segment = 0;  // Numbers grow from 1.
  std::uint32_t byte = 0;

  auto operator<=>(const Position&) const = default;
  Position plus(std::size_t bytes) const {
    return {segment, byte + static_cast<std::uint32_t>(bytes)};
  }
};

enum class FrameKind : std::uint8_t {
  begin = 1,   // The first frame of a segment; of no stream.
  create,      // A stream begins: topic id, name.
  remove,      // It ends, with all that is in it.
  append,      // One record batch.
  truncate,    // A Truncation: the end moves back.
  reset,       // A Truncation of everything: the stream begins anew, empty.
  move_start,  // A Truncation in front: the start moves on.
  supersede,   // A Truncation of files only: one settled file replaces older ones.
};

// What the four kinds of that shape say.
struct Truncation {
  Offset offset;                 // The new end or start; 0 for supersede.
  std::uint64_t file = 0;        // Settled files up to this number lose what is cut.
  std::uint64_t size_bytes = 0;  // Of the stream, afterwards.
};

struct Frame {
  FrameKind kind = FrameKind::begin;
  StreamId stream;
  Position durable;  // Known to be durable when this frame was written.
  ByteView payload;

  std::size_t total_bytes() const;
};

inline constexpr std::size_t frame_header_bytes = 32;
inline constexpr std::uint32_t frame_version = 0;

// What a segment's checksums begin with. `salt` is the store's.
std::uint32_t segment_seed(std::uint64_t salt, std::uint32_t segment);

// Appends a frame that is not sealed yet, and returns where its payload begins in `out`.
std::size_t put_frame(Bytes& out, FrameKind kind, StreamId stream, ByteView payload);
// Writes durable position, own position and checksum into the frame at the front of `frame`.
// Returns its length.
std::size_t seal_frame(std::span<std::byte> frame, std::uint32_t seed, Position durable,
                       Position own);

// The frame at the front of `bytes`, which lie at `own`; the CRC of a batch is checked as well.
// Errors: torn, when the frame is longer than `bytes`; corrupt.
Result<Frame> check_frame(ByteView bytes, std::uint32_t seed, Position own);
// The same without the CRC of a batch; fewer bytes do when `bytes` ends within the payload.
Result<Frame> check_frame_header(ByteView bytes, std::uint32_t seed, Position own);
// True when a frame may begin here; cheap.
bool may_be_frame(ByteView bytes);

Bytes encode_truncation(const Truncation& truncation);
Result<Truncation> decode_truncation(ByteView payload);

struct StreamName {
  TopicId topic;
  std::string name;
};
Bytes encode_stream_name(const TopicId& topic, std::string_view name);
Result<StreamName> decode_stream_name(ByteView payload);

// What the first frame of a segment says: where the one before ends, behind which there may be
// prepared space.
Bytes encode_begin(Position previous_end);
Result<Position> decode_begin(ByteView payload);

}  // namespace qlab::storage::shared
