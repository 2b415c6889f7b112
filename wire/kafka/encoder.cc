#include "wire/kafka/encoder.h"

namespace qlab::wire {

void Encoder::value(const char*, const Uuid& field) {
  out_.put(field.high);
  out_.put(field.low);
}

void Encoder::value(const char* name, const std::string& field) {
  const auto length_max = std::numeric_limits<std::int16_t>::max();
  if (flexible_) {
    if (!put_length(name, field.size(), length_max)) return;
  } else {
    if (field.size() > static_cast<std::size_t>(length_max)) return refuse(name, "is too long");
    out_.put(static_cast<std::int16_t>(field.size()));
  }
  out_.put_text(field);
}

void Encoder::value(const char* name, ByteView field) {
  if (!put_length(name, field.size(), std::numeric_limits<std::int32_t>::max())) return;
  out_.put_bytes(field);
}

bool Encoder::put_length(const char* name, std::size_t length, std::int64_t length_max) {
  if (length > static_cast<std::size_t>(length_max)) {
    refuse(name, "is too long");
    return false;
  }
  if (flexible_) {
    out_.put_uvarint(length + 1);
  } else {
    out_.put(static_cast<std::int32_t>(length));
  }
  return true;
}

void Encoder::put_null(bool short_form) {
  if (flexible_) {
    out_.put_uvarint(0);
  } else if (short_form) {
    out_.put<std::int16_t>(-1);
  } else {
    out_.put<std::int32_t>(-1);
  }
}

void Encoder::refuse(const char* name, std::string_view why) {
  if (error_.empty()) error_ = fmt::format("field {} {} in version {}", name, why, version_);
}

}  // namespace qlab::wire
