#pragma once
// What a keeper's log holds: requests, as their leader decided them.
//
// A transaction says what becomes of the state and not what was asked: versions are the new ones, a
// sequential name is complete, the end of a session lists its ephemerals. So to apply one decides
// nothing, and to apply a run of them again ends in the same state. A refusal is a transaction,
// too: it has its place among the others, and whoever asked hears of it there.

#include "common/ids.h"
#include "wire/keeper/messages.h"

namespace qlab::keeper {

using wire::keeper::Data;
using wire::keeper::ErrorCode;
using wire::keeper::OpCode;
using wire::keeper::Stat;

// A change; which fields it has, by type:
//   create, create2, create_container, create_ttl   path data version(parent's cversion) owner
//   remove, delete_container                        path
//   set_data                                        path data version
//   set_acl                                         path version(aversion)
//   create_session                                  version(timeout in ms) data(password)
//   close_session                                   paths
//   multi                                           parts
//   error                                           version(ErrorCode)
//   check, sync                                     nothing
struct Change {
  OpCode op = OpCode::error;
  std::string path;
  Data data;
  std::int32_t version = 0;
  std::int64_t owner = 0;
  std::vector<std::string> paths;
  std::vector<Change> parts;
  bool operator==(const Change&) const = default;
};

struct Transaction {
  NodeId origin = no_node;     // The server that was asked; no_node: the leader acted by itself.
  std::uint64_t sequence = 0;  // The origin's own number of the request.
  std::int64_t session = 0;    // Whose request it was; 0: none's.
  std::int64_t time_ms = 0;    // Since 1970, by the leader's clock.
  Change change;
  bool operator==(const Transaction&) const = default;
};

Bytes encode(const Transaction& transaction);
// Errors: corrupt.
Result<Transaction> decode_transaction(ByteView bytes);

// A request on its way from the server that was asked to the leader.
struct Submitted {
  NodeId origin = no_node;
  std::uint64_t sequence = 0;
  std::int64_t session = 0;
  OpCode op = OpCode::error;
  Bytes body;  // As the client sent it.
};

}  // namespace qlab::keeper
