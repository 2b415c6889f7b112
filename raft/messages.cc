#include "raft/messages.h"

#include <concepts>
#include <limits>

#include "common/bytes.h"
#include "consensus/config.h"

namespace qlab::raft {
namespace {

using consensus::Config;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;
using consensus::Message;
using consensus::SnapshotMeta;

// Writes and Reads take the same fields in the same order, so a head is described once.
struct Writes {
  BytesWriter out;

  void operator()(bool value) { out.put<std::uint8_t>(value ? 1 : 0); }
  void operator()(std::uint64_t value) { out.put(value); }
  void operator()(LogIndex index) { out.put(index.value()); }
  void operator()(LogId id) {
    out.put(id.epoch.value());
    out.put(id.index.value());
  }
  void operator()(const DirectoryId& id) {
    out.put(id.high);
    out.put(id.low);
  }
  void operator()(Ticket ticket) {
    out.put(ticket.life);
    out.put(ticket.number);
  }
  void operator()(Fate fate) { out.put(static_cast<std::uint8_t>(fate)); }
  void operator()(const SnapshotMeta& image) {
    const Bytes config = encode_config(image.config);
    (*this)(image.last);
    out.put(image.size);
    out.put(static_cast<std::uint32_t>(config.size()));
    out.put_bytes(config);
  }
};

struct Reads {
  BytesReader in;

  void operator()(bool& value) {
    const auto byte = in.get<std::uint8_t>();
    if (byte > 1) in.fail_with("a truth value is neither 0 nor 1");
    value = byte == 1;
  }
  void operator()(std::uint64_t& value) { value = in.get<std::uint64_t>(); }
  void operator()(LogIndex& index) {
    const auto value = in.get<std::int64_t>();
    if (value < 0 || value == std::numeric_limits<std::int64_t>::max()) {
      in.fail_with("an index is out of range");
    }
    index = LogIndex{value};
  }
  void operator()(LogId& id) {
    const auto epoch = in.get<std::int64_t>();
    if (epoch < 0) in.fail_with("an epoch is negative");
    id.epoch = Epoch{epoch};
    (*this)(id.index);
  }
  void operator()(DirectoryId& id) {
    id.high = in.get<std::uint64_t>();
    id.low = in.get<std::uint64_t>();
  }
  void operator()(Ticket& ticket) {
    ticket.life = in.get<std::uint64_t>();
    ticket.number = in.get<std::uint64_t>();
  }
  void operator()(Fate& fate) {
    const auto byte = in.get<std::uint8_t>();
    if (byte > static_cast<std::uint8_t>(Fate::overloaded)) in.fail_with("a fate is not known");
    fate = static_cast<Fate>(byte);
  }
  void operator()(SnapshotMeta& image) {
    (*this)(image.last);
    image.size = in.get<std::uint64_t>();
    auto config = consensus::decode_config(in.get_bytes(in.get<std::uint32_t>()));
    if (!config) return in.fail_with("an image's configuration is damaged");
    image.config = std::move(*config);
  }
};

void all(auto& f, auto&... fields) {
  (f(fields), ...);
}

template <class M, class T>
concept Is = std::same_as<std::remove_const_t<M>, T>;

void fields(Is<VoteRequest> auto& m, auto& f) {
  all(f, m.pre_vote, m.transfer, m.directory, m.last);
}
void fields(Is<VoteReply> auto& m, auto& f) {
  all(f, m.pre_vote, m.granted, m.directory);
}
void fields(Is<AppendRequest> auto& m, auto& f) {
  all(f, m.previous, m.commit);
}
void fields(Is<AppendReply> auto& m, auto& f) {
  all(f, m.accepted, m.match, m.rejected, m.hint, m.directory, m.bare);
}
void fields(Is<Heartbeat> auto& m, auto& f) {
  all(f, m.commit, m.round);
}
void fields(Is<HeartbeatReply> auto& m, auto& f) {
  all(f, m.round, m.directory);
}
void fields(Is<SnapshotRequest> auto& m, auto& f) {
  all(f, m.image, m.position);
}
void fields(Is<SnapshotReply> auto& m, auto& f) {
  all(f, m.image, m.position, m.directory);
}
void fields(Is<TimeoutNow> auto&, auto&) {}
void fields(Is<ReadRequest> auto& m, auto& f) {
  all(f, m.ticket);
}
void fields(Is<ReadReply> auto& m, auto& f) {
  all(f, m.ticket, m.served, m.index);
}
void fields(Is<ForwardRequest> auto& m, auto& f) {
  all(f, m.ticket);
}
void fields(Is<ForwardReply> auto& m, auto& f) {
  all(f, m.ticket, m.fate, m.at);
}

// What travels as entries.
std::vector<Entry> entries_of(const auto&) {
  return {};
}
std::vector<Entry> entries_of(const AppendRequest& m) {
  return m.entries;
}
std::vector<Entry> entries_of(const SnapshotRequest& m) {
  if (m.bytes->empty()) return {};
  return {Entry{m.image.last, EntryKind::control, m.bytes}};
}
std::vector<Entry> entries_of(const ForwardRequest& m) {
  std::vector<Entry> entries;
  for (const auto& body : m.bodies) entries.push_back(Entry{{}, EntryKind::data, body});
  return entries;
}

Result<void> check_entry(LogId before, Epoch epoch, const Entry& entry) {
  if (entry.id.index != before.index.next()) {
    return fail(Errc::corrupt, "entry {} does not follow {}", entry.id.index, before.index);
  }
  if (entry.id.epoch < before.epoch || entry.id.epoch > epoch) {
    return fail(Errc::corrupt, "entry {} has epoch {} outside [{}, {}]", entry.id.index,
                entry.id.epoch, before.epoch, epoch);
  }
  if (entry.kind != EntryKind::config) return {};
  const auto config = consensus::decode_config(*entry.body);
  if (config) return {};
  return fail(Errc::corrupt, "entry {} is no configuration: {}", entry.id.index,
              config.error().context);
}

Result<void> take_entries(const auto& payload, const Message& message) {
  if (message.entries.empty()) return {};
  return fail(Errc::corrupt, "{} carries entries", name_of(payload));
}
Result<void> take_entries(AppendRequest& m, const Message& message) {
  if (m.previous.epoch > message.epoch) {
    return fail(Errc::corrupt, "previous entry of epoch {} in a message of epoch {}",
                m.previous.epoch, message.epoch);
  }
  LogId before = m.previous;
  for (const Entry& entry : message.entries) {
    TRY_VOID(check_entry(before, message.epoch, entry));
    before = entry.id;
  }
  m.entries = message.entries;
  return {};
}
Result<void> take_entries(SnapshotRequest& m, const Message& message) {
  if (message.entries.size() > 1) return fail(Errc::corrupt, "an image's piece in two parts");
  m.bytes = message.entries.empty() ? std::make_shared<const Bytes>() : message.entries[0].body;
  if (m.image.last.index < LogIndex{1} || m.image.last.epoch > message.epoch) {
    return fail(Errc::corrupt, "an image of {}/{} in a message of epoch {}", m.image.last.epoch,
                m.image.last.index, message.epoch);
  }
  if (m.position > m.image.size || m.bytes->size() > m.image.size - m.position) {
    return fail(Errc::corrupt, "a piece of {} bytes at {} of an image of {}", m.bytes->size(),
                m.position, m.image.size);
  }
  return {};
}
Result<void> take_entries(ForwardRequest& m, const Message& message) {
  if (message.entries.empty()) return fail(Errc::corrupt, "a forwarded proposal is empty");
  for (const Entry& entry : message.entries) m.bodies.push_back(entry.body);
  return {};
}

// An empty payload of a kind; nothing when there is none such.
template <std::size_t at = 0>
std::optional<Payload> payload_of(std::uint16_t kind) {
  if constexpr (at == std::variant_size_v<Payload>) {
    return std::nullopt;
  } else {
    if (kind == at + 1) return Payload(std::in_place_index<at>);
    return payload_of<at + 1>(kind);
  }
}
static_assert(std::variant_size_v<Payload> == static_cast<std::size_t>(Kind::forward_reply));

}  // namespace

Message encode(Epoch epoch, const Payload& payload) {
  Message message;
  message.epoch = epoch;
  message.kind = static_cast<std::uint16_t>(payload.index() + 1);
  Writes head;
  std::visit(
      [&](const auto& m) {
        fields(m, head);
        message.entries = entries_of(m);
      },
      payload);
  message.head = head.out.take();
  return message;
}

Result<Payload> decode(const Message& message) {
  std::optional<Payload> payload = payload_of(message.kind);
  if (!payload) return fail(Errc::corrupt, "kind {} is not known", message.kind);
  Reads head{BytesReader(message.head)};
  std::visit([&](auto& m) { fields(m, head); }, *payload);
  if (head.in.ok() && head.in.left() > 0) head.in.fail_with("bytes are left behind the head");
  TRY_VOID(head.in.status());
  if (message.epoch < Epoch{1} ||
      message.epoch.value() == std::numeric_limits<std::int64_t>::max()) {
    return fail(Errc::corrupt, "epoch {} is out of range", message.epoch);
  }
  for (const Entry& entry : message.entries) {
    if (entry.body == nullptr) return fail(Errc::corrupt, "an entry has no body");
  }
  TRY_VOID(std::visit([&](auto& m) { return take_entries(m, message); }, *payload));
  return std::move(*payload);
}

}  // namespace qlab::raft
