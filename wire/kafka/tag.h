#pragma once
// A tagged field as generated code hands it to a codec (KIP-482).

#include <cstdint>
#include <optional>
#include <type_traits>

namespace qlab::wire {

struct AnyCodec;

// What the generator makes a struct: it can name its fields to a codec.
template <class T>
concept is_struct = requires(AnyCodec& codec, T& struct_) {
  T::each_field(codec, struct_);
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class Field>
struct Tag {
  std::uint32_t number;  // Ascending within a struct.
  const char* name;
  Field& field;
  bool is_default;  // Such a field stays unwritten.
  bool is_carried;  // The version knows the tag.

  bool is_written() const { return is_carried && !is_default; }
  template <class Codec>
  void visit(Codec& codec) const {
    if constexpr (is_optional<std::remove_const_t<Field>>) {
      codec.nullable(name, field, true);
    } else {
      codec.value(name, field);
    }
  }
};

template <class Field>
Tag(std::uint32_t, const char*, Field&, bool, bool) -> Tag<Field>;

}  // namespace qlab::wire
