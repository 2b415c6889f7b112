#include "keeper/primary.h"

#include <fmt/format.h>

#include "common/check.h"
#include "keeper/path.h"

namespace qlab::keeper {

using wire::keeper::CreateMode;
using wire::keeper::Request;

namespace {

// The one that get_acl tells of and that everybody is held to: anyone may do anything.
bool is_open_acl(const std::vector<wire::keeper::Acl>& acl) {
  if (acl.empty()) return false;
  for (const wire::keeper::Acl& one : acl) {
    const bool all = (one.perms & wire::keeper::all_perms) == wire::keeper::all_perms;
    if (one.scheme != "world" || one.id != "anyone" || !all) return false;
  }
  return true;
}

// A version that is incremented for ever wraps.
std::int32_t after(std::int32_t version) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(version) + 1);
}

bool is_sequential(CreateMode mode) {
  return mode == CreateMode::persistent_sequential || mode == CreateMode::ephemeral_sequential ||
         mode == CreateMode::persistent_sequential_with_ttl;
}

// What the znode's owner will be; nothing: the flags do not go together.
std::optional<std::int64_t> owner_of(const Request& request, CreateMode mode,
                                     std::int64_t session) {
  switch (mode) {
    case CreateMode::ephemeral:
    case CreateMode::ephemeral_sequential:
      return session;
    case CreateMode::container:
      return wire::keeper::container_owner;
    case CreateMode::persistent_with_ttl:
    case CreateMode::persistent_sequential_with_ttl:
      if (request.op != OpCode::create_ttl || request.ttl <= 0 ||
          request.ttl > wire::keeper::ttl_ms_max) {
        return std::nullopt;
      }
      return wire::keeper::owner_of_ttl(request.ttl);
    default:
      return 0;
  }
}

}  // namespace

Change Primary::refuse(ErrorCode error) {
  Change change;
  change.version = static_cast<std::int32_t>(error);
  return change;
}

Primary::Node Primary::look(std::string_view path) const {
  if (const auto staged = staged_.find(path); staged != staged_.end()) return staged->second;
  if (const auto ahead = ahead_.find(std::string(path)); ahead != ahead_.end()) {
    return ahead->second.node;
  }
  const Slot slot = state_.tree().find(path);
  if (slot == no_slot) return {};
  const Znode& node = state_.tree().at(slot);
  return {true, node.version, node.cversion, node.aversion, node.children, node.owner};
}

void Primary::keep(Overlay changes) {
  for (auto& [path, node] : changes) {
    order_.emplace_back(decided_, path);
    ahead_[path] = {node, decided_};
  }
}

void Primary::applied(const Transaction& transaction) {
  CHECK(applied_ < decided_);
  ++applied_;
  if (transaction.change.op == OpCode::close_session) closing_.erase(transaction.session);
  while (!order_.empty() && order_.front().first <= applied_) {
    const auto found = ahead_.find(order_.front().second);
    if (found != ahead_.end() && found->second.by <= applied_) ahead_.erase(found);
    order_.pop_front();
  }
}

Transaction Primary::decide(const Submitted& submitted, std::int64_t time_ms) {
  Transaction transaction;
  transaction.origin = submitted.origin;
  transaction.sequence = submitted.sequence;
  transaction.session = submitted.session;
  transaction.time_ms = time_ms;
  ++decided_;
  const ErrorCode session = check_session(submitted);
  if (session != ErrorCode::ok) {
    transaction.change = refuse(session);
    return transaction;
  }
  const auto request = wire::keeper::decode_body(submitted.op, submitted.body);
  if (!request) {
    transaction.change =
        refuse(request.error().code == Errc::unsupported ? ErrorCode::unimplemented
                                                         : ErrorCode::marshalling_error);
    return transaction;
  }
  CHECK(staged_.empty());
  transaction.change = decide_one(*request, submitted.session);
  keep(std::exchange(staged_, {}));
  return transaction;
}

ErrorCode Primary::check_session(const Submitted& submitted) {
  if (submitted.session == 0) return ErrorCode::ok;  // The leader's own, or no session yet.
  if (!is_open(submitted.session)) return ErrorCode::session_expired;
  if (submitted.origin == no_node) return ErrorCode::ok;
  const auto [owner, first] = owners_.emplace(submitted.session, submitted.origin);
  if (owner->second != submitted.origin) return ErrorCode::session_moved;
  return ErrorCode::ok;
}

Change Primary::decide_one(const Request& request, std::int64_t session) {
  switch (request.op) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      return decide_create(request, session);
    case OpCode::remove:
    case OpCode::delete_container:
      return decide_remove(request);
    case OpCode::set_data:
    case OpCode::set_acl:
    case OpCode::check:
      return decide_set(request);
    case OpCode::multi:
      return decide_multi(request, session);
    case OpCode::close_session:
      return decide_close(session);
    case OpCode::create_session:
    case OpCode::sync: {
      Change change;
      change.op = request.op;
      change.version = request.mode;
      change.data = request.data;
      return change;
    }
    default:
      return refuse(ErrorCode::unimplemented);
  }
}

Change Primary::decide_create(const Request& request, std::int64_t session) {
  if (request.flags < 0 || request.flags > wire::keeper::create_mode_max) {
    return refuse(ErrorCode::bad_arguments);
  }
  const auto mode = static_cast<CreateMode>(request.flags);
  const auto owner = owner_of(request, mode, session);
  if (!owner || request.path.empty() || request.path[0] != '/') {
    return refuse(ErrorCode::bad_arguments);
  }
  if (!is_open_acl(request.acl)) return refuse(ErrorCode::invalid_acl);
  if (request.path.size() + (request.data ? request.data->size() : 0) > znode_bytes_max_) {
    return refuse(ErrorCode::bad_arguments);
  }
  const std::string above(parent_of(request.path));
  Node parent = look(above);
  Change change;
  change.op = request.op;
  change.path = request.path;
  if (is_sequential(mode)) change.path += fmt::format("{:010}", parent.cversion);
  if (!is_valid_path(change.path)) return refuse(ErrorCode::bad_arguments);
  if (!parent.exists) return refuse(ErrorCode::no_node);
  if (look(change.path).exists) return refuse(ErrorCode::node_exists);
  if (wire::keeper::is_session_owner(parent.owner)) {
    return refuse(ErrorCode::no_children_for_ephemerals);
  }
  parent.cversion = after(parent.cversion);
  ++parent.children;
  change.data = request.data;
  change.version = parent.cversion;
  change.owner = *owner;
  staged_[above] = parent;
  staged_[change.path] = {.exists = true, .owner = *owner};
  return change;
}

Change Primary::decide_remove(const Request& request) {
  if (!is_valid_path(request.path) || is_reserved(request.path)) {
    return refuse(ErrorCode::bad_arguments);
  }
  const std::string above(parent_of(request.path));
  Node parent = look(above);
  const Node node = look(request.path);
  if (!parent.exists || !node.exists) return refuse(ErrorCode::no_node);
  if (request.op == OpCode::remove && request.version != -1 && request.version != node.version) {
    return refuse(ErrorCode::bad_version);
  }
  if (node.children > 0) return refuse(ErrorCode::not_empty);
  const bool goes_by_itself = node.owner != 0 && !wire::keeper::is_session_owner(node.owner);
  if (request.op == OpCode::delete_container && !goes_by_itself) {
    return refuse(ErrorCode::bad_version);
  }
  --parent.children;
  staged_[above] = parent;
  staged_[request.path] = {};
  Change change;
  change.op = request.op;
  change.path = request.path;
  return change;
}

Change Primary::decide_set(const Request& request) {
  if (!is_valid_path(request.path)) return refuse(ErrorCode::bad_arguments);
  const bool is_acl = request.op == OpCode::set_acl;
  if (is_acl && !is_open_acl(request.acl)) return refuse(ErrorCode::invalid_acl);
  if (request.path.size() + (request.data ? request.data->size() : 0) > znode_bytes_max_) {
    return refuse(ErrorCode::bad_arguments);
  }
  Node node = look(request.path);
  if (!node.exists) return refuse(ErrorCode::no_node);
  std::int32_t& version = is_acl ? node.aversion : node.version;
  if (request.version != -1 && request.version != version) return refuse(ErrorCode::bad_version);
  Change change;
  change.op = request.op;
  change.path = request.path;
  if (request.op == OpCode::check) return change;
  version = after(version);
  change.version = version;
  change.data = request.data;
  staged_[request.path] = node;
  return change;
}

// All or nothing. A refusal names the part that failed; those before it would have been, those
// after it were not looked at.
Change Primary::decide_multi(const Request& request, std::int64_t session) {
  Change change;
  change.op = OpCode::multi;
  ErrorCode error = ErrorCode::ok;
  for (const Request& part : request.parts) {
    if (error != ErrorCode::ok) {
      change.parts.push_back(refuse(ErrorCode::runtime_inconsistency));
      continue;
    }
    Change decided = decide_one(part, session);
    if (decided.op == OpCode::error) {
      error = static_cast<ErrorCode>(decided.version);
      for (Change& before : change.parts) before = refuse(ErrorCode::ok);
    }
    change.parts.push_back(std::move(decided));
  }
  if (error != ErrorCode::ok) staged_.clear();
  return change;
}

// Its ephemerals are those that are applied, less those that will be gone, and those to come.
Change Primary::decide_close(std::int64_t session) {
  std::set<std::string> paths;
  if (const std::set<Slot>* slots = state_.tree().ephemerals_of(session)) {
    for (const Slot slot : *slots) paths.insert(state_.tree().path_of(slot));
  }
  for (const auto& [path, decided] : ahead_) {
    const bool will_be_its_own = decided.node.exists && decided.node.owner == session;
    will_be_its_own ? static_cast<void>(paths.insert(path)) : static_cast<void>(paths.erase(path));
  }
  Change change;
  change.op = OpCode::close_session;
  for (const std::string& path : paths) {
    const std::string above(parent_of(path));
    Node parent = look(above);
    --parent.children;
    staged_[above] = parent;
    staged_[path] = {};
    change.paths.push_back(path);
  }
  closing_.insert(session);
  owners_.erase(session);
  return change;
}

}  // namespace qlab::keeper
