#pragma once
// Whole pieces from a byte stream.

#include <span>

#include "runtime/network.h"

namespace qlab::runtime {

// Fills `into`. Requires: the bytes stay alive until the task ends. Errors: closed, also when the
// stream ends half way.
inline Task<Result<void>> read_exactly(Stream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    CO_TRY(const std::size_t got, co_await stream.read_some(into));
    into = into.subspan(got);
  }
  co_return Result<void>{};
}

}  // namespace qlab::runtime
