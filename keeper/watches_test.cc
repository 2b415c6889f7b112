#include "keeper/watches.h"

#include <boost/test/unit_test.hpp>

#include "keeper/session_clock.h"
#include "wire/keeper/messages.h"

namespace qlab::keeper {
namespace {

using wire::keeper::EventType;
using wire::keeper::WatcherType;

struct Heard {
  std::vector<std::string> lines;
  Watches watches{[this](WatcherId watcher, EventType type, const std::string& path) {
    constexpr std::string_view words[] = {"", "created", "deleted", "data", "children"};
    lines.push_back(fmt::format("{} {} {}", watcher, words[static_cast<int>(type)], path));
  }};
  std::vector<std::string> of(EventType type, const std::string& path) {
    lines.clear();
    watches.happened(type, path);
    return lines;
  }
};
using Lines = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(keeper_watches)

BOOST_AUTO_TEST_CASE(a_one_shot_watch_tells_once) {
  Heard heard;
  heard.watches.add(1, "/a", WatchKind::data);
  heard.watches.add(1, "/a", WatchKind::data);
  heard.watches.add(2, "/a", WatchKind::children);
  BOOST_TEST(heard.watches.count() == 2u);
  BOOST_TEST((heard.of(EventType::node_data_changed, "/a") == Lines{"1 data /a"}));
  BOOST_TEST(heard.of(EventType::node_data_changed, "/a").empty());
  BOOST_TEST((heard.of(EventType::node_children_changed, "/a") == Lines{"2 children /a"}));
  BOOST_TEST(heard.watches.count() == 0u);
  BOOST_TEST(heard.watches.watchers() == 0u);
}

BOOST_AUTO_TEST_CASE(a_deletion_is_told_once_to_whoever_watched_data_and_children) {
  Heard heard;
  heard.watches.add(1, "/a", WatchKind::data);
  heard.watches.add(1, "/a", WatchKind::children);
  BOOST_TEST((heard.of(EventType::node_deleted, "/a") == Lines{"1 deleted /a"}));
  BOOST_TEST(heard.watches.paths() == 0u);
}

BOOST_AUTO_TEST_CASE(a_persistent_watch_stays_and_a_recursive_one_hears_of_what_lies_below) {
  Heard heard;
  heard.watches.add(1, "/a", WatchKind::persistent);
  heard.watches.add(2, "/a", WatchKind::recursive);
  heard.watches.add(3, "/", WatchKind::recursive);
  for (int i = 0; i < 2; ++i) {
    BOOST_TEST((heard.of(EventType::node_children_changed, "/a") == Lines{"1 children /a"}));
    BOOST_TEST((heard.of(EventType::node_data_changed, "/a") ==
                Lines{"1 data /a", "2 data /a", "3 data /a"}));
    BOOST_TEST((heard.of(EventType::node_created, "/a/b/c") ==
                Lines{"2 created /a/b/c", "3 created /a/b/c"}));
  }
  BOOST_TEST(heard.watches.remove(2, "/a", WatcherType::any));
  BOOST_TEST((heard.of(EventType::node_created, "/a/b") == Lines{"3 created /a/b"}));
}

BOOST_AUTO_TEST_CASE(a_watch_is_removed_by_its_type_and_with_its_watcher) {
  Heard heard;
  heard.watches.add(1, "/a", WatchKind::data);
  heard.watches.add(1, "/a", WatchKind::children);
  heard.watches.add(1, "/b", WatchKind::data);
  heard.watches.add(2, "/a", WatchKind::data);
  BOOST_TEST(!heard.watches.remove(2, "/a", WatcherType::children));
  BOOST_TEST(heard.watches.remove(1, "/a", WatcherType::data));
  BOOST_TEST(heard.watches.has(1, "/a", WatcherType::children));
  BOOST_TEST((heard.of(EventType::node_data_changed, "/a") == Lines{"2 data /a"}));
  heard.watches.remove_all(1);
  BOOST_TEST(heard.watches.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_session_ends_at_the_first_tick_behind_its_timeout_unless_it_is_touched) {
  using std::chrono::milliseconds;
  SessionClock clock(milliseconds(100));
  const Time start{};
  clock.touch(1, start, milliseconds(250));
  clock.touch(2, start, milliseconds(250));
  BOOST_TEST(clock.expired(start + milliseconds(299)).empty());
  clock.touch(2, start + milliseconds(200), milliseconds(250));
  BOOST_TEST((clock.expired(start + milliseconds(300)) == std::vector<std::int64_t>{1}));
  BOOST_TEST(!clock.knows(1));
  clock.touch(2, start, milliseconds(100));  // An old touch shortens nothing.
  BOOST_TEST(clock.expired(start + milliseconds(499)).empty());
  BOOST_TEST((clock.expired(start + milliseconds(500)) == std::vector<std::int64_t>{2}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::keeper
