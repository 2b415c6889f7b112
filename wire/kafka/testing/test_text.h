#pragma once
// Small helpers of the tests: bytes as hex text, and why a Result failed.

#include <algorithm>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/result.h"

namespace qlab::wire {

inline std::string to_hex(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

// Requires: an even number of hex digits in lower case.
inline Bytes from_hex(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  CHECK(text.size() % 2 == 0);
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = digits.find(text[i]);
    const std::size_t low = digits.find(text[i + 1]);
    CHECK(high != digits.npos);
    CHECK(low != digits.npos);
    bytes.push_back(static_cast<std::byte>(high << 4 | low));
  }
  return bytes;
}

// Empty for a success: Boost.Test asks for its message even then.
template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? std::string() : result.error().message();
}

}  // namespace qlab::wire
