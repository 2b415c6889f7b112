#include <map>
#include <string>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "metadata/persistent_map.h"
#include "metadata/persistent_vector.h"

namespace qlab::metadata {
namespace {

// Four values of hash for any number of keys: leaves that cannot be split.
struct Colliding {
  int number = 0;
  auto operator<=>(const Colliding&) const = default;
};

}  // namespace
}  // namespace qlab::metadata

template <>
struct std::hash<qlab::metadata::Colliding> {
  std::size_t operator()(const qlab::metadata::Colliding& key) const noexcept {
    return static_cast<std::size_t>(key.number % 4);
  }
};

namespace qlab::metadata {
namespace {

template <class Key, class MakeKey>
void walk(std::uint64_t seed, std::uint64_t keys, MakeKey make_key) {
  Prng prng(seed);
  PersistentMap<Key, int> map;
  std::map<Key, int> twin;
  std::vector<std::pair<PersistentMap<Key, int>, std::map<Key, int>>> older;
  for (int step = 0; step < 200; ++step) {
    older.emplace_back(map, twin);
    const Edit edit;
    for (int change = 0; change < 20; ++change) {
      const Key key = make_key(prng.below(keys));
      if (prng.chance(0.6)) {
        map.set(edit, key, step);
        twin[key] = step;
      } else {
        map.erase(edit, key);
        twin.erase(key);
      }
    }
    BOOST_REQUIRE_EQUAL(map.size(), twin.size());
  }
  older.emplace_back(map, twin);
  for (const auto& [then, expected] : older) {
    std::map<Key, int> seen;
    then.for_each([&](const Key& key, int value) {
      BOOST_REQUIRE(seen.emplace(key, value).second);
      BOOST_REQUIRE(then.find(key) != nullptr);
    });
    BOOST_REQUIRE((seen == expected));
  }
}

BOOST_AUTO_TEST_SUITE(persistent)

BOOST_AUTO_TEST_CASE(a_persistent_map_behaves_as_a_map_and_its_older_copies_do_not_change) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    walk<std::string>(seed, 3000, [](std::uint64_t n) { return std::to_string(n); });
    walk<Colliding>(seed, 60, [](std::uint64_t n) { return Colliding{static_cast<int>(n)}; });
  }
}

BOOST_AUTO_TEST_CASE(the_order_of_a_map_depends_on_its_keys_and_not_on_its_past) {
  PersistentMap<int, int> grown;
  PersistentMap<int, int> shrunk;
  for (int key = 0; key < 5000; ++key) shrunk = shrunk.with(key, key);
  for (int key = 4999; key >= 100; --key) shrunk = shrunk.without(key);
  for (int key = 99; key >= 0; --key) grown = grown.with(key, key);
  std::vector<int> one;
  std::vector<int> other;
  grown.for_each([&](int key, int) { one.push_back(key); });
  shrunk.for_each([&](int key, int) { other.push_back(key); });
  BOOST_TEST(one.size() == 100u);
  BOOST_TEST(one == other, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_persistent_vector_behaves_as_a_vector_and_its_older_copies_do_not_change) {
  Prng prng(3);
  PersistentVector<int> vector;
  std::vector<int> twin;
  std::vector<std::pair<PersistentVector<int>, std::vector<int>>> older;
  for (int step = 0; step < 60; ++step) {
    older.emplace_back(vector, twin);
    const Edit edit;
    for (int change = 0; change < 40; ++change) {
      vector.push_back(edit, std::make_shared<const int>(step));
      twin.push_back(step);
      const std::size_t at = prng.below(twin.size());
      vector.set(edit, at, std::make_shared<const int>(-step));
      twin[at] = -step;
    }
  }
  older.emplace_back(vector, twin);
  for (const auto& [then, expected] : older) {
    std::vector<int> seen;
    for (const auto& item : then) seen.push_back(*item);
    BOOST_TEST(seen == expected, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::metadata
