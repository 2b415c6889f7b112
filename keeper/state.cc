#include "keeper/state.h"

#include <algorithm>

#include "common/check.h"
#include "keeper/path.h"

namespace qlab::keeper {
namespace {

std::optional<ByteView> view_of(const Data& data) {
  return data ? std::optional<ByteView>(*data) : std::nullopt;
}

// The origin in the top byte, as in ZooKeeper, and never 0, 0x80 or 0xff there: an ephemeral's
// owner is told from other owners by it.
std::int64_t session_id(NodeId origin, std::int64_t zxid) {
  const std::int64_t server = (origin.value() & 0x3f) + 1;
  return (server << 56) | (zxid & ((std::int64_t{1} << 56) - 1));
}

}  // namespace

const Session* State::session(std::int64_t id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

void State::advance(consensus::LogId id) {
  if (id.epoch != epoch_first_.epoch) epoch_first_ = id;
  zxid_ = (id.epoch.value() << 32) | (id.index - epoch_first_.index + 1);
}

Slot State::find(std::string_view path) const {
  const Slot slot = tree_->find(path);
  return slot == no_slot || tree_->at(slot).czxid > zxid_ ? no_slot : slot;
}

Outcome State::apply(const Transaction& transaction) {
  return apply_change(transaction.change, transaction);
}

Outcome State::apply_change(const Change& change, const Transaction& whole) {
  const When when{zxid_, whole.time_ms};
  Outcome outcome;
  outcome.op = change.op;
  outcome.path = change.path;
  switch (change.op) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      return apply_create(change, when);
    case OpCode::remove:
    case OpCode::delete_container: {
      const Slot slot = find(change.path);
      if (slot != no_slot && tree_->at(slot).children == 0) tree_->remove(slot, when);
      break;
    }
    case OpCode::set_data: {
      const Slot slot = find(change.path);
      if (slot == no_slot || tree_->at(slot).mzxid > zxid_) break;
      tree_->set_data(slot, view_of(change.data), change.version, when);
      outcome.stat = tree_->stat_of(slot);
      break;
    }
    case OpCode::set_acl: {
      const Slot slot = find(change.path);
      if (slot == no_slot || tree_->at(slot).aversion > change.version) break;
      tree_->set_aversion(slot, change.version);
      outcome.stat = tree_->stat_of(slot);
      break;
    }
    case OpCode::create_session: {
      Session session;
      session.timeout_ms = change.version;
      const ByteView password = change.data ? ByteView(*change.data) : ByteView();
      std::copy_n(password.begin(), std::min(password.size(), session.password.size()),
                  session.password.begin());
      outcome.session = session_id(whole.origin, zxid_);
      sessions_.insert_or_assign(outcome.session, session);
      break;
    }
    case OpCode::close_session:
      end_session(change, whole, outcome);
      break;
    case OpCode::multi:
      for (const Change& part : change.parts) outcome.parts.push_back(apply_change(part, whole));
      break;
    case OpCode::error:
      outcome.error = static_cast<ErrorCode>(change.version);
      break;
    default:  // check, sync: that it has its place in the log is all.
      break;
  }
  return outcome;
}

Outcome State::apply_create(const Change& change, When when) {
  Outcome outcome;
  outcome.op = change.op;
  outcome.path = change.path;
  const Slot parent = tree_->find(parent_of(change.path));
  Slot slot = parent == no_slot ? no_slot : tree_->child_of(parent, name_of(change.path));
  if (slot == no_slot && parent != no_slot && tree_->at(parent).czxid <= zxid_) {
    slot = tree_->create(parent, name_of(change.path), view_of(change.data), change.owner,
                         change.version, when);
  }
  if (slot != no_slot) outcome.stat = tree_->stat_of(slot);
  return outcome;
}

void State::end_session(const Change& change, const Transaction& whole, Outcome& outcome) {
  outcome.session = whole.session;
  sessions_.erase(whole.session);
  for (const std::string& path : change.paths) {
    const Slot slot = find(path);
    if (slot == no_slot || tree_->at(slot).children > 0) continue;
    tree_->remove(slot, {zxid_, whole.time_ms});
    outcome.removed.push_back(path);
  }
}

}  // namespace qlab::keeper
