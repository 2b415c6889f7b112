// crc32c against the definition: one bit at a time.

#include "common/crc32c.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab {
namespace {

std::uint32_t by_definition(ByteView bytes, std::uint32_t crc = 0) {
  constexpr std::uint32_t polynomial = 0x82F63B78;  // Castagnoli, reflected.
  crc = ~crc;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
  }
  return ~crc;
}

Bytes random_bytes(std::size_t count, std::uint64_t seed) {
  Prng prng(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng.below(256));
  return bytes;
}

BOOST_AUTO_TEST_SUITE(crc32c_suite)

// The vectors of RFC 3720, B.4, and the check value of the catalogues.
BOOST_AUTO_TEST_CASE(the_published_vectors_hold) {
  BOOST_TEST(crc32c(as_view("123456789")) == 0xE3069283u);
  BOOST_TEST(crc32c({}) == 0u);
  Bytes bytes(32, std::byte{0x00});
  BOOST_TEST(crc32c(bytes) == 0x8A9136AAu);
  bytes.assign(32, std::byte{0xFF});
  BOOST_TEST(crc32c(bytes) == 0x62A8AB43u);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  BOOST_TEST(crc32c(bytes) == 0x46DD794Eu);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(31 - i);
  BOOST_TEST(crc32c(bytes) == 0x113FDB5Cu);
}

BOOST_AUTO_TEST_CASE(every_length_agrees_with_the_definition) {
  constexpr std::size_t length_max = 4096;
  const Bytes bytes = random_bytes(length_max, 1);
  std::uint32_t expected = 0;
  for (std::size_t length = 0; length <= length_max; ++length) {
    if (length > 0) expected = by_definition(ByteView(bytes).subspan(length - 1, 1), expected);
    const std::uint32_t crc = crc32c(ByteView(bytes).first(length));
    BOOST_REQUIRE_MESSAGE(crc == expected, "length " << length);
  }
}

BOOST_AUTO_TEST_CASE(every_alignment_agrees_with_the_definition) {
  constexpr std::size_t alignments = 64;
  const Bytes bytes = random_bytes(alignments + 4096, 2);
  for (const std::size_t length : {1u, 7u, 8u, 63u, 255u, 256u, 257u, 511u, 1024u, 1087u, 4096u}) {
    for (std::size_t start = 0; start < alignments; ++start) {
      const ByteView view = ByteView(bytes).subspan(start, length);
      BOOST_REQUIRE_MESSAGE(crc32c(view) == by_definition(view),
                            "length " << length << " from byte " << start);
    }
  }
}

BOOST_AUTO_TEST_CASE(two_pieces_give_what_the_whole_gives) {
  constexpr std::size_t length = 1500;
  const Bytes bytes = random_bytes(length, 3);
  const std::uint32_t whole = by_definition(bytes);
  for (std::size_t split = 0; split <= length; ++split) {
    const std::uint32_t front = crc32c(ByteView(bytes).first(split));
    const std::uint32_t crc = crc32c(ByteView(bytes).subspan(split), front);
    BOOST_REQUIRE_MESSAGE(crc == whole, "split at " << split);
  }
}

BOOST_AUTO_TEST_CASE(many_pieces_of_random_sizes_give_what_the_whole_gives) {
  const Bytes bytes = random_bytes(100'000, 4);
  const std::uint32_t whole = by_definition(bytes);
  Prng prng(5);
  for (int round = 0; round < 100; ++round) {
    std::uint32_t crc = 0;
    ByteView rest(bytes);
    while (!rest.empty()) {
      const auto count = static_cast<std::size_t>(
          std::min<std::uint64_t>(rest.size(), 1 + prng.below(1u << prng.below(17))));
      crc = crc32c(rest.first(count), crc);
      rest = rest.subspan(count);
    }
    BOOST_REQUIRE_MESSAGE(crc == whole, "round " << round);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab
