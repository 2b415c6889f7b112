// An image of a keeper's state: records of length:u32 and that many bytes.
//
//   head     magic:u32 zxid:i64 epoch:i64 first_index:i64 slots:u32 first_free:u32 sessions:u32
//   session  id:i64 timeout_ms:i32 password:16 bytes, by id
//   slot     keeper/tree_image.cc, by number

#include "common/check.h"
#include "keeper/state.h"

namespace qlab::keeper {

namespace {

constexpr std::uint32_t magic = 0x716b7031;  // "qkp1"
constexpr std::size_t length_bytes = 4;
constexpr std::size_t record_bytes_max = 64u << 20;

class Record {
 public:
  explicit Record(BytesWriter& out) : out_(out), at_(out.size()) { out.put(std::uint32_t{0}); }
  ~Record() { out_.patch(at_, static_cast<std::uint32_t>(out_.size() - at_ - length_bytes)); }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

 private:
  BytesWriter& out_;
  const std::size_t at_;
};

}  // namespace

class StateImage final : public consensus::SnapshotSource {
 public:
  explicit StateImage(const State& state) : nodes_(state.tree_) {
    {
      const Record record(head_);
      head_.put(magic);
      head_.put(state.zxid_);
      head_.put(state.epoch_first_.epoch.value());
      head_.put(state.epoch_first_.index.value());
      head_.put(nodes_.slots());
      head_.put(nodes_.first_free());
      head_.put(static_cast<std::uint32_t>(state.sessions_.size()));
    }
    for (const auto& [id, session] : state.sessions_) {
      const Record record(head_);
      head_.put(id);
      head_.put(session.timeout_ms);
      head_.put_bytes(session.password);
    }
  }

  Bytes next(std::size_t bytes_max) override {
    BytesWriter out = std::exchange(head_, {});
    while (!nodes_.at_end() && out.size() < bytes_max) {
      const Record record(out);
      nodes_.put_next(out);
    }
    return out.take();
  }

 private:
  Tree::Image nodes_;
  BytesWriter head_;  // With the sessions; empty once it was read.
};

std::unique_ptr<consensus::SnapshotSource> State::image() const {
  return std::make_unique<StateImage>(*this);
}

Result<void> StateRestorer::add(ByteView piece) {
  waiting_.insert(waiting_.end(), piece.begin(), piece.end());
  ByteView left = waiting_;
  while (left.size() >= length_bytes) {
    const std::size_t length = load_big<std::uint32_t>(left.data());
    if (length > record_bytes_max) return fail(Errc::corrupt, "a record of {} bytes", length);
    if (left.size() < length_bytes + length) break;
    TRY_VOID(take_record(left.subspan(length_bytes, length)));
    left = left.subspan(length_bytes + length);
  }
  waiting_ = Bytes(left.begin(), left.end());
  return {};
}

Result<void> StateRestorer::take_record(ByteView record) {
  BytesReader in(record);
  if (!has_head_) {
    if (in.get<std::uint32_t>() != magic) in.fail_with("no image of a keeper");
    state_.zxid_ = in.get<std::int64_t>();
    state_.epoch_first_.epoch = Epoch(in.get<std::int64_t>());
    state_.epoch_first_.index = LogIndex(in.get<std::int64_t>());
    const Slot slots = in.get<Slot>();
    const Slot first_free = in.get<Slot>();
    sessions_left_ = in.get<std::uint32_t>();
    TRY_VOID(in.status());
    TRY(state_.tree_, Tree::begin_restore(slots, first_free));
    has_head_ = true;
    return {};
  }
  if (sessions_left_ == 0) return state_.tree_->restore_next(record);
  --sessions_left_;
  const auto id = in.get<std::int64_t>();
  Session session;
  session.timeout_ms = in.get<std::int32_t>();
  const ByteView password = in.get_bytes(session.password.size());
  TRY_VOID(in.status());
  std::copy(password.begin(), password.end(), session.password.begin());
  state_.sessions_.emplace(id, session);
  return {};
}

Result<State> StateRestorer::finish() {
  if (!has_head_ || sessions_left_ > 0 || !waiting_.empty()) {
    return fail(Errc::corrupt, "an image of a keeper ends in the middle");
  }
  TRY_VOID(state_.tree_->finish_restore());
  return std::move(state_);
}

}  // namespace qlab::keeper
