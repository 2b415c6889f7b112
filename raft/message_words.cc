// Messages in words, for scripts and people.
#include "raft/messages.h"

namespace qlab::raft {
namespace {

using consensus::LogId;

std::string show(LogId id) {
  return fmt::format("{}/{}", id.epoch, id.index);
}
std::string_view show(bool value) {
  return value ? "yes" : "no";
}
std::string_view show(consensus::Fate fate) {
  static constexpr std::string_view names[] = {"committed", "rejected", "superseded", "unknown",
                                               "overloaded"};
  return names[static_cast<std::size_t>(fate)];
}

std::string words(const VoteRequest& m) {
  return fmt::format("{}{} last={}", m.pre_vote ? "pre" : "real", m.transfer ? " transfer" : "",
                     show(m.last));
}
std::string words(const VoteReply& m) {
  return fmt::format("{} granted={}", m.pre_vote ? "pre" : "real", show(m.granted));
}
std::string words(const AppendRequest& m) {
  std::string text = fmt::format("previous={} commit={} entries=", show(m.previous), m.commit);
  if (m.entries.empty()) return text + "none";
  text += show(m.entries.front().id);
  if (m.entries.size() > 1) text += ".." + show(m.entries.back().id);
  return text;
}
std::string words(const AppendReply& m) {
  if (m.accepted) return fmt::format("match={}", m.match);
  return fmt::format("rejected={} hint={}", m.rejected, show(m.hint));
}
std::string words(const Heartbeat& m) {
  return fmt::format("commit={} round={}", m.commit, m.round);
}
std::string words(const HeartbeatReply& m) {
  return fmt::format("round={}", m.round);
}
std::string words(const SnapshotRequest& m) {
  if (m.bytes->empty()) return fmt::format("offers={} size={}", show(m.image.last), m.image.size);
  return fmt::format("image={} position={} bytes={} size={}", show(m.image.last), m.position,
                     m.bytes->size(), m.image.size);
}
std::string words(const SnapshotReply& m) {
  return fmt::format("image={} position={}", show(m.image), m.position);
}
std::string words(const TimeoutNow&) {
  return "now";
}
std::string words(const ReadRequest& m) {
  return fmt::format("number={}", m.ticket.number);
}
std::string words(const ReadReply& m) {
  if (!m.served) return fmt::format("number={} refused", m.ticket.number);
  return fmt::format("number={} index={}", m.ticket.number, m.index);
}
std::string words(const ForwardRequest& m) {
  return fmt::format("number={} entries={}", m.ticket.number, m.bodies.size());
}
std::string words(const ForwardReply& m) {
  std::string text = fmt::format("number={} {}", m.ticket.number, show(m.fate));
  if (m.fate == consensus::Fate::committed) text += " at=" + show(m.at);
  return text;
}

}  // namespace

std::string_view name_of(const Payload& payload) {
  static constexpr std::string_view names[] = {
      "vote_request",    "vote_reply",       "append_request", "append_reply", "heartbeat",
      "heartbeat_reply", "snapshot_request", "snapshot_reply", "timeout_now",  "read_request",
      "read_reply",      "forward_request",  "forward_reply"};
  return names[payload.index()];
}

std::string describe(const consensus::Message& message) {
  const auto payload = decode(message);
  if (!payload) return fmt::format("malformed kind={} epoch={}", message.kind, message.epoch);
  return fmt::format("{} epoch={} {}", name_of(*payload), message.epoch,
                     std::visit([](const auto& m) { return words(m); }, *payload));
}

}  // namespace qlab::raft
