#include "wire/keeper/codes.h"

namespace qlab::wire::keeper {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::ok:
      return "Ok";
    case ErrorCode::system_error:
      return "SystemError";
    case ErrorCode::runtime_inconsistency:
      return "RuntimeInconsistency";
    case ErrorCode::connection_loss:
      return "ConnectionLoss";
    case ErrorCode::marshalling_error:
      return "MarshallingError";
    case ErrorCode::unimplemented:
      return "Unimplemented";
    case ErrorCode::bad_arguments:
      return "BadArguments";
    case ErrorCode::no_node:
      return "NoNode";
    case ErrorCode::bad_version:
      return "BadVersion";
    case ErrorCode::no_children_for_ephemerals:
      return "NoChildrenForEphemerals";
    case ErrorCode::node_exists:
      return "NodeExists";
    case ErrorCode::not_empty:
      return "NotEmpty";
    case ErrorCode::session_expired:
      return "SessionExpired";
    case ErrorCode::invalid_acl:
      return "InvalidACL";
    case ErrorCode::auth_failed:
      return "AuthFailed";
    case ErrorCode::session_moved:
      return "SessionMoved";
    case ErrorCode::no_watcher:
      return "NoWatcher";
    case ErrorCode::reconfig_disabled:
      return "ReconfigDisabled";
  }
  return "Unknown";
}

namespace {

struct NamedOp {
  OpCode op;
  std::string_view name;
  bool write;
};
constexpr NamedOp ops[] = {
    {OpCode::create, "create", true},
    {OpCode::remove, "delete", true},
    {OpCode::exists, "exists", false},
    {OpCode::get_data, "getData", false},
    {OpCode::set_data, "setData", true},
    {OpCode::get_acl, "getACL", false},
    {OpCode::set_acl, "setACL", true},
    {OpCode::get_children, "getChildren", false},
    {OpCode::sync, "sync", false},
    {OpCode::ping, "ping", false},
    {OpCode::get_children2, "getChildren2", false},
    {OpCode::check, "check", true},
    {OpCode::multi, "multi", true},
    {OpCode::create2, "create2", true},
    {OpCode::reconfig, "reconfig", false},
    {OpCode::check_watches, "checkWatches", false},
    {OpCode::remove_watches, "removeWatches", false},
    {OpCode::create_container, "createContainer", true},
    {OpCode::delete_container, "deleteContainer", true},
    {OpCode::create_ttl, "createTTL", true},
    {OpCode::multi_read, "multiRead", false},
    {OpCode::auth, "auth", false},
    {OpCode::set_watches, "setWatches", false},
    {OpCode::sasl, "sasl", false},
    {OpCode::get_ephemerals, "getEphemerals", false},
    {OpCode::get_all_children_number, "getAllChildrenNumber", false},
    {OpCode::set_watches2, "setWatches2", false},
    {OpCode::add_watch, "addWatch", false},
    {OpCode::create_session, "createSession", true},
    {OpCode::close_session, "closeSession", true},
    {OpCode::error, "error", false},
};

const NamedOp* find(OpCode op) {
  for (const NamedOp& one : ops) {
    if (one.op == op) return &one;
  }
  return nullptr;
}

}  // namespace

std::string_view name_of(OpCode op) {
  const NamedOp* found = find(op);
  return found == nullptr ? "unknown" : found->name;
}
bool is_known(OpCode op) {
  return find(op) != nullptr;
}
bool is_write(OpCode op) {
  const NamedOp* found = find(op);
  return found != nullptr && found->write;
}

}  // namespace qlab::wire::keeper
