#pragma once
// A hash table of slots: 8 bytes an entry, open addressing with linear probing.

#include <bit>
#include <cstdint>
#include <vector>

namespace qlab::keeper {

using Slot = std::uint32_t;
inline constexpr Slot no_slot = UINT32_MAX;
inline constexpr Slot free_slot = UINT32_MAX - 1;  // As a parent: nobody lies here.

class SlotIndex {
 public:
  // The slot with that hash for which `is_it(slot)` holds; no_slot: none. Only slots of the same
  // hash are asked about: a look at any other would be a miss of the processor's cache.
  template <class IsIt>
  Slot find(std::uint32_t hash, IsIt is_it) const {
    if (table_.empty()) return no_slot;
    for (std::size_t at = hash & mask(); table_[at].slot != no_slot; at = (at + 1) & mask()) {
      if (table_[at].hash == hash && is_it(table_[at].slot)) return table_[at].slot;
    }
    return no_slot;
  }

  void insert(std::uint32_t hash, Slot slot) {
    if ((used_ + 1) * 4 > table_.size() * 3) grow();
    put({hash, slot});
    ++used_;
  }

  // Requires: it is in the table.
  void erase(std::uint32_t hash, Slot slot) {
    std::size_t hole = hash & mask();
    while (table_[hole].slot != slot) hole = (hole + 1) & mask();
    --used_;
    // Moves back what was pushed behind the hole, so that no mark has to stay in it.
    for (std::size_t at = (hole + 1) & mask(); table_[at].slot != no_slot; at = (at + 1) & mask()) {
      const std::size_t home = table_[at].hash & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      table_[hole] = table_[at];
      hole = at;
    }
    table_[hole] = {};
  }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    Slot slot = no_slot;
  };

  std::size_t mask() const { return table_.size() - 1; }
  void put(Entry entry) {
    std::size_t at = entry.hash & mask();
    while (table_[at].slot != no_slot) at = (at + 1) & mask();
    table_[at] = entry;
  }
  void grow() {
    std::vector<Entry> old(std::max<std::size_t>(16, table_.size() * 2));
    old.swap(table_);
    for (const Entry entry : old) {
      if (entry.slot != no_slot) put(entry);
    }
  }

  std::vector<Entry> table_;  // Its size is 0 or a power of two.
  std::size_t used_ = 0;      // At most three quarters of it.
};

}  // namespace qlab::keeper
