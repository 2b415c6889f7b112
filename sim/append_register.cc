#include "sim/append_register.h"

#include "common/check.h"

namespace qlab::sim {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;

namespace {

class Image final : public consensus::SnapshotSource {
 public:
  explicit Image(Bytes bytes) : bytes_(std::move(bytes)) {}
  Bytes next(std::size_t bytes_max) override {
    const std::size_t count = std::min(bytes_max, bytes_.size() - at_);
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += count;
    return Bytes(from, from + static_cast<std::ptrdiff_t>(count));
  }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Bytes AppendRegister::body_of(std::uint64_t value, std::size_t padding) {
  BytesWriter body;
  body.put(value);
  body.put_bytes(Bytes(padding, std::byte{0x5A}));
  return body.take();
}

void AppendRegister::apply(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    CHECK(entry.id.index == last_.id.index.next());
    last_ = chain_after(last_.chain, entry);
    blind_ = blind_ || is_stripped(last_);
    std::optional<std::uint64_t> value;
    if (entry.kind == EntryKind::data) {
      value = BytesReader(*entry.body).get<std::uint64_t>();
      state_ = (state_ ^ *value) * 0x9E3779B97F4A7C15;
      state_ ^= state_ >> 31;
    }
    if (!node_.is_up() || blind_) continue;
    history_.fresh.applied.push_back(
        {node_.id(), std::max(epoch_, entry.id.epoch), last_, value, state_});
  }
}

void AppendRegister::activate(Epoch epoch) {
  CHECK(!active_);
  active_ = epoch;
}

void AppendRegister::deactivate(Epoch epoch) {
  CHECK(active_ == epoch);
  active_.reset();
}

void AppendRegister::on_leader_known(Epoch epoch, std::optional<NodeId>) {
  CHECK(epoch >= epoch_);
  epoch_ = epoch;
}

bool AppendRegister::is_stripped(const ChainedEntry& entry) const {
  if (entry.body != 0) return false;
  const auto epoch = history_.entries.find(entry.id.epoch);
  if (epoch == history_.entries.end()) return false;
  const auto first_seen = epoch->second.find(entry.id.index.value());
  return first_seen != epoch->second.end() && first_seen->second.body != 0;
}

std::unique_ptr<consensus::SnapshotSource> AppendRegister::snapshot() {
  if (blind_) return nullptr;
  BytesWriter image;
  image.put(last_.chain);
  image.put(state_);
  image.put_bytes(Bytes(image_padding_, std::byte{0x5A}));
  return std::make_unique<Image>(image.take());
}

void AppendRegister::begin_restore(LogId last) {
  CHECK(!active_);
  restoring_ = last;
  image_.clear();
}

Result<void> AppendRegister::restore_piece(ByteView piece) {
  image_.insert(image_.end(), piece.begin(), piece.end());
  return {};
}

Result<void> AppendRegister::restored() {
  BytesReader in(image_);
  last_ = {restoring_, in.get<std::uint64_t>(), 0};
  state_ = in.get<std::uint64_t>();
  TRY_VOID(in.status());
  if (in.left() != image_padding_) return fail(Errc::corrupt, "{} bytes of padding", in.left());
  blind_ = false;  // Only who is not blind makes images.
  if (node_.is_up()) history_.fresh.restored.push_back({node_.id(), restoring_, state_});
  return {};
}

}  // namespace qlab::sim
