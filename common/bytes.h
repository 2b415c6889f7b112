#pragma once
// Bytes, and the two small tools that write and read them in network order.
//
// BytesReader never reads past its end: a short input makes it fail once and for all, and the
// caller asks `ok()` (or takes the error) at the end instead of after each field.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace qlab {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_view(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::integral T>
constexpr T swap_bytes(T value) {
  using U = std::make_unsigned_t<T>;
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<U>(value)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<U>(value)));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<U>(value)));
}

// Requires: sizeof(T) bytes at `at`.
template <std::integral T>
T load_big(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? swap_bytes(value) : value;
}
template <std::integral T>
void store_big(std::byte* at, T value) {
  if (std::endian::native == std::endian::little) value = swap_bytes(value);
  std::memcpy(at, &value, sizeof value);
}

class BytesWriter {
 public:
  template <std::integral T>
  void put(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    store_big(bytes_.data() + at, value);
  }
  void put_bytes(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void put_text(std::string_view text) { put_bytes(as_view(text)); }
  void put_uvarint(std::uint64_t value);  // LEB128, as in Kafka's compact types.
  void put_varint(std::int64_t value) {   // Zig-zag, as inside records.
    put_uvarint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }

  // Overwrites what was put at `at`; for lengths known only later.
  template <std::integral T>
  void patch(std::size_t at, T value) {
    store_big(bytes_.data() + at, value);
  }

  std::size_t size() const { return bytes_.size(); }
  ByteView view() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }

 private:
  Bytes bytes_;
};

class BytesReader {
 public:
  explicit BytesReader(ByteView bytes) : bytes_(bytes) {}

  template <std::integral T>
  T get() {
    const ByteView field = get_bytes(sizeof(T));
    return field.size() == sizeof(T) ? load_big<T>(field.data()) : T{};
  }
  ByteView get_bytes(std::size_t count);  // Empty and failed when fewer are left.
  std::uint64_t get_uvarint();            // Fails beyond 10 bytes.
  std::int64_t get_varint() {
    const std::uint64_t raw = get_uvarint();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }

  // Marks the input as malformed; `why` is kept if it is the first reason.
  void fail_with(std::string_view why);

  bool ok() const { return reason_.empty(); }
  std::size_t left() const { return bytes_.size() - at_; }
  std::size_t position() const { return at_; }
  Result<void> status() const;  // Errors: corrupt, with the reason and the position.

 private:
  ByteView bytes_;
  std::size_t at_ = 0;  // 0 <= at_ <= bytes_.size()
  std::string reason_;  // Empty while all is well.
};

}  // namespace qlab
