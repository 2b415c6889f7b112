#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "keeper/path.h"
#include "keeper/test_tools.h"

namespace qlab::keeper {

BOOST_AUTO_TEST_SUITE(keeper_tree)

BOOST_AUTO_TEST_CASE(paths_are_what_zookeeper_takes_for_one) {
  for (const char* good :
       {"/", "/a", "/a/b", "/a.b", "/...", "/a b", "/\xc3\xa4", "/a-0000000001"}) {
    BOOST_TEST_CONTEXT(good) {
      BOOST_TEST(is_valid_path(good));
    }
  }
  for (const char* bad : {"", "a", "//", "/a/", "/a//b", "/.", "/a/../b", "/a\x01", "/\x7f",
                          "/\xc2\x80", "/\xee\x80\x80", "/\xef\xbf\xbf"}) {
    BOOST_TEST_CONTEXT(bad) {
      BOOST_TEST(!is_valid_path(bad));
    }
  }
  BOOST_TEST(!is_valid_path(std::string_view("/a\0b", 4)));
  BOOST_TEST(parent_of("/a/b") == "/a");
  BOOST_TEST(parent_of("/a") == "/");
  BOOST_TEST(name_of("/a/b") == "b");
}

BOOST_AUTO_TEST_CASE(an_empty_tree_has_what_zookeeper_reserves) {
  const Tree tree;
  BOOST_TEST(tree.size() == 4u);
  BOOST_TEST(tree.path_of(tree.find("/zookeeper/quota")) == "/zookeeper/quota");
  BOOST_TEST(tree.stat_of(Tree::root).num_children == 1);
  BOOST_TEST(tree.find("/zookeeper/none") == no_slot);
  BOOST_TEST(tree.find("") == no_slot);
}

BOOST_AUTO_TEST_CASE(a_stat_tells_what_happened_to_a_znode_and_its_children) {
  Tree tree;
  const Slot a = tree.create(Tree::root, "a", as_view("data"), 0, 1, {10, 1000});
  const Slot b = tree.create(a, "b", std::nullopt, 77, 1, {11, 1001});
  tree.set_data(a, as_view("more data"), 1, {12, 1002});
  Stat stat = tree.stat_of(a);
  BOOST_TEST((stat == Stat{10, 12, 1000, 1002, 1, 1, 0, 0, 9, 1, 11}));
  BOOST_TEST(as_text(*tree.data_of(a)) == "more data");
  BOOST_TEST(!tree.data_of(b).has_value());
  BOOST_TEST(tree.ephemerals_of(77)->size() == 1u);
  tree.remove(b, {13, 1003});
  stat = tree.stat_of(a);
  BOOST_TEST(stat.num_children == 0);
  BOOST_TEST(stat.cversion == 2);  // One came and one went.
  BOOST_TEST(stat.pzxid == 13);
  BOOST_TEST(tree.ephemerals_of(77) == nullptr);
}

// Against a map: any sequence of creates, removals and writes.
BOOST_AUTO_TEST_CASE(a_tree_holds_what_a_map_holds) {
  Prng random(11);
  Tree tree;
  std::map<std::string, std::string> twin;
  for (int step = 0; step < 30'000; ++step) {
    std::string path;
    for (std::uint64_t depth = random.between(1, 3); depth > 0; --depth) {
      path += fmt::format("/{}", random.below(12));
    }
    const Slot slot = tree.find(path);
    BOOST_REQUIRE((slot != no_slot) == twin.contains(path));
    const When when{step, step};
    const std::string above(parent_of(path));
    if (slot == no_slot) {
      if (tree.find(above) == no_slot) continue;
      tree.create(tree.find(above), name_of(path), as_view(path), 0, step, when);
      twin[path] = path;
    } else if (random.chance(0.5) && tree.at(slot).children == 0) {
      tree.remove(slot, when);
      twin.erase(path);
    } else {
      const std::string data(random.below(40), 'x');
      tree.set_data(slot, as_view(data), step, when);
      twin[path] = data;
    }
  }
  BOOST_TEST(tree.size() == twin.size() + 4);
  for (const auto& [path, data] : twin) {
    const Slot slot = tree.find(path);
    BOOST_REQUIRE(slot != no_slot);
    BOOST_TEST(tree.path_of(slot) == path);
    BOOST_TEST(as_text(*tree.data_of(slot)) == data);
    BOOST_TEST(tree.children_of(slot).size() == tree.at(slot).children);
  }
}

// A million partitions are millions of znodes.
BOOST_AUTO_TEST_CASE(a_znode_costs_one_record_and_one_allocation) {
  BOOST_TEST(sizeof(Znode) <= 104u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::keeper
