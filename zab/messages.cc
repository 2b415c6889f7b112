#include "zab/messages.h"

#include "common/bytes.h"
#include "consensus/config.h"

namespace qlab::zab {
namespace {

using consensus::Entry;
using consensus::LogId;
using consensus::Message;

// Writing and reading share one list of fields per message (below).
class Writer {
 public:
  void operator()(const bool& value) { out_.put<std::uint8_t>(value ? 1 : 0); }
  void operator()(const PeerState& value) { out_.put(static_cast<std::uint8_t>(value)); }
  void operator()(const std::uint32_t& value) { out_.put(value); }
  void operator()(const std::uint64_t& value) { out_.put(value); }
  void operator()(const NodeId& value) { out_.put(value.value()); }
  void operator()(const Epoch& value) { out_.put(value.value()); }
  void operator()(const LogIndex& value) { out_.put(value.value()); }
  void operator()(const LogId& value) {
    (*this)(value.epoch);
    (*this)(value.index);
  }
  void operator()(const Bytes& value) {
    out_.put(static_cast<std::uint32_t>(value.size()));
    out_.put_bytes(value);
  }
  void operator()(const std::optional<consensus::Config>& value) {
    (*this)(value ? consensus::encode_config(*value) : Bytes{});
  }
  void operator()(const consensus::SnapshotMeta& value) {
    (*this)(value.last);
    (*this)(consensus::encode_config(value.config));
    (*this)(value.size);
  }
  Bytes take() { return out_.take(); }

 private:
  BytesWriter out_;
};

class Reader {
 public:
  explicit Reader(ByteView bytes) : in_(bytes) {}

  void operator()(bool& value) {
    const auto read = in_.get<std::uint8_t>();
    if (read > 1) in_.fail_with("a truth value is neither 0 nor 1");
    value = read == 1;
  }
  void operator()(PeerState& value) {
    const auto read = in_.get<std::uint8_t>();
    if (read > 3) in_.fail_with("a state is not known");
    value = static_cast<PeerState>(read);
  }
  void operator()(std::uint32_t& value) { value = in_.get<std::uint32_t>(); }
  void operator()(std::uint64_t& value) { value = in_.get<std::uint64_t>(); }
  void operator()(NodeId& value) {
    value = NodeId{in_.get<std::int32_t>()};
    if (value < no_node) in_.fail_with("a node id is negative");
  }
  void operator()(Epoch& value) {
    value = Epoch{in_.get<std::int64_t>()};
    if (value < Epoch{0}) in_.fail_with("an epoch is negative");
  }
  void operator()(LogIndex& value) {
    value = LogIndex{in_.get<std::int64_t>()};
    if (value < LogIndex{0}) in_.fail_with("an index is negative");
  }
  void operator()(LogId& value) {
    (*this)(value.epoch);
    (*this)(value.index);
  }
  void operator()(Bytes& value) {
    const ByteView read = in_.get_bytes(in_.get<std::uint32_t>());
    value.assign(read.begin(), read.end());
  }
  void operator()(std::optional<consensus::Config>& value) {
    Bytes bytes;
    (*this)(bytes);
    if (bytes.empty()) return;
    auto decoded = consensus::decode_config(bytes);
    if (!decoded) return in_.fail_with("a configuration is damaged");
    value = std::move(*decoded);
  }
  void operator()(consensus::SnapshotMeta& value) {
    (*this)(value.last);
    std::optional<consensus::Config> config;
    (*this)(config);
    if (!config) in_.fail_with("an image has no configuration");
    value.config = std::move(config).value_or(consensus::Config{});
    (*this)(value.size);
  }
  Result<void> finish() {
    if (in_.ok() && in_.left() > 0) in_.fail_with("bytes are left behind the head");
    return in_.status();
  }

 private:
  BytesReader in_;
};

template <class Io, class M>
void fields(Io& io, M& m) {
  using T = std::remove_const_t<M>;
  if constexpr (std::is_same_v<T, Notification>) {
    io(m.round), io(m.vote.leader), io(m.vote.last), io(m.vote.peer_epoch);
    io(m.vote.is_left_out), io(m.state), io(m.is_reply), io(m.config_at), io(m.config);
  } else {
    io(m.session);
    if constexpr (std::is_same_v<T, FollowerInfo>) io(m.accepted_epoch);
    if constexpr (std::is_same_v<T, AckEpoch>) io(m.again), io(m.current_epoch), io(m.last);
    if constexpr (std::is_same_v<T, Trunc>) io(m.to);
    if constexpr (requires { m.previous; }) io(m.previous);
    if constexpr (std::is_same_v<T, Snap>) io(m.image), io(m.position), io(m.bytes);
    if constexpr (std::is_same_v<T, SnapAck>) io(m.position);
    if constexpr (std::is_same_v<T, NewLeader>) io(m.last);
    if constexpr (std::is_same_v<T, UpToDate>) io(m.commit);
    if constexpr (requires { m.up_to; }) io(m.up_to);
    if constexpr (std::is_same_v<T, CommitAndActivate>) io(m.designated);
    if constexpr (requires { m.round; }) io(m.round);
  }
}

// The alternative of that number, with nothing in it; none when there is no such.
template <std::size_t at = 0>
std::optional<Payload> make_payload(std::size_t index) {
  if constexpr (at == std::variant_size_v<Payload>) {
    return std::nullopt;
  } else {
    if (index == at) return Payload(std::in_place_index<at>);
    return make_payload<at + 1>(index);
  }
}

Result<void> check_entries(LogId before, Epoch epoch, const std::vector<Entry>& entries) {
  if (before.epoch > epoch) {
    return fail(Errc::corrupt, "previous entry of epoch {} in a message of epoch {}", before.epoch,
                epoch);
  }
  for (const Entry& entry : entries) {
    if (entry.body == nullptr) return fail(Errc::corrupt, "an entry has no body");
    if (entry.id.index != before.index.next()) {
      return fail(Errc::corrupt, "entry {} does not follow {}", entry.id.index, before.index);
    }
    if (entry.id.epoch < before.epoch || entry.id.epoch > epoch) {
      return fail(Errc::corrupt, "entry {} has epoch {} outside [{}, {}]", entry.id.index,
                  entry.id.epoch, before.epoch, epoch);
    }
    if (entry.kind == consensus::EntryKind::config) TRY_VOID(consensus::decode_config(*entry.body));
    before = entry.id;
  }
  return {};
}

Result<void> check_image(const Snap& snap) {
  const std::uint64_t left = snap.image.size - std::min(snap.image.size, snap.position);
  if (snap.image.last.index < LogIndex{1} || snap.position > snap.image.size ||
      snap.bytes.size() > left || (snap.bytes.empty() && left > 0)) {
    return fail(Errc::corrupt, "a piece of {} bytes at {} of an image of {} bytes of {} entries",
                snap.bytes.size(), snap.position, snap.image.size, snap.image.last.index);
  }
  return {};
}

}  // namespace

Message encode(Epoch epoch, Payload payload) {
  Message message;
  message.epoch = epoch;
  message.kind = static_cast<std::uint16_t>(payload.index() + 1);
  Writer head;
  std::visit(
      [&](auto& m) {
        fields(head, std::as_const(m));
        if constexpr (requires { m.entries; }) message.entries = std::move(m.entries);
      },
      payload);
  message.head = head.take();
  return message;
}

Result<Payload> decode(const Message& message) {
  auto payload = make_payload(static_cast<std::size_t>(message.kind) - 1);
  if (!payload) return fail(Errc::corrupt, "kind {} is not known", message.kind);
  Reader head(message.head);
  std::visit([&](auto& m) { fields(head, m); }, *payload);
  TRY_VOID(head.finish());
  const bool opens = payload->index() <= 1;  // May name epoch 0: nothing was accepted yet.
  if (message.epoch < Epoch{opens ? 0 : 1}) {
    return fail(Errc::corrupt, "epoch {} is too small", message.epoch);
  }
  const auto checked = std::visit(
      [&](auto& m) -> Result<void> {
        if constexpr (requires { m.entries; }) {
          m.entries = message.entries;
          return check_entries(m.previous, message.epoch, m.entries);
        } else {
          if (!message.entries.empty()) return fail(Errc::corrupt, "entries in a message of none");
          if constexpr (requires { m.image; }) return check_image(m);
          return {};
        }
      },
      *payload);
  TRY_VOID(checked);
  return std::move(*payload);
}

}  // namespace qlab::zab
