#include "replication/partition_table.h"

#include <map>
#include <memory>
#include <set>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::replication {
namespace {

using Value = std::shared_ptr<int>;
using Key = std::pair<TopicId, PartitionIndex>;

Key random_key(Prng& random) {
  const TopicId topic{0, random.next() % 5};
  return {topic, PartitionIndex{static_cast<std::int32_t>(random.next() % 20)}};
}

BOOST_AUTO_TEST_SUITE(partition_table)

BOOST_AUTO_TEST_CASE(it_holds_what_a_map_would_hold) {
  Prng random(7);
  PartitionTable<Value> table;
  std::map<Key, Value> twin;
  for (int step = 0; step < 5000; ++step) {
    const Key key = random_key(random);
    if (random.next() % 2 == 0) {
      const auto value = std::make_shared<int>(step);
      table.put(key.first, key.second, value);
      twin[key] = value;
    } else {
      const auto at = twin.find(key);
      const Value expected = at == twin.end() ? nullptr : at->second;
      BOOST_REQUIRE((table.find(key.first, key.second) == expected));
      BOOST_REQUIRE((table.take(key.first, key.second) == expected));
      if (at != twin.end()) twin.erase(at);
    }
    BOOST_REQUIRE(table.size() == twin.size());
  }
  std::set<TopicId> topics;
  std::map<TopicId, std::vector<PartitionIndex>> partitions;
  for (const auto& [key, value] : twin) {
    topics.insert(key.first);
    partitions[key.first].push_back(key.second);
  }
  BOOST_TEST((table.topics() == std::vector<TopicId>(topics.begin(), topics.end())));
  for (const auto& [topic, expected] : partitions) {
    BOOST_TEST((table.partitions_of(topic) == expected));
  }
}

BOOST_AUTO_TEST_CASE(a_walk_sees_once_what_is_there_all_the_time) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Prng random(seed);
    PartitionTable<Value> table;
    std::set<Value> stays;
    for (int i = 0; i < 40; ++i) {
      const Key key = random_key(random);
      if (table.find(key.first, key.second) != nullptr) continue;
      const auto value = std::make_shared<int>(i);
      table.put(key.first, key.second, value);
      stays.insert(value);
    }
    std::set<Value> seen;
    PartitionTable<Value>::Walk walk(table);
    const std::size_t piece = 1 + random.next() % 4;
    for (auto some = walk.next(piece); !some.empty(); some = walk.next(piece)) {
      BOOST_REQUIRE(some.size() <= piece);
      for (const Value& value : some) {
        BOOST_REQUIRE_MESSAGE(seen.insert(value).second, "seen twice, with seed " << seed);
      }
      const Key gone = random_key(random);
      stays.erase(table.take(gone.first, gone.second));
      const Key come = random_key(random);
      if (table.find(come.first, come.second) == nullptr) {
        table.put(come.first, come.second, std::make_shared<int>(0));
      }
    }
    for (const Value& value : stays) {
      BOOST_TEST_REQUIRE(seen.contains(value), "not seen, with seed " << seed);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
