#pragma once
// What servers of a keeper say to each other besides consensus, over the same links.
//
// A server hands requests to the leader, and hears of their outcome by the log. A link loses a
// suffix when it breaks, so whoever waits for an answer over it gives up then.

#include "keeper/transaction.h"

namespace qlab::keeper {

enum class PeerKind : std::uint8_t {
  submit = 1,     // To the leader: id session op body
  touch = 2,      // To the leader: sessions that were heard of; id, by the sender's clock
  validate = 3,   // To the leader: id session body(password)
  validated = 4,  // Back: id timeout_ms; 0: no such session, or another password
  sync = 5,       // To the leader: id
  synced = 6,     // Back: id index, which covers all that the leader had committed
  refused = 7,    // Back: id of a submit, validate or sync: this server does not lead that epoch
  touched = 8,    // Back: id
};

struct PeerMessage {
  PeerKind kind = PeerKind::submit;
  Epoch epoch;  // In which the receiver leads, or led.
  std::uint64_t id = 0;
  std::int64_t session = 0;
  OpCode op = OpCode::error;
  std::int32_t timeout_ms = 0;
  LogIndex index;
  std::vector<std::int64_t> sessions;
  Bytes body;
};

Bytes encode(const PeerMessage& message);
// Errors: corrupt.
Result<PeerMessage> decode_peer_message(ByteView bytes);

}  // namespace qlab::keeper
