#include "wire/kafka/record_head.h"

namespace qlab::wire {

namespace {
constexpr std::uint64_t frame_version = 1;
constexpr std::uint64_t record_id_max = 0x7fff;
constexpr std::uint64_t record_version_max = 0x7fff;
}  // namespace

void encode_record_head(BytesWriter& out, std::uint32_t id, std::int16_t version) {
  out.put_uvarint(frame_version);
  out.put_uvarint(id);
  out.put_uvarint(static_cast<std::uint64_t>(version));
}

Result<RecordHead> decode_record_head(BytesReader& in) {
  const std::uint64_t frame = in.get_uvarint();
  const std::uint64_t id = in.get_uvarint();
  const std::uint64_t version = in.get_uvarint();
  TRY_VOID(in.status());
  if (frame != frame_version) {
    return fail(Errc::unsupported, "record frame version {} is not {}", frame, frame_version);
  }
  if (id > record_id_max) return fail(Errc::corrupt, "record id {} is not an int16", id);
  if (version > record_version_max) {
    return fail(Errc::corrupt, "record version {} is not an int16", version);
  }
  return RecordHead{static_cast<std::uint32_t>(id), static_cast<std::int16_t>(version)};
}

}  // namespace qlab::wire
