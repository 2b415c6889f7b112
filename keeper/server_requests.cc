// What clients ask of a server, and what they are told.
#include <algorithm>

#include "common/logging.h"
#include "keeper/path.h"
#include "keeper/server.h"

namespace qlab::keeper {
namespace {

using wire::keeper::EventType;

constexpr std::size_t request_head_bytes = 8;

// What a client may have written to the log; the other writes are the servers' own.
bool is_clients_write(OpCode op) {
  return wire::keeper::is_write(op) && op != OpCode::create_session &&
         op != OpCode::delete_container;
}

Answer path_answer(const std::string& path) {
  BytesWriter out;
  wire::keeper::put_string(out, path);
  return {ErrorCode::ok, out.take()};
}

}  // namespace

void Server::on_frame(const ConnectionPtr& connection, ByteView frame) {
  BytesReader in(frame);
  Asked asked;
  asked.xid = in.get<std::int32_t>();
  const auto op = static_cast<OpCode>(in.get<std::int32_t>());
  if (!in.ok()) {
    ++garbage_;
    log(LogLevel::warn, "keeper", "closing {}: a request of {} bytes", connection->remote(),
        frame.size());
    return connection->close();
  }
  asked.request.op = op;
  asked.bytes = frame.size();
  asked.since = connection->last_heard = runtime_.now();
  ++connection->received;
  heard_.insert(connection->session);
  if (op == OpCode::auth || op == OpCode::sasl) {
    log(LogLevel::warn, "keeper", "closing {}: it wants to authenticate, and there are no users",
        connection->remote());
    asked.answer.error = ErrorCode::auth_failed;
    reply(*connection, asked, asked.answer);
    return connection->close_when_sent();
  }
  const ByteView body = frame.subspan(request_head_bytes);
  const bool is_write = is_clients_write(op);
  if (is_write) {
    asked.waits = true;
  } else if (op == OpCode::reconfig) {
    asked.answer.error = ErrorCode::reconfig_disabled;
  } else if (auto request = op == OpCode::create_session || op == OpCode::delete_container
                                ? fail(Errc::unsupported, "a server's own request")
                                : wire::keeper::decode_body(op, body);
             !request) {
    ++garbage_;
    asked.answer.error = request.error().code == Errc::unsupported ? ErrorCode::unimplemented
                                                                   : ErrorCode::marshalling_error;
  } else {
    asked.request = std::move(*request);
    asked.waits = op == OpCode::sync;
    asked.is_read = !asked.waits;
    if (asked.waits) asked.answer = path_answer(asked.request.path);
  }
  if (asked.waits) asked.number = ++last_number_;
  const std::uint64_t number = asked.number;
  connection->add_open(asked.bytes);
  connection->queue.push_back(std::move(asked));
  if (op == OpCode::sync && number != 0 && !options_.quorum_sync) {
    ask_sync(connection, number);
  } else if (number != 0) {
    submit(connection, number, op, Bytes(body.begin(), body.end()));
  }
  pump(connection);
}

// Answers what can be answered, oldest first.
void Server::pump(const ConnectionPtr& connection) {
  while (!connection->queue.empty() && !connection->is_ending()) {
    Asked& front = connection->queue.front();
    if (front.waits) return;
    if (front.is_read) {
      front.answer = answer_read(machine_.state(), watches_, {connection->id, connection->session},
                                 front.request);
    }
    reply(*connection, front, front.answer);
    latencies_.add(to_millis(runtime_.now() - front.since));
    const bool was_last = front.request.op == OpCode::close_session;
    connection->remove_open(front.bytes);
    connection->queue.pop_front();
    if (was_last) connection->close_when_sent();
  }
}

void Server::reply(Connection& connection, const Asked& asked, const Answer& answer) {
  connection.send_frame([&](BytesWriter& out) {
    put(out, wire::keeper::ReplyHeader{asked.xid, machine_.state().zxid(), answer.error});
    out.put_bytes(answer.body);
  });
}

void Server::on_applied(const Transaction& transaction, const Outcome& outcome,
                        consensus::LogId id) {
  if (leader_.is_active()) leader_.applied(transaction, outcome, id);
  tell_watchers(outcome);
  const ConnectionPtr asker = transaction.origin == options_.id && transaction.sequence != 0
                                  ? waiting(transaction.sequence)
                                  : nullptr;
  if (outcome.op == OpCode::close_session) {
    const auto serving = sessions_.find(outcome.session);
    const auto there = serving == sessions_.end() ? nullptr : serving->second.lock();
    if (there != nullptr && there != asker) there->close();
  }
  if (asker == nullptr || asker->is_ending()) return;
  // Another server has the session, by a later handshake or by one that its client had given up:
  // only a handshake anew brings it where the client is (ZOOKEEPER-710).
  if (outcome.error == ErrorCode::session_moved) return asker->close();
  if (outcome.op == OpCode::create_session) {
    return establish(asker, outcome.session, asker->timeout_ms);
  }
  for (Asked& asked : asker->queue) {
    if (asked.number != transaction.sequence) continue;
    asked.waits = false;
    if (outcome.op != OpCode::sync) asked.answer = answer_write(outcome);
    break;
  }
  pump(asker);
}

void Server::tell_watchers(const Outcome& outcome) {
  const auto gone = [this](const std::string& path) {
    watches_.happened(EventType::node_deleted, path);
    watches_.happened(EventType::node_children_changed, std::string(parent_of(path)));
  };
  switch (outcome.op) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl:
      watches_.happened(EventType::node_created, outcome.path);
      watches_.happened(EventType::node_children_changed, std::string(parent_of(outcome.path)));
      return;
    case OpCode::remove:
    case OpCode::delete_container:
      return gone(outcome.path);
    case OpCode::set_data:
      return watches_.happened(EventType::node_data_changed, outcome.path);
    case OpCode::close_session:
      for (const std::string& path : outcome.removed) gone(path);
      return;
    case OpCode::multi:
      for (const Outcome& part : outcome.parts) tell_watchers(part);
      return;
    default:
      return;
  }
}

}  // namespace qlab::keeper
