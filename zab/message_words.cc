// Messages as lines for scripts and people.
#include "zab/messages.h"

namespace qlab::zab {
namespace {

using consensus::LogId;

std::string show(LogId id) {
  return fmt::format("{}/{}", id.epoch, id.index);
}

std::string show(LogId previous, const std::vector<consensus::Entry>& entries) {
  std::string text = fmt::format(" previous={} entries=", show(previous));
  if (entries.empty()) return text + "none";
  text += show(entries.front().id);
  if (entries.size() > 1) text += ".." + show(entries.back().id);
  return text;
}

std::string words(const Notification& m) {
  std::string text =
      fmt::format(" round={} vote={} last={} peer_epoch={} state={}", m.round,
                  m.vote.leader == no_node ? std::string("none") : fmt::format("{}", m.vote.leader),
                  show(m.vote.last), m.vote.peer_epoch, name_of(m.state));
  if (m.vote.is_left_out) text += " left_out";
  if (m.config_at.index > LogIndex{0}) text += " config_at=" + show(m.config_at);
  if (m.config) text += fmt::format(" members={}", m.config->members.size());
  return m.is_reply ? text + " reply" : text;
}
std::string words(const FollowerInfo& m) {
  return fmt::format(" accepted_epoch={}", m.accepted_epoch);
}
std::string words(const AckEpoch& m) {
  return fmt::format(" current_epoch={} last={}{}", m.current_epoch, show(m.last),
                     m.again ? " again" : "");
}
std::string words(const Trunc& m) {
  return " to=" + show(m.to);
}
std::string words(const Diff& m) {
  return show(m.previous, m.entries);
}
std::string words(const Snap& m) {
  return fmt::format(" image={} position={} bytes={} of={}", show(m.image.last), m.position,
                     m.bytes.size(), m.image.size);
}
std::string words(const SnapAck& m) {
  return fmt::format(" position={}", m.position);
}
std::string words(const NewLeader& m) {
  return " last=" + show(m.last);
}
std::string words(const UpToDate& m) {
  return fmt::format(" commit={}", m.commit);
}
std::string words(const Proposal& m) {
  return show(m.previous, m.entries);
}
std::string words(const Ack& m) {
  return fmt::format(" up_to={}", m.up_to);
}
std::string words(const Commit& m) {
  return fmt::format(" up_to={}", m.up_to);
}
std::string words(const CommitAndActivate& m) {
  return fmt::format(" up_to={} designated={}", m.up_to, m.designated);
}
std::string words(const Inform& m) {
  return show(m.previous, m.entries);
}
std::string words(const Ping& m) {
  return fmt::format(" round={}", m.round);
}
std::string words(const PingReply& m) {
  return fmt::format(" round={}", m.round);
}
std::string words(const LeaderInfo&) {
  return {};
}
std::string words(const AckNewLeader&) {
  return {};
}

std::string_view name_of(const Payload& payload) {
  static constexpr std::string_view names[] = {
      "notification", "follower_info", "leader_info", "ack_epoch",  "trunc",
      "diff",         "snap",          "snap_ack",    "new_leader", "ack_new_leader",
      "up_to_date",   "proposal",      "ack",         "commit",     "commit_and_activate",
      "inform",       "ping",          "ping_reply"};
  static_assert(std::size(names) == std::variant_size_v<Payload>);
  return names[payload.index()];
}

// The number of a session is of interest only when there was one before.
template <class M>
std::string session_of(const M& m) {
  if constexpr (requires { m.session; }) {
    if (m.session != 1) return fmt::format(" session={}", m.session);
  }
  return {};
}

}  // namespace

std::string_view name_of(PeerState state) {
  static constexpr std::string_view names[] = {"looking", "following", "leading", "observing"};
  return names[static_cast<std::size_t>(state)];
}

std::string describe(const consensus::Message& message) {
  const auto payload = decode(message);
  if (!payload) return fmt::format("malformed kind={} epoch={}", message.kind, message.epoch);
  std::string text(name_of(*payload));
  if (payload->index() > 1) text += fmt::format(" epoch={}", message.epoch);
  return text + std::visit([](const auto& m) { return session_of(m) + words(m); }, *payload);
}

}  // namespace qlab::zab
