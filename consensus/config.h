#pragma once
// A configuration as the body of an entry of kind config, and in a snapshot's header.
//
// Bytes, in network order: version:u8 election_quorum:u32 commit_quorum:u32, then `members` and
// `outgoing`, each count:u32 and id:i32 role:u8 directory:u64,u64 weight:u32 group:u32.

#include "common/bytes.h"
#include "consensus/types.h"

namespace qlab::consensus {

Bytes encode_config(const Config& config);

// Errors: corrupt, when the bytes are not a configuration, whole and nothing else; or as
// check_config.
Result<Config> decode_config(ByteView bytes);

// Errors: invalid, naming what is wrong: ids not sorted or not unique, no voter that may lead, a
// quorum larger than the voters, or two quorums that need not meet.
Result<void> check_config(const Config& config);

}  // namespace qlab::consensus
