#pragma once
// Reads the fields of generated messages; the counterpart of encoder.h.
//
// No length is believed: it is compared with the bytes that are left before anything is allocated.
// The first fault stops the reader (common/bytes.h), so that a caller looks once, at the end.

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "common/strong_id.h"
#include "common/uuid.h"
#include "wire/kafka/message.h"
#include "wire/kafka/tag.h"

namespace qlab::wire {

class Decoder {
 public:
  // Requires: `in` outlives the decoder.
  Decoder(BytesReader& in, std::int16_t version, bool flexible)
      : in_(in), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }

  template <class T>
  requires std::is_arithmetic_v<T>
  void value(const char* name, T& field) {
    if constexpr (std::same_as<T, bool>) {
      field = number<std::int8_t>(name) != 0;
    } else if constexpr (std::floating_point<T>) {
      field = std::bit_cast<T>(number<std::int64_t>(name));
    } else {
      field = number<T>(name);
    }
  }
  template <class T>
  requires std::is_enum_v<T>
  void value(const char* name, T& field) {
    field = static_cast<T>(number<std::underlying_type_t<T>>(name));
  }
  template <class Tag, class Rep>
  void value(const char* name, StrongId<Tag, Rep>& field) {
    field = StrongId<Tag, Rep>(number<Rep>(name));
  }
  void value(const char* name, Uuid& field);
  template <class T>
  requires is_struct<T>
  void value(const char*, T& field) { T::each_field(*this, field); }
  void value(const char* name, std::string& field) { with_length(name, field); }
  void value(const char* name, Bytes& field) { with_length(name, field); }
  template <class T>
  void value(const char* name, std::vector<T>& field) {
    with_length(name, field);
  }

  template <class T>
  void nullable(const char* name, std::optional<T>& field, bool null_allowed) {
    if constexpr (is_struct<T>) {
      if (null_allowed && number<std::int8_t>(name) < 0) return field.reset();
      value(name, field.emplace());
    } else {
      const auto length = get_length(name, std::same_as<T, std::string>);
      if (!length && !null_allowed) in_.fail_with(fmt::format("{} may not be null", name));
      if (!in_.ok() || !length) return field.reset();
      fill(name, field.emplace(), *length);
    }
  }

  void absent(const char*, bool) {}  // The field keeps its default.

  // The end of a struct: known tags are read, all others skipped.
  template <class... Fields>
  void tags(const Tag<Fields>&... known) {
    if (!flexible_) return;
    const std::uint64_t count = in_.get_uvarint();
    std::int64_t last = -1;
    for (std::uint64_t i = 0; i < count && in_.ok(); ++i) {
      const std::uint64_t number = in_.get_uvarint();
      const ByteView body = in_.get_bytes(in_.get_uvarint());
      if (!in_.ok()) return;
      if (number > tag_number_max || static_cast<std::int64_t>(number) <= last) {
        return in_.fail_with(fmt::format("tag {} follows tag {}", number, last));
      }
      last = static_cast<std::int64_t>(number);
      (get_tag(known, number, body), ...);
    }
  }

 private:
  static constexpr std::uint64_t tag_number_max = 0xffff'ffff;

  template <std::integral T>
  T number(const char* name) {
    return wants(name, sizeof(T)) ? in_.get<T>() : T{};
  }
  template <class T>
  void with_length(const char* name, T& field) {
    const auto length = get_length(name, std::same_as<T, std::string>);
    if (!length) return in_.fail_with(fmt::format("{} may not be null", name));
    fill(name, field, *length);
  }
  template <class T>
  void fill(const char* name, std::vector<T>& field, std::size_t count) {
    // An element takes a byte or more. The first guess is modest, because one in memory takes many.
    field.reserve(std::min<std::size_t>(count, elements_reserved_max));
    for (std::size_t i = 0; i < count && in_.ok(); ++i) value(name, field.emplace_back());
  }
  void fill(const char* name, std::string& field, std::size_t length);
  void fill(const char* name, ByteView& field, std::size_t length);
  void fill(const char* name, Bytes& field, std::size_t length);

  template <class Field>
  void get_tag(const Tag<Field>& tag, std::uint64_t number, ByteView body) {
    if (!tag.is_carried || tag.number != number) return;
    BytesReader inner_bytes(body);
    Decoder inner(inner_bytes, version_, true);
    tag.visit(inner);
    if (auto read = inner_bytes.status(); !read) return in_.fail_with(read.error().context);
    if (inner_bytes.left() > 0) in_.fail_with(fmt::format("tag {} is too long", tag.name));
  }
  // Null, or a length that the bytes left can hold.
  std::optional<std::size_t> get_length(const char* name, bool short_form);
  bool wants(const char* name, std::size_t bytes);

  static constexpr std::size_t elements_reserved_max = 64;

  BytesReader& in_;
  std::int16_t version_;
  bool flexible_;
};

// The body of each generated decode().
template <class Message>
Result<Message> decode_message(BytesReader& in, std::int16_t version) {
  if (version < Message::versions_min || version > Message::versions_max) {
    return fail(Errc::unsupported, "{} has versions {} to {}, not {}", Message::message_name,
                Message::versions_min, Message::versions_max, version);
  }
  Message message;
  Decoder decoder(in, version, version >= Message::flexible_min);
  Message::each_field(decoder, message);
  if (auto done = in.status(); !done) {
    return fail(Errc::corrupt, "{} version {}: {}", Message::message_name, version,
                done.error().context);
  }
  return message;
}

}  // namespace qlab::wire
