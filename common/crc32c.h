#pragma once
// CRC-32C (Castagnoli, RFC 3720 B.4), the checksum of record batches and of our own frames.
//
// Source: crc32c("123456789") == 0xE3069283.

#include <cstdint>

#include "common/bytes.h"

namespace qlab {

// Extends `crc`, the checksum of what came before (0 for nothing), by `bytes`.
// Cost: one crc32 instruction per 8 bytes where the CPU has SSE4.2, a table walk elsewhere.
std::uint32_t crc32c(ByteView bytes, std::uint32_t crc = 0);

}  // namespace qlab
