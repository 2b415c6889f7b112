#include "common/bytes.h"

namespace qlab {

void BytesWriter::put_uvarint(std::uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  bytes_.push_back(static_cast<std::byte>(value));
}

ByteView BytesReader::get_bytes(std::size_t count) {
  if (!ok()) return {};
  if (count > left()) {
    fail_with(fmt::format("{} bytes wanted, {} left", count, left()));
    return {};
  }
  const ByteView field = bytes_.subspan(at_, count);
  at_ += count;
  return field;
}

std::uint64_t BytesReader::get_uvarint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const ByteView one = get_bytes(1);
    if (one.empty()) return 0;
    const auto byte = std::to_integer<std::uint64_t>(one[0]);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  fail_with("a varint has more than 10 bytes");
  return 0;
}

void BytesReader::fail_with(std::string_view why) {
  if (ok()) reason_ = why.empty() ? "malformed" : std::string(why);
}

Result<void> BytesReader::status() const {
  if (ok()) return {};
  return fail(Errc::corrupt, "{} at byte {}", reason_, at_);
}

}  // namespace qlab
