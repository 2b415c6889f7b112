#include "metadata/entry.h"

#include "common/check.h"

namespace qlab::metadata {

Bytes encode_entry(const Records& records) {
  BytesWriter out;
  out.put_uvarint(records.size());
  for (const Record& record : records) {
    BytesWriter one;
    const auto encoded = encode_record(one, record);
    // Our own records always fit their newest version.
    CHECK_MSG(encoded.has_value(), encoded.error().message());
    out.put_uvarint(one.size());
    out.put_bytes(one.view());
  }
  return out.take();
}

Result<Records> decode_entry(ByteView body) {
  BytesReader in(body);
  const std::uint64_t count = in.get_uvarint();
  Records records;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::uint64_t length = in.get_uvarint();
    BytesReader one(in.get_bytes(length));
    if (!in.ok()) break;
    TRY(Record record, decode_record(one));
    if (one.left() != 0)
      return fail(Errc::corrupt, "metadata record {} has {} bytes too many", i, one.left());
    records.push_back(std::move(record));
  }
  TRY_VOID(in.status());
  if (in.left() != 0) return fail(Errc::corrupt, "metadata entry has {} bytes too many", in.left());
  return records;
}

}  // namespace qlab::metadata
