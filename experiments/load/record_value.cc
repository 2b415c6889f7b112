#include "experiments/load/record_value.h"

#include <algorithm>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/prng.h"

namespace qlab::experiments {
namespace {

constexpr std::uint32_t kMagic = 0x514c5231;  // "QLR1"

}  // namespace

Bytes encode_value(const RecordValue& value, std::size_t size) {
  CHECK(size >= RecordValue::kSizeMin);
  BytesWriter out;
  out.reserve(size + 8);
  out.put(kMagic);
  out.put(std::uint32_t{0});
  out.put(value.number);
  out.put(value.intended_ns);
  Prng filler(static_cast<std::uint64_t>(value.number));
  while (out.size() < size) out.put(filler.next());
  Bytes bytes = out.take();
  bytes.resize(size);
  store_big(bytes.data() + 4, crc32c(ByteView(bytes).subspan(8)));
  return bytes;
}

Result<RecordValue> decode_value(ByteView bytes) {
  if (bytes.size() < RecordValue::kSizeMin) {
    return fail(Errc::corrupt, "a value of {} bytes is shorter than its header", bytes.size());
  }
  if (load_big<std::uint32_t>(bytes.data()) != kMagic) {
    return fail(Errc::corrupt, "the value was not written by qlab-load");
  }
  if (load_big<std::uint32_t>(bytes.data() + 4) != crc32c(bytes.subspan(8))) {
    return fail(Errc::corrupt, "the value's checksum does not match");
  }
  return RecordValue{load_big<std::int64_t>(bytes.data() + 8),
                     load_big<std::int64_t>(bytes.data() + 16)};
}

}  // namespace qlab::experiments
