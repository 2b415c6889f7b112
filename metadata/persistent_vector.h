#pragma once
// An immutable vector of shared values: a copy costs nothing, and one that differs in an element
// costs a path of its tree, 32 pointers a level.
//
// A topic's partitions: one of a million changes, and the topic of before stays as it was.
//
// Thread: as PersistentMap.

#include <memory>

#include "common/check.h"
#include "metadata/persistent_map.h"

namespace qlab::metadata {

template <class T>
class PersistentVector {
 public:
  using Item = std::shared_ptr<const T>;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Requires: index < size().
  const Item& operator[](std::size_t index) const {
    CHECK(index < size_);
    const Node* node = root_.get();
    for (int shift = shift_; shift > 0; shift -= bits)
      node = node->children[slot(index, shift)].get();
    return node->items[slot(index, 0)];
  }
  const Item& front() const { return (*this)[0]; }
  const Item& back() const { return (*this)[size_ - 1]; }

  void set(const Edit& edit, std::size_t index, Item item) {
    CHECK(index < size_);
    put(edit, index, std::move(item));
  }
  void push_back(const Edit& edit, Item item) {
    if (size_ == std::size_t{1} << (shift_ + bits)) {  // Full: one level more.
      auto root = std::make_shared<Node>();
      root->edit = edit.number();
      root->children.push_back(std::move(root_));
      root_ = std::move(root);
      shift_ += bits;
    }
    put(edit, size_++, std::move(item));
  }

  class Iterator {
   public:
    Iterator(const PersistentVector& vector, std::size_t index) : vector_(vector), index_(index) {}
    const Item& operator*() const { return vector_[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const PersistentVector& vector_;
    std::size_t index_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size_}; }

 private:
  static constexpr int bits = 5;
  struct Node {
    std::uint64_t edit = 0;
    // Of an inner node and of a leaf; the other is empty.
    std::vector<std::shared_ptr<Node>> children;
    std::vector<Item> items;
  };

  static std::size_t slot(std::size_t index, int shift) { return (index >> shift) & 31; }

  void put(const Edit& edit, std::size_t index, Item item) {
    std::shared_ptr<Node>* at = &root_;
    for (int shift = shift_;; shift -= bits) {
      Node& node = own(edit, *at);
      const std::size_t position = slot(index, shift);
      if (shift == 0) {
        if (position == node.items.size()) node.items.emplace_back();
        node.items[position] = std::move(item);
        return;
      }
      if (position == node.children.size()) node.children.emplace_back();
      at = &node.children[position];
    }
  }

  static Node& own(const Edit& edit, std::shared_ptr<Node>& slot) {
    if (!slot) {
      slot = std::make_shared<Node>();
    } else if (slot->edit != edit.number()) {
      slot = std::make_shared<Node>(*slot);
    }
    slot->edit = edit.number();
    return *slot;
  }

  std::shared_ptr<Node> root_;
  std::size_t size_ = 0;
  int shift_ = 0;  // Of the root's slot numbers.
};

}  // namespace qlab::metadata
