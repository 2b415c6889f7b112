// Images that a driver takes, sends and receives.
#include "consensus/driver_test.h"

namespace qlab::consensus {
namespace {

using std::chrono::seconds;

BOOST_FIXTURE_TEST_SUITE(consensus_driver_snapshots, Stage)

BOOST_AUTO_TEST_CASE(an_image_stands_for_the_log_that_it_covers) {
  BOOST_REQUIRE(open(options_with_images()));
  commit(1, 20);
  BOOST_TEST(driver->snapshot().last.index == LogIndex{20});
  BOOST_TEST(count<in::SnapshotTaken>() > 2u);
  auto& disk = world.node(one).disk();
  BOOST_TEST(!*disk.exists("metadata/log-00000000000000000001"));
  close();
  machine = Recorder{};
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST(machine.applied.size() == 20u);
  BOOST_TEST(driver->applied() == LogIndex{20});
}

// The machine's image has all that it ever applied, in 24 bytes for each entry of three.
BOOST_AUTO_TEST_CASE(an_image_of_a_state_that_grows_waits_for_as_many_bytes_as_the_last_one_has) {
  DriverOptions options = options_with_images();
  options.snapshots_grow = true;
  BOOST_REQUIRE(open(options));
  commit(1, 60);
  BOOST_TEST(count<in::SnapshotTaken>() == 2u);
  BOOST_TEST(driver->snapshot().last.index == LogIndex{4 + 4 * 24 / 3});
  // What a start applies again counts towards the next one.
  close();
  machine = Recorder{};
  BOOST_REQUIRE(open(options));
  act({out::Commit{LogIndex{60}, WriteSeq{0}}});
  world.run_for(seconds(1));
  BOOST_TEST(driver->applied() == LogIndex{60});
  commit(61, 36 + 36 * 24 / 3);
  BOOST_TEST(count<in::SnapshotTaken>() == 3u);
  BOOST_TEST(driver->snapshot().last.index == LogIndex{36 + 36 * 24 / 3});
}

BOOST_AUTO_TEST_CASE(the_log_of_a_module_that_sends_no_images_is_kept_whole) {
  strings.capabilities = {};
  BOOST_REQUIRE(open(options_with_images()));
  commit(1, 20);
  BOOST_TEST(driver->snapshot().last.index == LogIndex{0});
  BOOST_TEST(*world.node(one).disk().exists("metadata/log-00000000000000000001"));
}

BOOST_AUTO_TEST_CASE(a_leaders_image_takes_the_place_of_what_is_here) {
  BOOST_REQUIRE(open(options_with_images()));
  // What the image has: eight entries of another history.
  Recorder leader;
  std::vector<Entry> entries;
  for (std::int64_t i = 1; i <= 8; ++i) entries.push_back(entry(2, i));
  leader.apply(entries);
  const auto image = std::make_shared<const Bytes>(leader.snapshot()->next(SIZE_MAX));
  const auto half = static_cast<std::ptrdiff_t>(image->size() / 2);
  const auto first = std::make_shared<const Bytes>(image->begin(), image->begin() + half);
  const auto second = std::make_shared<const Bytes>(image->begin() + half, image->end());
  SnapshotMeta meta{entries.back().id, options_with_images().config, image->size()};

  act({out::SaveHardState{WriteSeq{1}, voted(2)},
       out::Append{WriteSeq{2}, {entry(1, 1), entry(1, 2)}},
       out::Commit{LogIndex{1}, WriteSeq{2}}});
  world.run_for(seconds(1));
  act({out::StoreSnapshot{WriteSeq{3}, meta, 0, first},
       out::StoreSnapshot{WriteSeq{4}, meta, first->size(), second},
       out::InstallSnapshot{WriteSeq{5}, meta}, out::Append{WriteSeq{6}, {entry(2, 9)}},
       out::Commit{LogIndex{9}, WriteSeq{6}}});
  world.run_for(seconds(1));
  BOOST_TEST(fatal.empty());
  BOOST_TEST(count<in::SnapshotInstalled>() == 1u);
  BOOST_REQUIRE(machine.applied.size() == 9u);
  BOOST_TEST((machine.applied[0].id.epoch == Epoch{2}));
  BOOST_TEST(driver->applied() == LogIndex{9});
  close();
  machine = Recorder{};
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST(machine.applied.size() >= 8u);
}

BOOST_AUTO_TEST_CASE(pieces_of_an_image_are_read_in_the_order_asked_for) {
  BOOST_REQUIRE(open(options_with_images()));
  act({out::SaveHardState{WriteSeq{1}, voted(1)},
       out::Append{WriteSeq{2}, {entry(1, 1), entry(1, 2), entry(1, 3), entry(1, 4)}},
       out::Commit{LogIndex{4}, WriteSeq{2}}});
  world.run_for(seconds(1));
  const LogId last = driver->snapshot().last;
  BOOST_REQUIRE(last.index == LogIndex{4});
  act({out::ReadSnapshot{two, last, 0, 7}, out::ReadSnapshot{two, last, 7, 1000},
       out::ReadSnapshot{two, {Epoch{1}, LogIndex{3}}, 0, 7}});
  world.run_for(seconds(1));
  std::vector<std::size_t> sizes;
  for (const Input& input : strings.inputs) {
    const auto* chunk = std::get_if<in::SnapshotChunk>(&input);
    if (chunk != nullptr) sizes.push_back(chunk->bytes ? chunk->bytes->size() : SIZE_MAX);
  }
  const std::size_t size = driver->snapshot().size;
  BOOST_TEST((sizes == std::vector<std::size_t>{7, size - 7, SIZE_MAX}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus
