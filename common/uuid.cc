#include "common/uuid.h"

#include <array>

namespace qlab {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t text_length = 22;  // ceil(128 / 6)

}  // namespace

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
  high = (high & ~std::uint64_t{0xF000}) | 0x4000;                     // Version 4.
  low = (low & ~(std::uint64_t{3} << 62)) | (std::uint64_t{2} << 62);  // Variant 10.
  return Uuid{high, low};
}

std::string Uuid::to_string() const {
  // 132 bits of text hold 128 bits of id: the last character carries four padding zeros.
  std::string text;
  text.reserve(text_length);
  std::array<std::uint8_t, 17> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  for (std::size_t bit = 0; bit < 128; bit += 6) {
    const unsigned pair = static_cast<unsigned>(bytes[bit / 8]) << 8 | bytes[bit / 8 + 1];
    text.push_back(alphabet[(pair >> (10 - bit % 8)) & 63]);
  }
  return text;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != text_length) {
    return fail(Errc::invalid, "uuid '{}' has {} characters; 22 of base64url are needed", text,
                text.size());
  }
  Uuid id;
  for (std::size_t i = 0; i < text_length; ++i) {
    const std::size_t digit = alphabet.find(text[i]);
    if (digit == std::string_view::npos) {
      return fail(Errc::invalid, "uuid '{}' has a character that is not base64url at {}", text, i);
    }
    const bool last = i + 1 == text_length;
    const unsigned bits = last ? 2 : 6;
    const std::uint64_t value = last ? digit >> 4 : digit;
    id.high = id.high << bits | id.low >> (64 - bits);
    id.low = id.low << bits | value;
  }
  return id;
}

}  // namespace qlab
