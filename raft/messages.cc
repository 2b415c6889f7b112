#include "raft/messages.h"

#include "common/bytes.h"

namespace qlab::raft {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::Message;

void put(BytesWriter& out, LogIndex index) {
  out.put(index.value());
}
void put(BytesWriter& out, LogId id) {
  out.put(id.epoch.value());
  out.put(id.index.value());
}
void put(BytesWriter& out, bool value) {
  out.put<std::uint8_t>(value ? 1 : 0);
}

bool get_bool(BytesReader& in) {
  const auto value = in.get<std::uint8_t>();
  if (value > 1) in.fail_with("a truth value is neither 0 nor 1");
  return value == 1;
}
LogIndex get_index(BytesReader& in) {
  const auto value = in.get<std::int64_t>();
  if (value < 0) in.fail_with("an index is negative");
  return LogIndex{value};
}
LogId get_log_id(BytesReader& in) {
  const auto epoch = in.get<std::int64_t>();
  if (epoch < 0) in.fail_with("an epoch is negative");
  return LogId{Epoch{epoch}, get_index(in)};
}

Kind kind_of(const VoteRequest&) {
  return Kind::vote_request;
}
Kind kind_of(const VoteReply&) {
  return Kind::vote_reply;
}
Kind kind_of(const AppendRequest&) {
  return Kind::append_request;
}
Kind kind_of(const AppendReply&) {
  return Kind::append_reply;
}
Kind kind_of(const Heartbeat&) {
  return Kind::heartbeat;
}
Kind kind_of(const HeartbeatReply&) {
  return Kind::heartbeat_reply;
}

void put_head(BytesWriter& out, const VoteRequest& m) {
  put(out, m.pre_vote);
  out.put(m.directory.high);
  out.put(m.directory.low);
  put(out, m.last);
}
void put_head(BytesWriter& out, const VoteReply& m) {
  put(out, m.pre_vote);
  put(out, m.granted);
}
void put_head(BytesWriter& out, const AppendRequest& m) {
  put(out, m.previous);
  put(out, m.commit);
}
void put_head(BytesWriter& out, const AppendReply& m) {
  put(out, m.accepted);
  put(out, m.match);
  put(out, m.rejected);
  put(out, m.hint);
}
void put_head(BytesWriter& out, const Heartbeat& m) {
  put(out, m.commit);
  out.put(m.round);
}
void put_head(BytesWriter& out, const HeartbeatReply& m) {
  out.put(m.round);
}

Payload get_head(Kind kind, BytesReader& in) {
  switch (kind) {
    case Kind::vote_request: {
      VoteRequest m;
      m.pre_vote = get_bool(in);
      m.directory.high = in.get<std::uint64_t>();
      m.directory.low = in.get<std::uint64_t>();
      m.last = get_log_id(in);
      return m;
    }
    case Kind::vote_reply: {
      VoteReply m;
      m.pre_vote = get_bool(in);
      m.granted = get_bool(in);
      return m;
    }
    case Kind::append_request: {
      AppendRequest m;
      m.previous = get_log_id(in);
      m.commit = get_index(in);
      return m;
    }
    case Kind::append_reply: {
      AppendReply m;
      m.accepted = get_bool(in);
      m.match = get_index(in);
      m.rejected = get_index(in);
      m.hint = get_log_id(in);
      return m;
    }
    case Kind::heartbeat: {
      Heartbeat m;
      m.commit = get_index(in);
      m.round = in.get<std::uint64_t>();
      return m;
    }
    case Kind::heartbeat_reply:
      return HeartbeatReply{in.get<std::uint64_t>()};
  }
  in.fail_with("the kind is not known");
  return HeartbeatReply{};
}

Result<void> check_entries(LogId before, Epoch epoch, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.body == nullptr) return fail(Errc::corrupt, "an entry has no body");
    if (entry.id.index != before.index.next()) {
      return fail(Errc::corrupt, "entry {} does not follow {}", entry.id.index, before.index);
    }
    if (entry.id.epoch < before.epoch || entry.id.epoch > epoch) {
      return fail(Errc::corrupt, "entry {} has epoch {} outside [{}, {}]", entry.id.index,
                  entry.id.epoch, before.epoch, epoch);
    }
    before = entry.id;
  }
  return {};
}

std::string show(LogId id) {
  return fmt::format("{}/{}", id.epoch, id.index);
}
std::string_view show(bool value) {
  return value ? "yes" : "no";
}

std::string words(const VoteRequest& m) {
  return fmt::format("{} last={}", m.pre_vote ? "pre" : "real", show(m.last));
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

std::string_view name_of(const Payload& payload) {
  static constexpr std::string_view names[] = {"vote_request", "vote_reply", "append_request",
                                               "append_reply", "heartbeat",  "heartbeat_reply"};
  return names[payload.index()];
}

}  // namespace

Message encode(Epoch epoch, const Payload& payload) {
  Message message;
  message.epoch = epoch;
  BytesWriter head;
  std::visit(
      [&](const auto& m) {
        message.kind = static_cast<std::uint16_t>(kind_of(m));
        put_head(head, m);
      },
      payload);
  message.head = head.take();
  if (const auto* append = std::get_if<AppendRequest>(&payload)) message.entries = append->entries;
  return message;
}

Result<Payload> decode(const Message& message) {
  BytesReader in(message.head);
  Payload payload = get_head(static_cast<Kind>(message.kind), in);
  if (in.ok() && in.left() > 0) in.fail_with("bytes are left behind the head");
  TRY_VOID(in.status());
  if (message.epoch < Epoch{1})
    return fail(Errc::corrupt, "epoch {} is not positive", message.epoch);
  auto* append = std::get_if<AppendRequest>(&payload);
  if (append == nullptr) {
    if (!message.entries.empty())
      return fail(Errc::corrupt, "{} carries entries", name_of(payload));
    return payload;
  }
  if (append->previous.epoch > message.epoch) {
    return fail(Errc::corrupt, "previous entry of epoch {} in a message of epoch {}",
                append->previous.epoch, message.epoch);
  }
  TRY_VOID(check_entries(append->previous, message.epoch, message.entries));
  append->entries = message.entries;
  return payload;
}

std::string describe(const Message& message) {
  const auto payload = decode(message);
  if (!payload) return fmt::format("malformed kind={} epoch={}", message.kind, message.epoch);
  return fmt::format("{} epoch={} {}", name_of(*payload), message.epoch,
                     std::visit([](const auto& m) { return words(m); }, *payload));
}

}  // namespace qlab::raft
