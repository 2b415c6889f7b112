#pragma once
// 128-bit ids in Kafka's two forms: 16 raw bytes on the wire, 22 characters of base64url in text.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace qlab {

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Uuid&) const = default;
  bool is_zero() const { return high == 0 && low == 0; }

  // A version 4 uuid from 128 random bits (RFC 4122 4.4); the caller brings the randomness.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
  std::string to_string() const;
  // Errors: invalid, when the text is not 22 characters of base64url.
  static Result<Uuid> parse(std::string_view text);
};

}  // namespace qlab

template <>
struct std::hash<qlab::Uuid> {
  std::size_t operator()(const qlab::Uuid& id) const noexcept { return id.high ^ (id.low * 31); }
};
