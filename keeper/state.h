#pragma once
// What the servers of a keeper agree on: the znodes and the sessions, as of a zxid.
//
// zxid = (epoch, place of the entry among those of its epoch), 32 bits each, so all entries of the
// log count, also those that are no transaction.
//
// Invariant: the sequence of entries determines the state, slots included, and so its image.

#include <array>
#include <map>
#include <memory>

#include "consensus/state_machine.h"
#include "keeper/transaction.h"
#include "keeper/tree.h"

namespace qlab::keeper {

struct Session {
  std::int32_t timeout_ms = 0;
  std::array<std::byte, wire::keeper::password_bytes> password{};
  bool operator==(const Session&) const = default;
};

// What came of a change.
struct Outcome {
  OpCode op = OpCode::error;
  ErrorCode error = ErrorCode::ok;
  std::string path;
  Stat stat;                         // Creates, set_data, set_acl: afterwards.
  std::int64_t session = 0;          // create_session, close_session.
  std::vector<std::string> removed;  // close_session.
  std::vector<Outcome> parts;        // multi: of each part.
};

class State {
 public:
  State() : tree_(std::make_shared<Tree>()) {}

  const Tree& tree() const { return *tree_; }
  const std::map<std::int64_t, Session>& sessions() const { return sessions_; }
  const Session* session(std::int64_t id) const;
  std::int64_t zxid() const { return zxid_; }  // Of the last entry.

  // Every entry of the log, whatever its kind, goes through here first.
  void advance(consensus::LogId id);
  // What a later transaction has touched already stays as it is, so that a run of transactions may
  // be applied over a state that has some of them.
  Outcome apply(const Transaction& transaction);

  // Everything, as it is now.
  std::unique_ptr<consensus::SnapshotSource> image() const;

 private:
  friend class StateImage;
  friend class StateRestorer;

  Outcome apply_change(const Change& change, const Transaction& whole);
  Outcome apply_create(const Change& change, When when);
  // The znode, as far as this transaction knows it: not one that was created later.
  Slot find(std::string_view path) const;
  void end_session(const Change& change, const Transaction& whole, Outcome& outcome);

  std::shared_ptr<Tree> tree_;  // Shared with images under way.
  std::map<std::int64_t, Session> sessions_;
  std::int64_t zxid_ = 0;
  consensus::LogId epoch_first_;  // The first entry of the epoch of the last one.
};

// Makes a state of an image's pieces.
class StateRestorer {
 public:
  // Pieces in order, of any size. Errors: corrupt.
  Result<void> add(ByteView piece);
  // Errors: corrupt, when something is missing or does not fit.
  Result<State> finish();

 private:
  Result<void> take_record(ByteView record);

  Bytes waiting_;  // Less than a record.
  State state_;
  bool has_head_ = false;
  std::uint32_t sessions_left_ = 0;
};

}  // namespace qlab::keeper
