#include "common/compression.h"

#include <algorithm>
#include <array>
#include <memory>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

namespace qlab {
namespace {

constexpr std::size_t output_step = 64u << 10;  // Bytes by which an output of unknown size grows.

// An output of unknown size, below a bound.
class BoundedOutput {
 public:
  explicit BoundedOutput(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Room for more, behind what is there; one byte beyond the bound tells a bomb from a full house.
  std::span<std::byte> room() {
    const std::size_t room = std::min(output_step, bytes_max_ + 1 - used_);
    bytes_.resize(used_ + room);
    return std::span(bytes_).subspan(used_);
  }
  // Errors: corrupt, beyond the bound.
  Result<void> use(std::size_t count) {
    used_ += count;
    if (used_ <= bytes_max_) return {};
    return fail(Errc::corrupt, "compressed records stand for more than {} bytes", bytes_max_);
  }
  Bytes take() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  const std::size_t bytes_max_;
  std::size_t used_ = 0;  // used_ <= bytes_.size()
  Bytes bytes_;
};

tl::unexpected<Error> malformed(std::string_view codec, std::string_view why) {
  return fail(Errc::corrupt, "records compressed with {} are malformed: {}", codec, why);
}

// zlib's stream keeps no constness and takes its lengths in 32 bits.
Bytef* zlib_bytes(const std::byte* bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes));
}

constexpr int gzip_window = 15 + 16;  // The largest window, in a gzip header.

Result<Bytes> gzip_compress(ByteView bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Errc::invalid, "zlib refuses to compress");
  }
  Bytes out(deflateBound(&stream, bytes.size()));
  stream.next_in = zlib_bytes(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = zlib_bytes(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int done = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (done != Z_STREAM_END) return fail(Errc::invalid, "zlib does not compress: {}", done);
  return out;
}

struct InflateEnd {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

Result<Bytes> gzip_decompress(ByteView bytes, std::size_t bytes_max) {
  z_stream stream{};
  if (inflateInit2(&stream, gzip_window) != Z_OK) return malformed("gzip", "zlib refuses");
  const std::unique_ptr<z_stream, InflateEnd> owner(&stream);
  stream.next_in = zlib_bytes(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  BoundedOutput out(bytes_max);
  while (true) {
    const std::span<std::byte> room = out.room();
    stream.next_out = zlib_bytes(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    const int done = inflate(&stream, Z_NO_FLUSH);
    TRY_VOID(out.use(room.size() - stream.avail_out));
    if (done == Z_STREAM_END && stream.avail_in == 0) return out.take();
    if (done == Z_STREAM_END) {
      inflateReset(&stream);  // A gzip file may hold several members, one after the other.
    } else if (done != Z_OK) {
      return malformed("gzip", stream.msg != nullptr ? stream.msg : "they end too early");
    }
  }
}

// snappy-java: a magic, two versions, and blocks, each behind its length in 32 bits.
constexpr std::array<std::uint8_t, 8> snappy_magic{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t snappy_header_bytes = 16;
constexpr std::size_t snappy_block_bytes = 32u << 10;

Result<Bytes> snappy_compress(ByteView bytes) {
  BytesWriter out;
  for (const std::uint8_t each : snappy_magic) out.put(each);
  out.put<std::int32_t>(1);  // Version, and
  out.put<std::int32_t>(1);  // the least one that reads it.
  while (!bytes.empty()) {
    const ByteView block = bytes.first(std::min(bytes.size(), snappy_block_bytes));
    std::string compressed;
    snappy::Compress(as_text(block).data(), block.size(), &compressed);
    out.put(static_cast<std::int32_t>(compressed.size()));
    out.put_text(compressed);
    bytes = bytes.subspan(block.size());
  }
  return out.take();
}

Result<void> snappy_block(ByteView block, std::size_t bytes_max, Bytes& out) {
  const std::string_view text = as_text(block);
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(text.data(), text.size(), &size)) {
    return malformed("snappy", "a block has no length");
  }
  if (size > bytes_max - out.size()) {
    return fail(Errc::corrupt, "compressed records stand for more than {} bytes", bytes_max);
  }
  // The length is only a claim; a block of a few bytes must not make us take gigabytes.
  if (!snappy::IsValidCompressedBuffer(text.data(), text.size())) {
    return malformed("snappy", "a block does not decode");
  }
  const std::size_t at = out.size();
  out.resize(at + size);
  if (!snappy::RawUncompress(text.data(), text.size(), reinterpret_cast<char*>(out.data() + at))) {
    return malformed("snappy", "a block does not decode");
  }
  return {};
}

Result<Bytes> snappy_decompress(ByteView bytes, std::size_t bytes_max) {
  Bytes out;
  const auto is_byte = [](std::byte a, std::uint8_t b) { return std::to_integer<int>(a) == b; };
  const bool framed =
      bytes.size() >= snappy_header_bytes &&
      std::equal(snappy_magic.begin(), snappy_magic.end(), bytes.begin(),
                 [&](std::uint8_t wanted, std::byte there) { return is_byte(there, wanted); });
  if (!framed) {
    TRY_VOID(snappy_block(bytes, bytes_max, out));
    return out;
  }
  BytesReader in(bytes.subspan(snappy_header_bytes));
  while (in.left() > 0) {
    const std::int32_t length = in.get<std::int32_t>();
    if (!in.ok() || length < 0 || static_cast<std::size_t>(length) > in.left()) {
      return malformed("snappy", "a block is longer than what is there");
    }
    TRY_VOID(snappy_block(in.get_bytes(static_cast<std::size_t>(length)), bytes_max, out));
  }
  return out;
}

Result<Bytes> lz4_compress(ByteView bytes) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;  // Java's reader knows no other.
  Bytes out(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  if (LZ4F_isError(size)) return fail(Errc::invalid, "lz4: {}", LZ4F_getErrorName(size));
  out.resize(size);
  return out;
}

struct Lz4Free {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Result<Bytes> lz4_decompress(ByteView bytes, std::size_t bytes_max) {
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION))) {
    return malformed("lz4", "the library refuses");
  }
  const std::unique_ptr<LZ4F_dctx, Lz4Free> context(made);
  BoundedOutput out(bytes_max);
  std::size_t hint = 1;  // 0 at the end of a frame.
  bool filled = false;   // The last call used all the room, so there may be more.
  while (!bytes.empty() || filled) {
    const std::span<std::byte> room = out.room();
    std::size_t made_bytes = room.size();
    std::size_t used = bytes.size();
    hint = LZ4F_decompress(context.get(), room.data(), &made_bytes, bytes.data(), &used, nullptr);
    if (LZ4F_isError(hint)) return malformed("lz4", LZ4F_getErrorName(hint));
    TRY_VOID(out.use(made_bytes));
    filled = made_bytes == room.size() && hint != 0;
    bytes = bytes.subspan(used);
  }
  if (hint != 0) return malformed("lz4", "they end too early");
  return out.take();
}

Result<Bytes> zstd_compress(ByteView bytes) {
  Bytes out(ZSTD_compressBound(bytes.size()));
  const std::size_t size =
      ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) return fail(Errc::invalid, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

struct ZstdFree {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

Result<Bytes> zstd_decompress(ByteView bytes, std::size_t bytes_max) {
  const std::unique_ptr<ZSTD_DStream, ZstdFree> stream(ZSTD_createDStream());
  if (!stream) return malformed("zstd", "the library refuses");
  BoundedOutput out(bytes_max);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::size_t hint = 1;  // 0 at the end of a frame.
  bool filled = false;   // The last call used all the room, so there may be more.
  while (in.pos < in.size || filled) {
    const std::span<std::byte> room = out.room();
    ZSTD_outBuffer made{room.data(), room.size(), 0};
    hint = ZSTD_decompressStream(stream.get(), &made, &in);
    if (ZSTD_isError(hint)) return malformed("zstd", ZSTD_getErrorName(hint));
    TRY_VOID(out.use(made.pos));
    filled = made.pos == made.size && hint != 0;
  }
  if (hint != 0) return malformed("zstd", "they end too early");
  return out.take();
}

}  // namespace

Result<Bytes> compress(Codec codec, ByteView bytes) {
  switch (codec) {
    case Codec::none:
      return Bytes(bytes.begin(), bytes.end());
    case Codec::gzip:
      return gzip_compress(bytes);
    case Codec::snappy:
      return snappy_compress(bytes);
    case Codec::lz4:
      return lz4_compress(bytes);
    case Codec::zstd:
      return zstd_compress(bytes);
  }
  return fail(Errc::unsupported, "codec {} is unknown; 0 to 4 are known", static_cast<int>(codec));
}

Result<Bytes> decompress(Codec codec, ByteView bytes, std::size_t bytes_max) {
  switch (codec) {
    case Codec::none:
      if (bytes.size() <= bytes_max) return Bytes(bytes.begin(), bytes.end());
      return fail(Errc::corrupt, "records take {} bytes, and {} may be", bytes.size(), bytes_max);
    case Codec::gzip:
      return gzip_decompress(bytes, bytes_max);
    case Codec::snappy:
      return snappy_decompress(bytes, bytes_max);
    case Codec::lz4:
      return lz4_decompress(bytes, bytes_max);
    case Codec::zstd:
      return zstd_decompress(bytes, bytes_max);
  }
  return fail(Errc::unsupported, "codec {} is unknown; 0 to 4 are known", static_cast<int>(codec));
}

}  // namespace qlab
