// A server among the others: who leads, and what goes to the leader.
#include <algorithm>

#include "common/logging.h"
#include "keeper/server.h"

namespace qlab::keeper {

bool Server::send(NodeId to, const PeerMessage& message) {
  return runtime_.transport().send(to, runtime::Channel::keeper, encode(message));
}

void Server::submit(const ConnectionPtr& connection, std::uint64_t number, OpCode op, Bytes body) {
  if (!leader_id_) return connection->close();
  waiting_.emplace(number, connection);
  if (!leads()) {
    PeerMessage message;
    message.kind = PeerKind::submit;
    message.epoch = leader_epoch_;
    message.id = number;
    message.session = connection->session;
    message.op = op;
    message.body = std::move(body);
    if (send(*leader_id_, message)) return;
    waiting_.erase(number);
    return connection->close();
  }
  Submitted submitted{options_.id, number, connection->session, op, std::move(body)};
  if (leader_.is_active()) return leader_.submit(std::move(submitted));
  if (early_.size() >= Options::early_requests_max) {
    waiting_.erase(number);
    return connection->close();
  }
  early_.push_back(std::move(submitted));
}

void Server::ask_sync(const ConnectionPtr& connection, std::uint64_t number) {
  if (!leader_id_) return connection->close();
  waiting_.emplace(number, connection);
  PeerMessage message;
  message.kind = PeerKind::sync;
  message.epoch = leader_epoch_;
  message.id = number;
  if (!leads() && send(*leader_id_, message)) return;
  if (leads() && leader_.is_active()) {
    return leader_.sync([this, number](LogIndex index) { take_sync(number, index); });
  }
  waiting_.erase(number);
  connection->close();
}

void Server::ask_validation(const ConnectionPtr& connection, std::int64_t session) {
  const std::uint64_t number = ++last_number_;
  waiting_.emplace(number, connection);
  if (leads() && leader_.is_active()) {
    return take_validation(number, leader_.validate(options_.id, session, connection->password));
  }
  PeerMessage message;
  message.kind = PeerKind::validate;
  message.epoch = leader_epoch_;
  message.id = number;
  message.session = session;
  message.body = connection->password;
  if (!leads() && send(*leader_id_, message)) return;
  waiting_.erase(number);
  connection->close();
}

Server::ConnectionPtr Server::waiting(std::uint64_t number) {
  const auto found = waiting_.extract(number);
  return found.empty() ? nullptr : found.mapped();
}

void Server::take_validation(std::uint64_t number, std::int32_t timeout_ms) {
  const ConnectionPtr connection = waiting(number);
  if (connection == nullptr || connection->is_ending()) return;
  if (timeout_ms == 0) {
    return refuse_session(connection, "it expired, or the password is another");
  }
  establish(connection, connection->asked_session, timeout_ms);
}

void Server::take_sync(std::uint64_t number, LogIndex index) {
  if (!waiting_.contains(number)) return;
  if (index > machine_.applied_index()) {
    syncs_.emplace(index, number);
    return;
  }
  const ConnectionPtr connection = waiting(number);
  for (Asked& asked : connection->queue) {
    if (asked.number == number) asked.waits = false;
  }
  pump(connection);
}

void Server::on_progress() {
  while (!syncs_.empty() && syncs_.begin()->first <= machine_.applied_index()) {
    const auto [index, number] = *syncs_.begin();
    syncs_.erase(syncs_.begin());
    take_sync(number, index);
  }
}

void Server::on_message(NodeId from, Bytes payload) {
  const auto message = decode_peer_message(payload);
  if (!message) {
    ++garbage_;
    return;
  }
  switch (message->kind) {
    case PeerKind::validated:
      return take_validation(message->id, message->timeout_ms);
    case PeerKind::synced:
      return take_sync(message->id, message->index);
    case PeerKind::touched:
      return take_touched(message->id);
    case PeerKind::refused:
      if (const ConnectionPtr connection = waiting(message->id)) connection->close();
      return;
    default:
      return answer_peer(from, *message);
  }
}

// Requests to the leader.
void Server::answer_peer(NodeId from, const PeerMessage& message) {
  const bool is_ours = leads() && message.epoch == leader_epoch_;
  PeerMessage answer;
  answer.epoch = message.epoch;
  answer.id = message.id;
  if (message.kind == PeerKind::touch) {
    if (!is_ours || !leader_.is_active()) return;
    for (const std::int64_t session : message.sessions) leader_.touch(session);
    answer.kind = PeerKind::touched;
    static_cast<void>(send(from, answer));
    return;
  }
  if (message.kind == PeerKind::submit && is_ours) {
    Submitted submitted{from, message.id, message.session, message.op, message.body};
    if (leader_.is_active()) return leader_.submit(std::move(submitted));
    if (early_.size() < Options::early_requests_max) {
      early_.push_back(std::move(submitted));
      return;
    }
  } else if (message.kind == PeerKind::validate && is_ours && leader_.is_active()) {
    answer.kind = PeerKind::validated;
    answer.timeout_ms = leader_.validate(from, message.session, message.body);
    static_cast<void>(send(from, answer));
    return;
  } else if (message.kind == PeerKind::sync && is_ours && leader_.is_active()) {
    answer.kind = PeerKind::synced;
    return leader_.sync([this, from, answer](LogIndex index) mutable {
      answer.index = index;
      static_cast<void>(send(from, answer));
    });
  }
  answer.kind = PeerKind::refused;
  static_cast<void>(send(from, answer));
}

void Server::touch_sessions() {
  if (leads() && leader_.is_active()) {
    for (const std::int64_t session : heard_) leader_.touch(session);
    heard_.clear();
    confirmed_ = runtime_.now();
  } else if (leader_id_ && !leads()) {
    PeerMessage message;
    message.kind = PeerKind::touch;
    message.id = static_cast<std::uint64_t>(runtime_.now().time_since_epoch().count());
    message.epoch = leader_epoch_;
    message.sessions.assign(heard_.begin(), heard_.end());
    if (send(*leader_id_, message)) heard_.clear();
  }
}

void Server::take_touched(std::uint64_t sent) {
  const Time at{Duration(static_cast<Duration::rep>(sent))};
  if (at <= runtime_.now()) confirmed_ = std::max(confirmed_, at);
}

// The fate of what waits is unknown. Its clients come back with their sessions.
void Server::give_up_waiting(std::string_view why) {
  if (!waiting_.empty()) {
    log(LogLevel::info, "keeper", "{} requests wait for the leader; closing their connections: {}",
        waiting_.size(), why);
  }
  for (const auto& [number, connection] : waiting_) connection->close();
  waiting_.clear();
  syncs_.clear();
}

void Server::on_link_down(NodeId peer) {
  if (leader_id_ == peer) give_up_waiting("the link to it broke");
}

void Server::on_activate(Epoch epoch) {
  leader_.activate(epoch);
  touch_sessions();
  while (!early_.empty()) {
    Submitted submitted = std::move(early_.front());
    early_.pop_front();
    leader_.submit(std::move(submitted));
  }
}

void Server::on_deactivate() {
  leader_.deactivate();
  early_.clear();
  give_up_waiting("this server does not lead any more");
}

void Server::on_leader(Epoch epoch, std::optional<NodeId> leader) {
  if (epoch == leader_epoch_ && leader == leader_id_) return;
  leader_epoch_ = epoch;
  leader_id_ = leader;
  early_.clear();
  give_up_waiting("another epoch began");
}

// Nobody saw what happened in between, so nobody's watches can be kept: clients bring them again.
void Server::on_restored() {
  give_up_waiting("this server fell behind");
  for (const auto& [id, connection] : connections_) connection->close();
}

void Server::on_undecodable(Error error) {
  on_fatal_(std::move(error));
}

}  // namespace qlab::keeper
