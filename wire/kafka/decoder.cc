#include "wire/kafka/decoder.h"

namespace qlab::wire {

void Decoder::value(const char* name, Uuid& field) {
  field.high = number<std::uint64_t>(name);
  field.low = number<std::uint64_t>(name);
}

void Decoder::fill(const char*, std::string& field, std::size_t length) {
  field = as_text(in_.get_bytes(length));
}

void Decoder::fill(const char*, ByteView& field, std::size_t length) {
  field = in_.get_bytes(length);
}

void Decoder::fill(const char*, Bytes& field, std::size_t length) {
  const ByteView bytes = in_.get_bytes(length);
  field.assign(bytes.begin(), bytes.end());
}

std::optional<std::size_t> Decoder::get_length(const char* name, bool short_form) {
  std::int64_t length = -1;
  if (flexible_) {
    const std::uint64_t length_plus_one = in_.get_uvarint();
    if (length_plus_one > in_.left() + 1) {
      in_.fail_with(fmt::format("{} claims a length of {}, {} bytes are left", name,
                                length_plus_one - 1, in_.left()));
      return {};
    }
    length = static_cast<std::int64_t>(length_plus_one) - 1;
  } else {
    length = short_form ? number<std::int16_t>(name) : number<std::int32_t>(name);
  }
  if (!in_.ok() || length == -1) return {};
  if (length < 0 || static_cast<std::uint64_t>(length) > in_.left()) {
    in_.fail_with(
        fmt::format("{} claims a length of {}, {} bytes are left", name, length, in_.left()));
    return {};
  }
  return static_cast<std::size_t>(length);
}

bool Decoder::wants(const char* name, std::size_t bytes) {
  if (!in_.ok()) return false;
  if (in_.left() >= bytes) return true;
  in_.fail_with(fmt::format("{} takes {} bytes, {} are left", name, bytes, in_.left()));
  return false;
}

}  // namespace qlab::wire
