#include "storage/key_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::size_t load_percent = 90;  // log.cleaner.io.buffer.load.factor

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void rounds(int count) {
    for (int i = 0; i < count; ++i) round();
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  std::uint64_t out() const { return v0 ^ v1 ^ v2 ^ v3; }
};

// Up to eight bytes, the first one lowest.
std::uint64_t load_little(ByteView bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

}  // namespace

KeyHash hash_key(ByteView key, HashSecret secret) {
  SipState state{0x736f6d6570736575 ^ secret.low, 0x646f72616e646f6d ^ secret.high ^ 0xee,
                 0x6c7967656e657261 ^ secret.low, 0x7465646279746573 ^ secret.high};
  const std::uint64_t length = key.size();
  while (key.size() >= 8) {
    state.take(load_little(key.first(8)));
    key = key.subspan(8);
  }
  state.take(load_little(key) | length << 56);
  state.v2 ^= 0xee;
  state.rounds(4);
  const std::uint64_t low = state.out();
  state.v1 ^= 0xdd;
  state.rounds(4);
  return {low, state.out()};
}

KeyMap::KeyMap(std::size_t bytes_max, HashSecret secret)
    : secret_(secret),
      slots_count_(std::max<std::size_t>(bytes_max / sizeof(Slot), 2)),
      capacity_(std::max<std::size_t>(slots_count_ * load_percent / 100, 1)),
      slots_(static_cast<Slot*>(std::calloc(slots_count_, sizeof(Slot)))) {
  CHECK(slots_ != nullptr);
}

// The slot that holds `hash`, or the empty one where it belongs.
KeyMap::Slot& KeyMap::slot_of(const KeyHash& hash) const {
  std::size_t at = hash[0] % slots_count_;
  while (slots_[at].next != 0 && slots_[at].hash != hash) at = (at + 1) % slots_count_;
  return slots_[at];
}

bool KeyMap::put(ByteView key, Offset offset) {
  const KeyHash hash = hash_key(key, secret_);
  Slot& slot = slot_of(hash);
  if (slot.next == 0) {
    if (size_ == capacity_) return false;
    slot.hash = hash;
    size_ += 1;
  }
  slot.next = offset.value() + 1;
  return true;
}

std::optional<Offset> KeyMap::latest(ByteView key) const {
  const Slot& slot = slot_of(hash_key(key, secret_));
  if (slot.next == 0) return std::nullopt;
  return Offset{slot.next - 1};
}

}  // namespace qlab::storage
