#include "consensus/message.h"

#include <limits>

#include "common/check.h"

namespace qlab::consensus {
namespace {

constexpr std::size_t entry_head_bytes = 8 + 8 + 1 + 4;

std::uint32_t length_of(std::size_t bytes) {
  CHECK(bytes <= std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(bytes);
}

Bytes to_bytes(ByteView view) {
  return Bytes(view.begin(), view.end());
}

Entry get_entry(BytesReader& in) {
  Entry entry;
  entry.id.epoch = Epoch{in.get<std::int64_t>()};
  entry.id.index = LogIndex{in.get<std::int64_t>()};
  const auto kind = in.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(EntryKind::control)) in.fail_with("an entry's kind");
  entry.kind = static_cast<EntryKind>(kind);
  entry.body = std::make_shared<const Bytes>(to_bytes(in.get_bytes(in.get<std::uint32_t>())));
  return entry;
}

}  // namespace

Bytes encode(const Message& message) {
  BytesWriter out;
  std::size_t size = 32 + message.head.size();
  for (const Entry& entry : message.entries) size += entry_head_bytes + entry.body->size();
  out.reserve(size);
  out.put(message_version);
  out.put(message.kind);
  out.put(message.epoch.value());
  out.put(length_of(message.head.size()));
  out.put_bytes(message.head);
  out.put(length_of(message.entries.size()));
  for (const Entry& entry : message.entries) {
    out.put(entry.id.epoch.value());
    out.put(entry.id.index.value());
    out.put(static_cast<std::uint8_t>(entry.kind));
    out.put(length_of(entry.body->size()));
    out.put_bytes(*entry.body);
  }
  return out.take();
}

Result<Message> decode(ByteView bytes) {
  BytesReader in(bytes);
  const auto version = in.get<std::uint8_t>();
  if (in.ok() && version != message_version) {
    return fail(Errc::unsupported, "message version {}, and we speak {}", version, message_version);
  }
  Message message;
  message.kind = in.get<std::uint16_t>();
  message.epoch = Epoch{in.get<std::int64_t>()};
  message.head = to_bytes(in.get_bytes(in.get<std::uint32_t>()));
  const auto count = in.get<std::uint32_t>();
  // A count may lie; what is reserved is bounded by the bytes that are there.
  if (in.ok() && count > in.left() / entry_head_bytes) in.fail_with("more entries than bytes");
  message.entries.reserve(in.ok() ? count : 0);
  for (std::uint32_t i = 0; in.ok() && i < count; ++i) message.entries.push_back(get_entry(in));
  if (in.ok() && in.left() > 0) in.fail_with("bytes are left behind the message");
  TRY_VOID(in.status());
  return message;
}

}  // namespace qlab::consensus
