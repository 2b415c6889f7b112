#include "keeper/peer_message.h"

namespace qlab::keeper {

Bytes encode(const PeerMessage& message) {
  BytesWriter out;
  out.put(static_cast<std::uint8_t>(message.kind));
  out.put(message.epoch.value());
  out.put(message.id);
  out.put(message.session);
  out.put(static_cast<std::int32_t>(message.op));
  out.put(message.timeout_ms);
  out.put(message.index.value());
  out.put(static_cast<std::int32_t>(message.sessions.size()));
  for (const std::int64_t session : message.sessions) out.put(session);
  out.put_bytes(message.body);
  return out.take();
}

Result<PeerMessage> decode_peer_message(ByteView bytes) {
  BytesReader in(bytes);
  PeerMessage message;
  const auto kind = in.get<std::uint8_t>();
  if (kind < 1 || kind > static_cast<std::uint8_t>(PeerKind::touched)) {
    in.fail_with("a message's kind");
  }
  message.kind = static_cast<PeerKind>(kind);
  message.epoch = Epoch(in.get<std::int64_t>());
  message.id = in.get<std::uint64_t>();
  message.session = in.get<std::int64_t>();
  message.op = static_cast<OpCode>(in.get<std::int32_t>());
  message.timeout_ms = in.get<std::int32_t>();
  message.index = LogIndex(in.get<std::int64_t>());
  message.sessions.resize(wire::keeper::get_count(in, sizeof(std::int64_t)));
  for (std::int64_t& session : message.sessions) session = in.get<std::int64_t>();
  const ByteView body = in.get_bytes(in.left());
  message.body = Bytes(body.begin(), body.end());
  TRY_VOID(in.status());
  return message;
}

}  // namespace qlab::keeper
