#pragma once
// An immutable map by hash: a copy costs nothing, and one that differs in a key costs a path of its
// trie.
//
// Images of the cluster are values that many hold at once, and a change touches few keys of many
// (KIP-631; apache/kafka#13280 measured what copying all of it costs). With N keys a change copies
// log32(N) small nodes and shares the rest.
//
// Thread: any, for maps that nobody changes. A series of changes under one Edit changes the nodes
// that it made itself in place; nobody else has seen them.
//
// Source: Bagwell, Ideal Hash Trees; transients as in Clojure's collections.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace qlab::metadata {

// The right to change in place what was made under it. Requires: no copy that was made under an
// edit is read by others before its last change.
class Edit {
 public:
  Edit() : number_(next_number()) {}
  std::uint64_t number() const { return number_; }

 private:
  static std::uint64_t next_number() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }
  std::uint64_t number_;
};

template <class Key, class Value>
class PersistentMap {
 public:
  // The value, or nullptr. Valid as long as any map that holds it.
  const Value* find(const Key& key) const {
    const std::uint64_t hash = hash_of(key);
    const Node* node = root_.get();
    for (int level = 0; node != nullptr && !node->is_leaf; ++level) {
      const std::uint32_t bit = bit_of(hash, level);
      node = (node->bitmap & bit) != 0 ? node->children[node->position(bit)].get() : nullptr;
    }
    if (node == nullptr) return nullptr;
    for (const Entry& entry : node->entries) {
      if (entry.key == key) return &entry.value;
    }
    return nullptr;
  }

  void set(const Edit& edit, const Key& key, Value value) {
    insert(edit, root_, Entry{hash_of(key), key, std::move(value)}, 0);
  }
  void erase(const Edit& edit, const Key& key) {
    if (find(key) == nullptr) return;
    remove(edit, root_, hash_of(key), key, 0);
    --size_;
  }
  PersistentMap with(const Key& key, Value value) const {
    PersistentMap result = *this;
    result.set(Edit(), key, std::move(value));
    return result;
  }
  PersistentMap without(const Key& key) const {
    PersistentMap result = *this;
    result.erase(Edit(), key);
    return result;
  }

  // Goes through a map piece by piece; keeps it alive. The order depends on the keys only, not on
  // how the map came to be: by hash, then by key.
  class Cursor {
   public:
    explicit Cursor(PersistentMap map) : map_(std::move(map)) {
      if (map_.root_) path_.push_back({map_.root_.get(), 0});
    }
    // The next key and its value; nullptr, nullptr at the end.
    std::pair<const Key*, const Value*> next() {
      while (!path_.empty()) {
        auto& [node, at] = path_.back();
        if (at == node->count()) {
          path_.pop_back();
        } else if (node->is_leaf) {
          const Entry& entry = node->entries[at++];
          return {&entry.key, &entry.value};
        } else {
          const Node* child = node->children[at++].get();
          path_.push_back({child, 0});
        }
      }
      return {nullptr, nullptr};
    }

   private:
    PersistentMap map_;
    std::vector<std::pair<const typename PersistentMap::Node*, std::size_t>> path_;
  };

  template <class Visit>
  void for_each(Visit visit) const {
    Cursor cursor(*this);
    for (auto [key, value] = cursor.next(); key != nullptr; std::tie(key, value) = cursor.next()) {
      visit(*key, *value);
    }
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Entry {
    std::uint64_t hash;
    Key key;
    Value value;
    bool before(std::uint64_t other, const Key& other_key) const {
      return hash != other ? hash < other : key < other_key;
    }
  };
  struct Node;
  using NodePtr = std::shared_ptr<Node>;  // Changed only by the edit that made it.
  struct Node {
    std::uint64_t edit = 0;
    bool is_leaf = true;
    std::uint32_t bitmap = 0;       // Of a branch: which children there are.
    std::vector<NodePtr> children;  // In the order of their bits.
    std::vector<Entry> entries;     // Of a leaf, by hash and key; at most leaf_max above the depth.

    std::size_t position(std::uint32_t bit) const {
      return static_cast<std::size_t>(std::popcount(bitmap & (bit - 1)));
    }
    std::size_t count() const { return is_leaf ? entries.size() : children.size(); }
  };

  static constexpr std::size_t leaf_max = 8;
  static constexpr int bits = 5;
  static constexpr int levels = 12;  // Of 5 bits each; what collides in 60 bits shares a leaf.

  // std::hash of a number is that number: mixed, so that all bits count (splitmix64's finisher).
  static std::uint64_t hash_of(const Key& key) {
    std::uint64_t hash = std::hash<Key>{}(key);
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
    return hash ^ (hash >> 31);
  }
  // From the top, so that the order of children is the order of hashes.
  static std::uint32_t bit_of(std::uint64_t hash, int level) {
    return std::uint32_t{1} << ((hash >> (64 - bits * (level + 1))) & 31);
  }

  static Node& own(const Edit& edit, NodePtr& slot) {
    if (!slot) {
      slot = std::make_shared<Node>();
    } else if (slot->edit != edit.number()) {
      slot = std::make_shared<Node>(*slot);
    }
    slot->edit = edit.number();
    return *slot;
  }

  void insert(const Edit& edit, NodePtr& slot, Entry entry, int level) {
    Node& node = own(edit, slot);
    if (!node.is_leaf) {
      const std::uint32_t bit = bit_of(entry.hash, level);
      const auto at = static_cast<std::ptrdiff_t>(node.position(bit));
      if ((node.bitmap & bit) == 0) {
        node.children.insert(node.children.begin() + at, NodePtr());
        node.bitmap |= bit;
      }
      return insert(edit, node.children[static_cast<std::size_t>(at)], std::move(entry), level + 1);
    }
    const auto at = std::find_if(node.entries.begin(), node.entries.end(), [&](const Entry& other) {
      return !other.before(entry.hash, entry.key);
    });
    if (at != node.entries.end() && at->key == entry.key) {
      at->value = std::move(entry.value);
      return;
    }
    node.entries.insert(at, std::move(entry));
    ++size_;
    if (node.entries.size() > leaf_max && level < levels) split(edit, node, level);
  }

  void split(const Edit& edit, Node& node, int level) {
    std::vector<Entry> entries = std::move(node.entries);
    node.entries = {};
    node.is_leaf = false;
    size_ -= entries.size();
    for (Entry& entry : entries) {
      const std::uint32_t bit = bit_of(entry.hash, level);
      if ((node.bitmap & bit) == 0) {
        node.children.push_back(nullptr);  // They come in order.
        node.bitmap |= bit;
      }
      insert(edit, node.children[node.position(bit)], std::move(entry), level + 1);
    }
  }

  void remove(const Edit& edit, NodePtr& slot, std::uint64_t hash, const Key& key, int level) {
    Node& node = own(edit, slot);
    if (node.is_leaf) {
      std::erase_if(node.entries, [&](const Entry& entry) { return entry.key == key; });
    } else {
      const std::uint32_t bit = bit_of(hash, level);
      const auto at = static_cast<std::ptrdiff_t>(node.position(bit));
      remove(edit, node.children[static_cast<std::size_t>(at)], hash, key, level + 1);
      if (!node.children[static_cast<std::size_t>(at)]) {
        node.children.erase(node.children.begin() + at);
        node.bitmap &= ~bit;
      }
    }
    if (node.count() == 0) slot = nullptr;
  }

  NodePtr root_;
  std::size_t size_ = 0;
};

}  // namespace qlab::metadata
