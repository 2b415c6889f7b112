#pragma once
// An immutable sorted-by-bucket map: a copy that differs in one key costs one bucket and the table
// of buckets.
//
// Images of the cluster are values that many hold at once, and a change touches few topics of many.
// With N keys a change copies N / bucket_count entries and bucket_count pointers, and shares the
// rest.
//
// Thread: any; a map is never changed once made.

#include <array>
#include <functional>
#include <map>
#include <memory>

namespace qlab::metadata {

template <class Key, class Value>
class BucketMap {
 public:
  // The value, or nullptr. Valid as long as any map that holds it.
  const Value* find(const Key& key) const {
    const auto& bucket = buckets_[bucket_of(key)];
    if (!bucket) return nullptr;
    const auto at = bucket->find(key);
    return at == bucket->end() ? nullptr : &at->second;
  }

  BucketMap with(const Key& key, Value value) const {
    return changed(key, [&](Bucket& bucket) { bucket.insert_or_assign(key, std::move(value)); });
  }
  BucketMap without(const Key& key) const {
    return changed(key, [&](Bucket& bucket) { bucket.erase(key); });
  }

  // In an order that depends on the keys only, not on how the map came to be.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& bucket : buckets_) {
      if (!bucket) continue;
      for (const auto& [key, value] : *bucket) visit(key, value);
    }
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  static constexpr std::size_t bucket_count = 256;
  using Bucket = std::map<Key, Value>;

  static std::size_t bucket_of(const Key& key) { return std::hash<Key>{}(key) % bucket_count; }

  template <class Change>
  BucketMap changed(const Key& key, Change change) const {
    BucketMap result = *this;
    auto& slot = result.buckets_[bucket_of(key)];
    auto bucket = slot ? std::make_shared<Bucket>(*slot) : std::make_shared<Bucket>();
    const std::size_t before = bucket->size();
    change(*bucket);
    result.size_ = size_ + bucket->size() - before;
    slot = std::move(bucket);
    return result;
  }

  std::array<std::shared_ptr<const Bucket>, bucket_count> buckets_{};
  std::size_t size_ = 0;
};

}  // namespace qlab::metadata
