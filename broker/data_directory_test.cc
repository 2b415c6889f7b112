#include "broker/data_directory.h"

#include <boost/test/unit_test.hpp>

#include "runtime/real/test_world.h"

namespace qlab::broker {
namespace {

const DataOwner owner{NodeId{1}, "AAECAwQFBgcICQoLDA0ODw", {{"controller.design", "quorum"}}};

struct Fixture {
  runtime::TestWorld world;
  runtime::Disk& disk = world.runtime().disk();
  Prng random{7};

  Result<DirectoryId> open(const DataOwner& who) {
    return open_data_directory(disk, who, "/data/1", random);
  }
  void replace(std::string_view text) {
    BOOST_REQUIRE(disk.write_file_atomically("meta.properties", as_view(text)).has_value());
  }
};

BOOST_FIXTURE_TEST_SUITE(data_directory, Fixture)

BOOST_AUTO_TEST_CASE(an_empty_directory_is_formatted_once_and_keeps_its_id) {
  const auto first = open(owner);
  BOOST_REQUIRE_MESSAGE(first.has_value(), runtime::why(first));
  BOOST_TEST(!first->is_zero());
  const auto again = open(owner);
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST((*again == *first));
  const auto text = disk.read_file("meta.properties");
  BOOST_REQUIRE(text.has_value());
  BOOST_TEST(as_text(*text) == fmt::format("version=1\ncluster.id={}\nnode.id=1\ndirectory.id={}\n"
                                           "controller.design=quorum\n",
                                           owner.cluster_id, first->to_string()));
}

BOOST_AUTO_TEST_CASE(another_node_is_refused_with_both_ids_and_the_path) {
  BOOST_REQUIRE(open(owner).has_value());
  const auto other = open({NodeId{2}, owner.cluster_id});
  BOOST_REQUIRE(!other.has_value());
  BOOST_TEST((other.error().code == Errc::invalid));
  BOOST_TEST(other.error().context == "/data/1 belongs to node.id=1; allowed here: node.id=2");
}

BOOST_AUTO_TEST_CASE(another_cluster_is_refused_with_both_ids_and_the_path) {
  BOOST_REQUIRE(open(owner).has_value());
  const auto other = open({owner.node, "DwEOAg0DDAQLBQoGCQcIAA"});
  BOOST_REQUIRE(!other.has_value());
  BOOST_TEST(other.error().context ==
             "/data/1 belongs to cluster.id=AAECAwQFBgcICQoLDA0ODw; allowed here: "
             "cluster.id=DwEOAg0DDAQLBQoGCQcIAA");
}

BOOST_AUTO_TEST_CASE(settings_that_say_what_the_files_mean_stay_as_they_were) {
  BOOST_REQUIRE(open(owner).has_value());
  const auto other = open({owner.node, owner.cluster_id, {{"controller.design", "zk"}}});
  BOOST_REQUIRE(!other.has_value());
  BOOST_TEST((other.error().code == Errc::invalid));
  BOOST_TEST(other.error().context ==
             "/data/1 belongs to controller.design=quorum; allowed here: controller.design=zk");
  BOOST_TEST(open(owner).has_value());
}

BOOST_AUTO_TEST_CASE(a_directory_with_other_files_is_not_taken_over) {
  BOOST_REQUIRE(disk.write_file_atomically("thesis.tex", as_view("!")).has_value());
  const auto refused = open(owner);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST(refused.error().context.find("thesis.tex") != std::string::npos);
  BOOST_TEST(!*disk.exists("meta.properties"));
}

BOOST_AUTO_TEST_CASE(what_a_kill_leaves_while_formatting_is_no_obstacle) {
  BOOST_REQUIRE(disk.write_file_atomically(".lock", {}).has_value());
  BOOST_REQUIRE(disk.write_file_atomically("meta.properties.tmp", as_view("vers")).has_value());
  BOOST_TEST(open(owner).has_value());
}

BOOST_AUTO_TEST_CASE(a_damaged_file_is_an_error_and_never_formatted_over) {
  for (const char* text :
       {"", "version=1\n", "version=1\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nnode.id=1\n",
        "version=1\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nnode.id=1\ndirectory.id=?\n",
        "version=9\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nnode.id=1\n"}) {
    replace(text);
    BOOST_TEST(!open(owner).has_value(), text);
    BOOST_TEST(as_text(*disk.read_file("meta.properties")) == text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
