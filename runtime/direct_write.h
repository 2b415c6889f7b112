#pragma once
// What both worlds ask of a write on IoPath::direct.

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "runtime/disk.h"

namespace qlab::runtime {

// Errors: invalid, when the position, or the size or the address of a piece, is not a multiple of
// direct_alignment.
inline Result<void> check_direct_write(std::string_view file, std::uint64_t position,
                                       const std::vector<ByteView>& pieces) {
  if (position % direct_alignment != 0) {
    return fail(Errc::invalid, "write {}: position {} is not a multiple of {}", file, position,
                direct_alignment);
  }
  for (const ByteView piece : pieces) {
    if (piece.size() % direct_alignment != 0) {
      return fail(Errc::invalid, "write {} at {}: a piece of {} bytes is not a multiple of {}",
                  file, position, piece.size(), direct_alignment);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(piece.data());
    if (!piece.empty() && address % direct_alignment != 0) {
      return fail(Errc::invalid, "write {} at {}: memory at {:#x} is not aligned to {}", file,
                  position, address, direct_alignment);
    }
  }
  return {};
}

}  // namespace qlab::runtime
