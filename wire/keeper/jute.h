#pragma once
// ZooKeeper's record encoding: numbers in network order, a length:i32 before texts, buffers and
// lists, -1 where there is none.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"

namespace qlab::wire::keeper {

// A znode's data: nothing is another value than no bytes.
using Data = std::optional<Bytes>;

inline void put_string(BytesWriter& out, std::string_view text) {
  out.put(static_cast<std::int32_t>(text.size()));
  out.put_text(text);
}
inline void put_data(BytesWriter& out, std::optional<ByteView> data) {
  out.put(data ? static_cast<std::int32_t>(data->size()) : -1);
  if (data) out.put_bytes(*data);
}
inline void put_data(BytesWriter& out, const Data& data) {
  put_data(out, data ? std::optional<ByteView>(*data) : std::nullopt);
}
inline void put_bool(BytesWriter& out, bool value) {
  out.put(static_cast<std::uint8_t>(value));
}
void put_strings(BytesWriter& out, const std::vector<std::string>& texts);

// A text that is absent reads as an empty one. A length that the input does not hold fails the
// reader, before any memory is taken for it.
std::string get_string(BytesReader& in);
Data get_data(BytesReader& in);
inline bool get_bool(BytesReader& in) {
  return in.get<std::uint8_t>() != 0;
}
// How many elements of at least `element_bytes` follow; an absent list has none.
std::size_t get_count(BytesReader& in, std::size_t element_bytes);
std::vector<std::string> get_strings(BytesReader& in);

}  // namespace qlab::wire::keeper
