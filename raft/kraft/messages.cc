#include "raft/kraft/messages.h"

#include <limits>

#include "common/bytes.h"

namespace qlab::raft::kraft {
namespace {

using consensus::Entry;
using consensus::LogId;
using consensus::Message;
using consensus::ReplicaKey;

constexpr std::uint32_t successors_max = 1000;

// The same fields are put and got in the same order: a codec is one of these two.
class Writer {
 public:
  void operator()(std::uint64_t& value) { out_.put(value); }
  void operator()(bool& value) { out_.put<std::uint8_t>(value ? 1 : 0); }
  void operator()(Epoch& epoch) { out_.put(epoch.value()); }
  void operator()(LogIndex& index) { out_.put(index.value()); }
  void operator()(NodeId& id) { out_.put(id.value()); }
  void operator()(DirectoryId& id) {
    out_.put(id.high);
    out_.put(id.low);
  }
  void operator()(FetchStatus& status) { out_.put(static_cast<std::uint8_t>(status)); }
  void operator()(Bytes& bytes) {
    out_.put(static_cast<std::uint32_t>(bytes.size()));
    out_.put_bytes(bytes);
  }
  void operator()(LogId& id) {
    (*this)(id.epoch);
    (*this)(id.index);
  }
  void operator()(Correlation& correlation) {
    (*this)(correlation.session);
    (*this)(correlation.number);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    bool there = value.has_value();
    (*this)(there);
    if (there) (*this)(*value);
  }
  void operator()(std::vector<ReplicaKey>& keys) {
    out_.put(static_cast<std::uint32_t>(keys.size()));
    for (ReplicaKey& key : keys) {
      (*this)(key.id);
      (*this)(key.directory);
    }
  }
  Bytes take() { return out_.take(); }

 private:
  BytesWriter out_;
};

class Reader {
 public:
  explicit Reader(ByteView bytes) : in_(bytes) {}
  void operator()(std::uint64_t& value) { value = in_.get<std::uint64_t>(); }
  void operator()(bool& value) {
    const auto raw = in_.get<std::uint8_t>();
    if (raw > 1) in_.fail_with("a truth value is neither 0 nor 1");
    value = raw == 1;
  }
  void operator()(Epoch& epoch) { epoch = Epoch{natural("an epoch is negative")}; }
  void operator()(LogIndex& index) { index = LogIndex{natural("an index is negative")}; }
  void operator()(NodeId& id) {
    id = NodeId{in_.get<std::int32_t>()};
    if (id < NodeId{0}) in_.fail_with("a node is negative");
  }
  void operator()(DirectoryId& id) {
    id.high = in_.get<std::uint64_t>();
    id.low = in_.get<std::uint64_t>();
  }
  void operator()(FetchStatus& status) {
    const auto raw = in_.get<std::uint8_t>();
    if (raw > 1) in_.fail_with("a fetch's status is not known");
    status = static_cast<FetchStatus>(raw);
  }
  void operator()(Bytes& bytes) {
    const ByteView view = in_.get_bytes(in_.get<std::uint32_t>());
    bytes.assign(view.begin(), view.end());
  }
  void operator()(LogId& id) {
    (*this)(id.epoch);
    (*this)(id.index);
  }
  void operator()(Correlation& correlation) {
    (*this)(correlation.session);
    (*this)(correlation.number);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    bool there = false;
    (*this)(there);
    if (there) (*this)(value.emplace());
  }
  void operator()(std::vector<ReplicaKey>& keys) {
    const auto count = in_.get<std::uint32_t>();
    if (count > successors_max) return in_.fail_with("more successors than a group has members");
    for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
      ReplicaKey& key = keys.emplace_back();
      (*this)(key.id);
      (*this)(key.directory);
    }
  }
  Result<void> finish() {
    if (in_.ok() && in_.left() > 0) in_.fail_with("bytes are left behind the head");
    return in_.status();
  }

 private:
  std::int64_t natural(std::string_view why) {
    const auto value = in_.get<std::int64_t>();
    if (value < 0 || value == std::numeric_limits<std::int64_t>::max()) in_.fail_with(why);
    return value;
  }

  BytesReader in_;
};

template <class Codec>
void fields(Codec& codec, Vote& m) {
  codec(m.correlation);
  codec(m.pre_vote);
  codec(m.candidate);
  codec(m.voter);
  codec(m.last);
}
template <class Codec>
void fields(Codec& codec, VoteResponse& m) {
  codec(m.correlation);
  codec(m.pre_vote);
  codec(m.granted);
  codec(m.leader);
}
template <class Codec>
void fields(Codec& codec, BeginQuorumEpoch& m) {
  codec(m.voter);
}
template <class Codec>
void fields(Codec& codec, BeginQuorumEpochResponse& m) {
  codec(m.leader);
}
template <class Codec>
void fields(Codec& codec, EndQuorumEpoch& m) {
  codec(m.preferred_successors);
}
template <class Codec>
void fields(Codec&, EndQuorumEpochResponse&) {}
template <class Codec>
void fields(Codec& codec, Fetch& m) {
  codec(m.correlation);
  codec(m.replica);
  codec(m.next);
  codec(m.last_fetched_epoch);
  codec(m.high_watermark);
  codec(m.round);
}
template <class Codec>
void fields(Codec& codec, FetchResponse& m) {
  codec(m.correlation);
  codec(m.status);
  codec(m.leader);
  codec(m.high_watermark);
  codec(m.round);
  codec(m.diverging_epoch);
  codec(m.snapshot);
}
template <class Codec>
void fields(Codec& codec, FetchSnapshot& m) {
  codec(m.correlation);
  codec(m.replica);
  codec(m.snapshot);
  codec(m.position);
}
template <class Codec>
void fields(Codec& codec, FetchSnapshotResponse& m) {
  codec(m.correlation);
  codec(m.found);
  codec(m.leader);
  codec(m.snapshot);
  codec(m.size);
  codec(m.position);
  codec(m.config);
  codec(m.bytes);
}

// The alternatives of Payload stand in the order of their kinds, from 1.
template <std::size_t I = 0>
std::optional<Payload> empty_of(std::uint16_t kind) {
  if constexpr (I < std::variant_size_v<Payload>) {
    if (kind == I + 1) return Payload(std::in_place_index<I>);
    return empty_of<I + 1>(kind);
  }
  return std::nullopt;
}

std::string_view name_of(const Payload& payload) {
  static constexpr std::string_view names[] = {"vote",
                                               "vote_response",
                                               "begin_quorum_epoch",
                                               "begin_quorum_epoch_response",
                                               "end_quorum_epoch",
                                               "end_quorum_epoch_response",
                                               "fetch",
                                               "fetch_response",
                                               "fetch_snapshot",
                                               "fetch_snapshot_response"};
  return names[payload.index()];
}

Result<void> check_entries(Epoch epoch, const std::vector<Entry>& entries) {
  const LogId* before = nullptr;
  for (const Entry& entry : entries) {
    if (entry.body == nullptr) return fail(Errc::corrupt, "an entry has no body");
    if (entry.id.index < LogIndex{1}) {
      return fail(Errc::corrupt, "entry {} is before the first", entry.id.index);
    }
    if (before != nullptr && entry.id.index != before->index.next()) {
      return fail(Errc::corrupt, "entry {} does not follow {}", entry.id.index, before->index);
    }
    const Epoch least = before != nullptr ? before->epoch : Epoch{1};
    if (entry.id.epoch < least || entry.id.epoch > epoch) {
      return fail(Errc::corrupt, "entry {} has epoch {} outside [{}, {}]", entry.id.index,
                  entry.id.epoch, least, epoch);
    }
    before = &entry.id;
  }
  return {};
}

struct Check {
  Epoch epoch;

  template <class M>
  Result<void> operator()(const M&) const {
    return {};
  }
  Result<void> not_after(LogId id) const {
    if (id.epoch <= epoch) return {};
    return fail(Errc::corrupt, "{}/{} in a message of epoch {}", id.epoch, id.index, epoch);
  }
  Result<void> operator()(const Vote& m) const { return not_after(m.last); }
  Result<void> operator()(const Fetch& m) const {
    if (m.next < LogIndex{1}) return fail(Errc::corrupt, "a fetch from before the first entry");
    if ((m.next == LogIndex{1}) != (m.last_fetched_epoch == Epoch{0})) {
      return fail(Errc::corrupt, "a fetch from {} behind epoch {}", m.next, m.last_fetched_epoch);
    }
    return not_after({m.last_fetched_epoch, m.next.prev()});
  }
  Result<void> operator()(const FetchResponse& m) const {
    const int parts = int{m.diverging_epoch.has_value()} + int{m.snapshot.has_value()} +
                      int{!m.entries.empty()} + int{m.status != FetchStatus::ok};
    if (parts > 1) return fail(Errc::corrupt, "a fetch response of two kinds");
    if (m.diverging_epoch) TRY_VOID(not_after(*m.diverging_epoch));
    if (m.snapshot) TRY_VOID(not_after(*m.snapshot));
    return check_entries(epoch, m.entries);
  }
  Result<void> operator()(const FetchSnapshot& m) const { return not_after(m.snapshot); }
  Result<void> operator()(const FetchSnapshotResponse& m) const {
    TRY_VOID(not_after(m.snapshot));
    if (m.position > m.size || m.bytes.size() > m.size - m.position) {
      return fail(Errc::corrupt, "{} bytes at {} of an image of {}", m.bytes.size(), m.position,
                  m.size);
    }
    return {};
  }
};

std::string show(LogId id) {
  return fmt::format("{}/{}", id.epoch, id.index);
}
std::string_view show(bool value) {
  return value ? "yes" : "no";
}
std::string leader_words(std::optional<NodeId> leader) {
  return leader ? fmt::format(" leader={}", *leader) : std::string();
}

std::string words(const Vote& m) {
  return fmt::format(" pre_vote={} last={}", show(m.pre_vote), show(m.last));
}
std::string words(const VoteResponse& m) {
  return fmt::format(" pre_vote={} granted={}{}", show(m.pre_vote), show(m.granted),
                     leader_words(m.leader));
}
std::string words(const BeginQuorumEpoch&) {
  return {};
}
std::string words(const BeginQuorumEpochResponse& m) {
  return leader_words(m.leader);
}
std::string words(const EndQuorumEpoch& m) {
  std::string text = " successors=";
  for (const ReplicaKey& key : m.preferred_successors) {
    if (text.back() != '=') text += ",";
    text += fmt::format("{}", key.id);
  }
  return text;
}
std::string words(const EndQuorumEpochResponse&) {
  return {};
}
std::string words(const Fetch& m) {
  std::string text = fmt::format(" next={} last_epoch={} high_watermark={}", m.next,
                                 m.last_fetched_epoch, m.high_watermark);
  if (m.round > 0) text += fmt::format(" round={}", m.round);
  return text;
}
std::string words(const FetchResponse& m) {
  if (m.status == FetchStatus::not_leader) return " not_leader" + leader_words(m.leader);
  std::string text = fmt::format(" high_watermark={}", m.high_watermark);
  if (m.round > 0) text += fmt::format(" round={}", m.round);
  if (m.diverging_epoch) return text + " diverging=" + show(*m.diverging_epoch);
  if (m.snapshot) return text + " snapshot=" + show(*m.snapshot);
  text += " entries=";
  if (m.entries.empty()) return text + "none";
  text += show(m.entries.front().id);
  if (m.entries.size() > 1) text += ".." + show(m.entries.back().id);
  return text;
}
std::string words(const FetchSnapshot& m) {
  return fmt::format(" snapshot={} position={}", show(m.snapshot), m.position);
}
std::string words(const FetchSnapshotResponse& m) {
  if (!m.found)
    return fmt::format(" snapshot={} not_found{}", show(m.snapshot), leader_words(m.leader));
  return fmt::format(" snapshot={} position={} bytes={} of={}", show(m.snapshot), m.position,
                     m.bytes.size(), m.size);
}

}  // namespace

Message encode(Epoch epoch, Payload payload) {
  Message message;
  message.epoch = epoch;
  message.kind = static_cast<std::uint16_t>(payload.index() + 1);
  Writer head;
  std::visit([&](auto& m) { fields(head, m); }, payload);
  message.head = head.take();
  if (auto* response = std::get_if<FetchResponse>(&payload)) {
    message.entries = std::move(response->entries);
  }
  return message;
}

Result<Payload> decode(const Message& message) {
  std::optional<Payload> payload = empty_of(message.kind);
  if (!payload) return fail(Errc::corrupt, "kind {} is not known", message.kind);
  Reader head(message.head);
  std::visit([&](auto& m) { fields(head, m); }, *payload);
  TRY_VOID(head.finish());
  if (message.epoch < Epoch{0}) {
    return fail(Errc::corrupt, "epoch {} is negative", message.epoch);
  }
  if (auto* response = std::get_if<FetchResponse>(&*payload)) {
    response->entries = message.entries;
  } else if (!message.entries.empty()) {
    return fail(Errc::corrupt, "{} carries entries", name_of(*payload));
  }
  TRY_VOID(std::visit(Check{message.epoch}, *payload));
  return std::move(*payload);
}

std::string describe(const Message& message) {
  const auto payload = decode(message);
  if (!payload) return fmt::format("malformed kind={} epoch={}", message.kind, message.epoch);
  return fmt::format("{} epoch={}{}", name_of(*payload), message.epoch,
                     std::visit([](const auto& m) { return words(m); }, *payload));
}

}  // namespace qlab::raft::kraft
