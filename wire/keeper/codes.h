#pragma once
// The numbers of ZooKeeper's client protocol, by ZooKeeper's names.
//
// Source: Apache ZooKeeper 3.8, ZooDefs, KeeperException, Watcher, CreateMode, AddWatchMode.

#include <cstdint>
#include <string_view>

namespace qlab::wire::keeper {

// What a request asks for. `error`, `create_session` and `close_session` are types of transactions,
// too.
enum class OpCode : std::int32_t {
  notification = 0,
  create = 1,
  remove = 2,  // ZooKeeper's `delete`.
  exists = 3,
  get_data = 4,
  set_data = 5,
  get_acl = 6,
  set_acl = 7,
  get_children = 8,
  sync = 9,
  ping = 11,
  get_children2 = 12,
  check = 13,
  multi = 14,
  create2 = 15,
  reconfig = 16,
  check_watches = 17,
  remove_watches = 18,
  create_container = 19,
  delete_container = 20,  // Asked by the leader of itself.
  create_ttl = 21,
  multi_read = 22,
  auth = 100,
  set_watches = 101,
  sasl = 102,
  get_ephemerals = 103,
  get_all_children_number = 104,
  set_watches2 = 105,
  add_watch = 106,
  create_session = -10,
  close_session = -11,
  error = -1,
};

enum class ErrorCode : std::int32_t {
  ok = 0,
  system_error = -1,
  runtime_inconsistency = -2,
  connection_loss = -4,
  marshalling_error = -5,
  unimplemented = -6,
  bad_arguments = -8,
  no_node = -101,
  bad_version = -103,
  no_children_for_ephemerals = -108,
  node_exists = -110,
  not_empty = -111,
  session_expired = -112,
  invalid_acl = -114,
  auth_failed = -115,
  session_moved = -118,
  no_watcher = -121,
  reconfig_disabled = -123,
};

// ZooKeeper's own words: NoNode, BadVersion, ...
std::string_view name_of(ErrorCode code);
std::string_view name_of(OpCode op);
bool is_known(OpCode op);
// It changes the state, or waits its turn among what does: the leader decides it.
bool is_write(OpCode op);

// Requests that no answer is matched with by count; the client's others number themselves from 1.
inline constexpr std::int32_t notification_xid = -1;
inline constexpr std::int32_t ping_xid = -2;
inline constexpr std::int32_t auth_xid = -4;
inline constexpr std::int32_t set_watches_xid = -8;

enum class EventType : std::int32_t {
  node_created = 1,
  node_deleted = 2,
  node_data_changed = 3,
  node_children_changed = 4,
};
inline constexpr std::int32_t state_sync_connected = 3;  // A watch event's other number.

// Flags of create; bits for what is ephemeral and what is sequential up to 3.
enum class CreateMode : std::int32_t {
  persistent = 0,
  ephemeral = 1,
  persistent_sequential = 2,
  ephemeral_sequential = 3,
  container = 4,
  persistent_with_ttl = 5,
  persistent_sequential_with_ttl = 6,
};
inline constexpr std::int32_t create_mode_max = 6;

enum class AddWatchMode : std::int32_t { persistent = 0, persistent_recursive = 1 };

// Which watches remove_watches and check_watches mean.
enum class WatcherType : std::int32_t {
  children = 1,
  data = 2,
  any = 3,
  persistent = 4,
  persistent_recursive = 5,
};

// What a znode's `ephemeralOwner` says when it is no session: a container has the lowest number, a
// node with a time to live 0xff in the top byte and milliseconds in the low 40 bits.
inline constexpr std::int64_t container_owner = INT64_MIN;
inline constexpr std::int64_t ttl_ms_max = (std::int64_t{1} << 40) - 1;
constexpr std::int64_t owner_of_ttl(std::int64_t ms) {
  return static_cast<std::int64_t>(std::uint64_t{0xff} << 56) | ms;
}
constexpr bool is_ttl_owner(std::int64_t owner) {
  return (static_cast<std::uint64_t>(owner) >> 40) == (std::uint64_t{0xff} << 16);
}
constexpr std::int64_t ttl_of_owner(std::int64_t owner) {
  return owner & ttl_ms_max;
}
// A session's; whoever is neither of the others and not 0.
constexpr bool is_session_owner(std::int64_t owner) {
  return owner != 0 && owner != container_owner && !is_ttl_owner(owner);
}

}  // namespace qlab::wire::keeper
