#pragma once
// Requests as a test writes them, and a state as a test reads it.

#include <string>

#include "keeper/primary.h"

namespace qlab::keeper {

inline Data data_of(std::string_view text) {
  const ByteView view = as_view(text);
  return Bytes(view.begin(), view.end());
}

inline wire::keeper::Request create_request(std::string path, std::string_view data = "",
                                            std::int32_t flags = 0) {
  wire::keeper::Request request;
  request.op = OpCode::create;
  request.path = std::move(path);
  request.data = data_of(data);
  request.acl = {{wire::keeper::all_perms, "world", "anyone"}};
  request.flags = flags;
  return request;
}

inline wire::keeper::Request path_request(OpCode op, std::string path, std::int32_t version = -1) {
  wire::keeper::Request request;
  request.op = op;
  request.path = std::move(path);
  request.version = version;
  if (op == OpCode::set_data) request.data = data_of("new");
  return request;
}

inline wire::keeper::Request multi_request(std::vector<wire::keeper::Request> parts) {
  wire::keeper::Request request;
  request.op = OpCode::multi;
  request.parts = std::move(parts);
  return request;
}

// Every znode with its stat and data, and every session, in an order of its own: slots do not show.
inline std::string describe(const State& state) {
  std::map<std::string, std::string> nodes;
  const auto visit = [&](const auto& self, const std::string& path) -> void {
    const Tree& tree = state.tree();
    const Slot slot = tree.find(path);
    const Stat stat = tree.stat_of(slot);
    const auto data = tree.data_of(slot);
    nodes[path] =
        fmt::format("{} {} {} {} {} {} {} {} {} {} {}", stat.czxid, stat.mzxid, stat.pzxid,
                    stat.ctime, stat.mtime, stat.version, stat.cversion, stat.aversion,
                    stat.ephemeral_owner, stat.num_children, data ? as_text(*data) : "none");
    for (const std::string& name : tree.children_of(slot)) {
      self(self, path == "/" ? "/" + name : path + "/" + name);
    }
  };
  visit(visit, "/");
  std::string text = fmt::format("zxid {}\n", state.zxid());
  for (const auto& [path, line] : nodes) text += path + " " + line + "\n";
  for (const auto& [id, session] : state.sessions()) {
    text += fmt::format("session {} {} {}\n", id, session.timeout_ms,
                        std::to_integer<int>(session.password[0]));
  }
  return text;
}

inline Bytes image_of(const State& state, std::size_t piece_bytes = 1000) {
  const auto source = state.image();
  Bytes image;
  for (Bytes piece = source->next(piece_bytes); !piece.empty(); piece = source->next(piece_bytes)) {
    image.insert(image.end(), piece.begin(), piece.end());
  }
  return image;
}

inline Result<State> restore(ByteView image, std::size_t piece_bytes = 777) {
  StateRestorer restorer;
  while (!image.empty()) {
    const std::size_t count = std::min(piece_bytes, image.size());
    TRY_VOID(restorer.add(image.first(count)));
    image = image.subspan(count);
  }
  return restorer.finish();
}

// A leader and its state, without consensus: what is decided waits until it is applied.
struct Bench {
  static constexpr NodeId server{1};
  State state;
  Primary primary{state, 1000};
  std::deque<Transaction> waiting;
  std::vector<Transaction> log;
  std::int64_t time_ms = 1'000'000;
  Epoch epoch{3};

  const Change& decide(const wire::keeper::Request& request, std::int64_t session = 0,
                       NodeId origin = server) {
    BytesWriter body;
    put_body(body, request);
    Submitted submitted{origin, waiting.size(), session, request.op, body.take()};
    waiting.push_back(primary.decide(submitted, ++time_ms));
    return waiting.back().change;
  }
  ErrorCode error_of(const wire::keeper::Request& request, std::int64_t session = 0,
                     NodeId origin = server) {
    const Change& change = decide(request, session, origin);
    return change.op == OpCode::error ? static_cast<ErrorCode>(change.version) : ErrorCode::ok;
  }
  Outcome apply_one() {
    const Transaction transaction = std::move(waiting.front());
    waiting.pop_front();
    log.push_back(transaction);
    state.advance({epoch, LogIndex(static_cast<std::int64_t>(log.size()))});
    const Outcome outcome = state.apply(transaction);
    primary.applied(transaction);
    return outcome;
  }
  Outcome apply_all() {
    Outcome last;
    while (!waiting.empty()) last = apply_one();
    return last;
  }
  Outcome run(const wire::keeper::Request& request, std::int64_t session = 0) {
    decide(request, session);
    return apply_all();
  }
  std::int64_t open_session(std::int32_t timeout_ms = 4000) {
    wire::keeper::Request request;
    request.op = OpCode::create_session;
    request.mode = timeout_ms;
    request.data = data_of("0123456789abcdef");
    return run(request).session;
  }
  void close_session(std::int64_t session, NodeId origin = server) {
    wire::keeper::Request request;
    request.op = OpCode::close_session;
    decide(request, session, origin);
  }
};

}  // namespace qlab::keeper
