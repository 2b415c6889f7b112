#include "keeper/transaction.h"

namespace qlab::keeper {
namespace {

constexpr std::size_t change_bytes_min = 4;

void put(BytesWriter& out, const Change& change) {
  using namespace wire::keeper;
  out.put(static_cast<std::int32_t>(change.op));
  put_string(out, change.path);
  put_data(out, change.data);
  out.put(change.version);
  out.put(change.owner);
  put_strings(out, change.paths);
  out.put(static_cast<std::int32_t>(change.parts.size()));
  for (const Change& part : change.parts) put(out, part);
}

// `depth`: how deep parts may lie in each other from here on.
Change get_change(BytesReader& in, int depth) {
  using namespace wire::keeper;
  Change change;
  change.op = static_cast<OpCode>(in.get<std::int32_t>());
  if (!is_known(change.op)) in.fail_with("a change of unknown type");
  change.path = get_string(in);
  change.data = get_data(in);
  change.version = in.get<std::int32_t>();
  change.owner = in.get<std::int64_t>();
  change.paths = get_strings(in);
  const std::size_t parts = get_count(in, change_bytes_min);
  if (parts > 0 && depth == 0) in.fail_with("parts in a part");
  for (std::size_t i = 0; i < parts && in.ok(); ++i) {
    change.parts.push_back(get_change(in, depth - 1));
  }
  return change;
}

}  // namespace

Bytes encode(const Transaction& transaction) {
  BytesWriter out;
  out.put(transaction.origin.value());
  out.put(transaction.sequence);
  out.put(transaction.session);
  out.put(transaction.time_ms);
  put(out, transaction.change);
  return out.take();
}

Result<Transaction> decode_transaction(ByteView bytes) {
  BytesReader in(bytes);
  Transaction transaction;
  transaction.origin = NodeId(in.get<std::int32_t>());
  transaction.sequence = in.get<std::uint64_t>();
  transaction.session = in.get<std::int64_t>();
  transaction.time_ms = in.get<std::int64_t>();
  transaction.change = get_change(in, 1);
  if (in.ok() && in.left() > 0) in.fail_with("bytes behind a transaction");
  TRY_VOID(in.status());
  return transaction;
}

}  // namespace qlab::keeper
