#include "keeper/replies.h"

#include "keeper/path.h"

namespace qlab::keeper {
namespace {

using wire::keeper::AddWatchMode;
using wire::keeper::EventType;
using wire::keeper::PartHeader;
using wire::keeper::Request;
using wire::keeper::WatcherType;

Answer refusal(ErrorCode error) {
  return {error, {}};
}

void put_found(BytesWriter& out, const Tree& tree, Slot slot, OpCode op) {
  using namespace wire::keeper;
  if (op == OpCode::get_data) put_data(out, tree.data_of(slot));
  if (op == OpCode::get_acl) put(out, std::vector<Acl>{{all_perms, "world", "anyone"}});
  if (op == OpCode::get_children || op == OpCode::get_children2) {
    put_strings(out, tree.children_of(slot));
  }
  if (op != OpCode::get_children) put(out, tree.stat_of(slot));
}

// exists, get_data, get_acl, get_children, get_children2
Answer answer_one(const State& state, Watches& watches, Reader reader, const Request& request) {
  if (!is_valid_path(request.path)) return refusal(ErrorCode::bad_arguments);
  const Tree& tree = state.tree();
  const Slot slot = tree.find(request.path);
  const bool of_children =
      request.op == OpCode::get_children || request.op == OpCode::get_children2;
  // Only exists watches what is not there.
  if (request.watch && (slot != no_slot || request.op == OpCode::exists)) {
    watches.add(reader.watcher, request.path, of_children ? WatchKind::children : WatchKind::data);
  }
  if (slot == no_slot) return refusal(ErrorCode::no_node);
  BytesWriter out;
  put_found(out, tree, slot, request.op);
  return {ErrorCode::ok, out.take()};
}

Answer answer_multi_read(const State& state, Watches& watches, Reader reader,
                         const Request& request) {
  BytesWriter out;
  for (const Request& part : request.parts) {
    const Answer answer = answer_one(state, watches, reader, part);
    if (answer.error == ErrorCode::ok) {
      wire::keeper::put(out, PartHeader{part.op, false, 0});
      out.put_bytes(answer.body);
    } else {
      wire::keeper::put(out,
                        PartHeader{OpCode::error, false, static_cast<std::int32_t>(answer.error)});
      out.put(static_cast<std::int32_t>(answer.error));
    }
  }
  wire::keeper::put(out, PartHeader{OpCode::error, true, -1});
  return {ErrorCode::ok, out.take()};
}

// A client that comes back brings its watches and the last zxid it saw: of what happened since it
// is told at once, the rest is watched.
Answer set_watches(const State& state, Watches& watches, Reader reader, const Request& request) {
  const Tree& tree = state.tree();
  const WatcherId who = reader.watcher;
  for (const std::string& path : request.data_watches) {
    const Slot slot = tree.find(path);
    if (slot == no_slot) {
      watches.tell(who, EventType::node_deleted, path);
    } else if (tree.at(slot).mzxid > request.relative_zxid) {
      watches.tell(who, EventType::node_data_changed, path);
    } else {
      watches.add(who, path, WatchKind::data);
    }
  }
  for (const std::string& path : request.exist_watches) {
    if (tree.find(path) != no_slot) {
      watches.tell(who, EventType::node_created, path);
    } else {
      watches.add(who, path, WatchKind::data);
    }
  }
  for (const std::string& path : request.child_watches) {
    const Slot slot = tree.find(path);
    if (slot == no_slot) {
      watches.tell(who, EventType::node_deleted, path);
    } else if (tree.at(slot).pzxid > request.relative_zxid) {
      watches.tell(who, EventType::node_children_changed, path);
    } else {
      watches.add(who, path, WatchKind::children);
    }
  }
  for (const std::string& path : request.persistent_watches) {
    watches.add(who, path, WatchKind::persistent);
  }
  for (const std::string& path : request.recursive_watches) {
    watches.add(who, path, WatchKind::recursive);
  }
  return {};
}

Answer add_watch(Watches& watches, Reader reader, const Request& request) {
  const bool known = request.mode == static_cast<std::int32_t>(AddWatchMode::persistent) ||
                     request.mode == static_cast<std::int32_t>(AddWatchMode::persistent_recursive);
  if (!known || !is_valid_path(request.path)) return refusal(ErrorCode::bad_arguments);
  const bool recursive =
      request.mode == static_cast<std::int32_t>(AddWatchMode::persistent_recursive);
  watches.add(reader.watcher, request.path,
              recursive ? WatchKind::recursive : WatchKind::persistent);
  BytesWriter out;
  out.put(std::int32_t{0});  // An ErrorResponse of its own says that all is well.
  return {ErrorCode::ok, out.take()};
}

Answer find_or_remove_watch(Watches& watches, Reader reader, const Request& request) {
  if (request.mode < 1 || request.mode > 5) return refusal(ErrorCode::bad_arguments);
  const auto type = static_cast<WatcherType>(request.mode);
  const bool found = request.op == OpCode::remove_watches
                         ? watches.remove(reader.watcher, request.path, type)
                         : watches.has(reader.watcher, request.path, type);
  return found ? Answer{} : refusal(ErrorCode::no_watcher);
}

Answer answer_ephemerals(const State& state, Reader reader, const Request& request) {
  std::vector<std::string> paths;
  if (const std::set<Slot>* slots = state.tree().ephemerals_of(reader.session)) {
    for (const Slot slot : *slots) {
      std::string path = state.tree().path_of(slot);
      if (path.starts_with(request.path)) paths.push_back(std::move(path));
    }
  }
  BytesWriter out;
  wire::keeper::put_strings(out, paths);
  return {ErrorCode::ok, out.take()};
}

// All that lies below a path.
Answer answer_descendants(const State& state, const Request& request) {
  const Tree& tree = state.tree();
  const Slot top = tree.find(request.path);
  if (top == no_slot) return refusal(ErrorCode::no_node);
  std::int32_t count = -1;  // Not itself.
  std::vector<Slot> waiting = {top};
  while (!waiting.empty()) {
    Slot slot = waiting.back();
    waiting.pop_back();
    ++count;
    for (slot = tree.at(slot).first_child; slot != no_slot; slot = tree.at(slot).next) {
      waiting.push_back(slot);
    }
  }
  BytesWriter out;
  out.put(count);
  return {ErrorCode::ok, out.take()};
}

void put_outcome(BytesWriter& out, const Outcome& outcome) {
  using namespace wire::keeper;
  switch (outcome.op) {
    case OpCode::create:
      return put_string(out, outcome.path);
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      put_string(out, outcome.path);
      return put(out, outcome.stat);
    case OpCode::set_data:
    case OpCode::set_acl:
      return put(out, outcome.stat);
    case OpCode::error:
      return out.put(static_cast<std::int32_t>(outcome.error));
    default:
      return;
  }
}

}  // namespace

Answer answer_read(const State& state, Watches& watches, Reader reader, const Request& request) {
  switch (request.op) {
    case OpCode::ping:
      return {};
    case OpCode::multi_read:
      return answer_multi_read(state, watches, reader, request);
    case OpCode::set_watches:
    case OpCode::set_watches2:
      return set_watches(state, watches, reader, request);
    case OpCode::add_watch:
      return add_watch(watches, reader, request);
    case OpCode::remove_watches:
    case OpCode::check_watches:
      return find_or_remove_watch(watches, reader, request);
    case OpCode::get_ephemerals:
      return answer_ephemerals(state, reader, request);
    case OpCode::get_all_children_number:
      return answer_descendants(state, request);
    default:
      return answer_one(state, watches, reader, request);
  }
}

Answer answer_write(const Outcome& outcome) {
  if (outcome.op == OpCode::error) return {outcome.error, {}};
  BytesWriter out;
  if (outcome.op != OpCode::multi) {
    put_outcome(out, outcome);
    return {ErrorCode::ok, out.take()};
  }
  for (const Outcome& part : outcome.parts) {
    wire::keeper::put(out, PartHeader{part.op, false, static_cast<std::int32_t>(part.error)});
    put_outcome(out, part);
  }
  wire::keeper::put(out, PartHeader{OpCode::error, true, -1});
  return {ErrorCode::ok, out.take()};
}

}  // namespace qlab::keeper
