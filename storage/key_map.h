#pragma once
// Which record of each key is the latest, in bounded memory: what a pass of compaction asks.
//
// A key is known by a hash of 128 bits under a secret drawn for each map, so that nobody can choose
// keys that fall together: two keys that did would cost one of them its record.
//
// Source: Aumasson and Bernstein, SipHash (2-4, 128 bits of output); Kafka's SkimpyOffsetMap for
// the idea.

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::storage {

struct HashSecret {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
using KeyHash = std::array<std::uint64_t, 2>;

KeyHash hash_key(ByteView key, HashSecret secret);

class KeyMap {
 public:
  // Takes `bytes_max` of memory at most, and touches only what it fills.
  KeyMap(std::size_t bytes_max, HashSecret secret);

  // Notes that the record at `offset` has `key`. False when the map is full, and nothing is noted.
  // Requires: offsets come in order.
  bool put(ByteView key, Offset offset);
  // The largest offset noted for `key`; nothing when there is none.
  std::optional<Offset> latest(ByteView key) const;

  std::size_t size() const { return size_; }          // Keys.
  std::size_t capacity() const { return capacity_; }  // Of them, at most.

 private:
  struct Slot {
    KeyHash hash;
    std::int64_t next;  // One past the offset; 0: the slot is empty.
  };
  struct Free {
    void operator()(Slot* slots) const { std::free(slots); }
  };

  Slot& slot_of(const KeyHash& hash) const;

  const HashSecret secret_;
  std::size_t slots_count_;
  std::size_t capacity_;  // < slots_count_, so that a search ends.
  std::size_t size_ = 0;
  std::unique_ptr<Slot[], Free> slots_;  // Open addressing; zeroed by the system, page by page.
};

}  // namespace qlab::storage
