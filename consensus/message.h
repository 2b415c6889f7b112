#pragma once
// A Message as bytes, the same for all modules: what travels on Channel::metadata_consensus.
//
// version:u8 kind:u16 epoch:i64 head_length:u32 head entry_count:u32 entry*
// entry = epoch:i64 index:i64 kind:u8 body_length:u32 body; all in network order.

#include "consensus/types.h"

namespace qlab::consensus {

inline constexpr std::uint8_t message_version = 1;

Bytes encode(const Message& message);

// Errors: corrupt, when the bytes end early or go on behind the message, or an entry's kind is not
// known; unsupported, when the version is not ours.
Result<Message> decode(ByteView bytes);

}  // namespace qlab::consensus
