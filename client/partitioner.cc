#include "client/partitioner.h"

#include "common/check.h"

namespace qlab::client {

namespace {

constexpr std::uint32_t seed = 0x9747b28c;
constexpr std::uint32_t multiplier = 0x5bd1e995;
constexpr std::size_t block_bytes = 4;

// The first `count` bytes as a little-endian number.
std::uint32_t load_little(ByteView bytes, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  }
  return value;
}

}  // namespace

std::uint32_t murmur2(ByteView bytes) {
  std::uint32_t hash = seed ^ static_cast<std::uint32_t>(bytes.size());
  for (; bytes.size() >= block_bytes; bytes = bytes.subspan(block_bytes)) {
    std::uint32_t block = load_little(bytes, block_bytes);
    block *= multiplier;
    block ^= block >> 24;
    block *= multiplier;
    hash *= multiplier;
    hash ^= block;
  }
  if (!bytes.empty()) {
    hash ^= load_little(bytes, bytes.size());
    hash *= multiplier;
  }
  hash ^= hash >> 13;
  hash *= multiplier;
  hash ^= hash >> 15;
  return hash;
}

PartitionIndex partition_for_key(ByteView key, std::int32_t partitions) {
  CHECK(partitions > 0);
  const auto positive = static_cast<std::int32_t>(murmur2(key) & 0x7fff'ffff);
  return PartitionIndex{positive % partitions};
}

}  // namespace qlab::client
