#pragma once
// Writes the fields of generated messages; included by generated sources only.
//
// A struct's each_field(codec, message) names its fields in wire order, and either codec (this one
// or decoder.h) does its work field by field.
//
// Source: Kafka protocol guide, "Protocol Primitive Types"; KIP-482 for the flexible versions.

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
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

class Encoder {
 public:
  // Requires: `out` outlives the encoder.
  Encoder(BytesWriter& out, std::int16_t version, bool flexible)
      : out_(out), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }
  // Errors: invalid, with the first field that did not fit.
  Result<void> status() const {
    if (error_.empty()) return {};
    return fail(Errc::invalid, "{}", error_);
  }

  template <class T>
  requires std::is_arithmetic_v<T>
  void value(const char*, T field) {
    if constexpr (std::same_as<T, bool>) {
      out_.put<std::int8_t>(field ? 1 : 0);
    } else if constexpr (std::floating_point<T>) {
      out_.put(std::bit_cast<std::int64_t>(field));
    } else {
      out_.put(field);
    }
  }
  template <class T>
  requires std::is_enum_v<T>
  void value(const char*, T field) { out_.put(static_cast<std::underlying_type_t<T>>(field)); }
  template <class Tag, class Rep>
  void value(const char*, StrongId<Tag, Rep> field) {
    out_.put(field.value());
  }
  void value(const char*, const Uuid& field);
  void value(const char* name, const std::string& field);
  void value(const char* name, ByteView field);
  void value(const char* name, const Bytes& field) { value(name, ByteView(field)); }
  template <class T>
  void value(const char* name, const std::vector<T>& field) {
    if (!put_length(name, field.size(), std::numeric_limits<std::int32_t>::max())) return;
    for (const T& element : field) value(name, element);
  }
  template <class T>
  requires is_struct<T>
  void value(const char*, const T& field) { T::each_field(*this, field); }

  template <class T>
  void nullable(const char* name, const std::optional<T>& field, bool null_allowed) {
    if (!field && !null_allowed) return refuse(name, "may not be null");
    // A struct has no length that could say null.
    if constexpr (is_struct<T>) {
      if (null_allowed) out_.put<std::int8_t>(field ? 1 : -1);
    } else if (!field) {
      return put_null(std::same_as<T, std::string>);
    }
    if (field) value(name, *field);
  }

  // The version does not carry the field: fine as long as nothing would be lost.
  void absent(const char* name, bool is_default) {
    if (!is_default) refuse(name, "has no place");
  }

  // The end of a struct: its tagged fields that are set, by ascending number.
  template <class... Fields>
  void tags(const Tag<Fields>&... tags) {
    if (!flexible_) return;
    out_.put_uvarint((std::uint64_t{0} + ... + (tags.is_written() ? 1 : 0)));
    (put_tag(tags), ...);
  }

 private:
  template <class Field>
  void put_tag(const Tag<Field>& tag) {
    if (!tag.is_written()) return;
    BytesWriter body;
    Encoder inner(body, version_, true);
    tag.visit(inner);
    if (!inner.error_.empty() && error_.empty()) error_ = inner.error_;
    out_.put_uvarint(tag.number);
    out_.put_uvarint(body.size());
    out_.put_bytes(body.view());
  }
  // Strings have the short form (two bytes) in the versions that are not flexible, all else the
  // long one (four).
  bool put_length(const char* name, std::size_t length, std::int64_t length_max);
  void put_null(bool short_form);
  void refuse(const char* name, std::string_view why);

  BytesWriter& out_;
  std::int16_t version_;
  bool flexible_;
  std::string error_;  // Empty while all is well.
};

// The body of each generated encode().
template <class Message>
Result<void> encode_message(BytesWriter& out, const Message& message, std::int16_t version) {
  if (version < Message::versions_min || version > Message::versions_max) {
    return fail(Errc::unsupported, "{} has versions {} to {}, not {}", Message::message_name,
                Message::versions_min, Message::versions_max, version);
  }
  Encoder encoder(out, version, version >= Message::flexible_min);
  Message::each_field(encoder, message);
  if (auto done = encoder.status(); !done) {
    return fail(Errc::invalid, "{}: {}", Message::message_name, done.error().context);
  }
  return {};
}

}  // namespace qlab::wire
