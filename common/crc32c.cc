#include "common/crc32c.h"

#include <algorithm>
#include <cstring>

#include <isa-l/crc.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace qlab {
namespace {

// ISA-L counts in int.
constexpr std::size_t piece_bytes_max = 1u << 30;

// ISA-L picks the widest instructions of the CPU (VPCLMULQDQ, SSE4.2, ARM's CRC and PMULL) when it
// is first called, and a table where there are none. It neither inverts the state before nor after.
std::uint32_t extend_long(std::uint32_t crc, ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), piece_bytes_max));
    // Its signature has no const; it writes nothing.
    auto* const data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(piece.data()));
    crc = crc32_iscsi(data, static_cast<int>(piece.size()), crc);
    bytes = bytes.subspan(piece.size());
  }
  return crc;
}

#if defined(__x86_64__)
// ISA-L folds from 256 bytes on; below, it takes twice as long as a loop over the instruction.
constexpr std::size_t short_bytes_max = 255;

__attribute__((target("sse4.2"))) std::uint32_t extend_short(std::uint32_t crc, ByteView bytes) {
  std::uint64_t wide = crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; left > 0; --left, ++at) {
    narrow = _mm_crc32_u8(narrow, std::to_integer<unsigned char>(*at));
  }
  return narrow;
}
#endif

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
  if (has_sse42 && bytes.size() <= short_bytes_max) return ~extend_short(~crc, bytes);
#endif
  return ~extend_long(~crc, bytes);
}

}  // namespace qlab
