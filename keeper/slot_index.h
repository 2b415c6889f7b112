#pragma once
// A hash table of slots: 4 bytes an entry, open addressing with linear probing.

#include <bit>
#include <cstdint>
#include <vector>

namespace qlab::keeper {

using Slot = std::uint32_t;
inline constexpr Slot no_slot = UINT32_MAX;
inline constexpr Slot free_slot = UINT32_MAX - 1;  // As a parent: nobody lies here.

class SlotIndex {
 public:
  // The slot with that hash for which `is_it(slot)` holds; no_slot: none.
  template <class IsIt>
  Slot find(std::uint32_t hash, IsIt is_it) const {
    if (table_.empty()) return no_slot;
    for (std::size_t at = hash & mask(); table_[at] != no_slot; at = (at + 1) & mask()) {
      if (is_it(table_[at])) return table_[at];
    }
    return no_slot;
  }

  // `hash_of(slot)` gives that of any slot in the table.
  template <class HashOf>
  void insert(std::uint32_t hash, Slot slot, HashOf hash_of) {
    if ((used_ + 1) * 4 > table_.size() * 3) grow(hash_of);
    put(hash, slot);
    ++used_;
  }

  // Requires: it is in the table.
  template <class HashOf>
  void erase(std::uint32_t hash, Slot slot, HashOf hash_of) {
    std::size_t hole = hash & mask();
    while (table_[hole] != slot) hole = (hole + 1) & mask();
    --used_;
    // Moves back what was pushed behind the hole, so that no mark has to stay in it.
    for (std::size_t at = (hole + 1) & mask(); table_[at] != no_slot; at = (at + 1) & mask()) {
      const std::size_t home = hash_of(table_[at]) & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      table_[hole] = table_[at];
      hole = at;
    }
    table_[hole] = no_slot;
  }

 private:
  std::size_t mask() const { return table_.size() - 1; }
  void put(std::uint32_t hash, Slot slot) {
    std::size_t at = hash & mask();
    while (table_[at] != no_slot) at = (at + 1) & mask();
    table_[at] = slot;
  }
  template <class HashOf>
  void grow(HashOf hash_of) {
    std::vector<Slot> old(std::max<std::size_t>(16, table_.size() * 2), no_slot);
    old.swap(table_);
    for (const Slot slot : old) {
      if (slot != no_slot) put(hash_of(slot), slot);
    }
  }

  std::vector<Slot> table_;  // Its size is 0 or a power of two.
  std::size_t used_ = 0;     // At most three quarters of it.
};

}  // namespace qlab::keeper
