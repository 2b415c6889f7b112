#include "replication/groups/group_log.h"

#include <boost/test/unit_test.hpp>

#include "runtime/disk.h"
#include "runtime/simulated/run.h"

namespace qlab::replication {
namespace {

using consensus::Entry;
using consensus::EntryKind;

constexpr NodeId node{1};
const GroupId orders{TopicId{1, 2}, PartitionIndex{0}};
const GroupId items{TopicId{1, 2}, PartitionIndex{1}};

Entry entry_of(std::int64_t index, std::string_view text, std::int64_t epoch = 1) {
  const ByteView bytes = as_view(text);
  return {{Epoch{epoch}, LogIndex{index}},
          EntryKind::data,
          std::make_shared<const Bytes>(bytes.begin(), bytes.end())};
}

GroupState born() {
  GroupState state;
  state.base.config.members = {{NodeId{1}}, {NodeId{2}}, {NodeId{3}}};
  return state;
}

std::string why(const Result<void>& result) {
  return result ? "" : result.error().message();
}

struct Fixture {
  runtime::SimulatedWorld world{1};
  std::unique_ptr<storage::Engine> engine;
  std::unique_ptr<GroupLog> log;

  Fixture() { open(); }
  ~Fixture() { static_cast<void>(runtime::run(world, node, log->close())); }

  Result<void> try_open() {
    engine = storage::make_engine("buffered", world.node(node)).value();
    auto opened = runtime::run(world, node, GroupLog::open(world.node(node), *engine, "groups"));
    if (!opened) return fail(opened.error());
    log = std::move(*opened);
    return {};
  }
  void open() {
    const auto opened = try_open();
    BOOST_REQUIRE_MESSAGE(opened.has_value(), why(opened));
  }
  void reopen() {
    BOOST_REQUIRE(runtime::run(world, node, log->close()).has_value());
    open();
  }
  void flush() { BOOST_REQUIRE(runtime::run(world, node, log->flush()).has_value()); }
  std::string the_file() {
    const auto names = engine->list("groups").value();
    BOOST_REQUIRE(names.size() == 1u);
    return "groups/" + names.front();
  }
};

std::string texts(const GroupState& state) {
  std::string all;
  for (const Entry& entry : state.entries) all += as_text(*entry.body);
  return all;
}

BOOST_FIXTURE_TEST_SUITE(group_log, Fixture)

BOOST_AUTO_TEST_CASE(what_was_put_comes_back_group_by_group) {
  log->begin(orders, born());
  log->begin(items, born());
  log->append(orders, {entry_of(1, "a"), entry_of(2, "b"), entry_of(3, "c")});
  log->append(items, {entry_of(1, "x")});
  log->truncate(orders, LogIndex{3});
  consensus::HardState hard;
  hard.epoch = hard.synced_epoch = Epoch{4};
  hard.vote = consensus::ReplicaKey{NodeId{2}, {}};
  log->save(items, hard);
  flush();
  BOOST_TEST(log->syncs() == 1u);
  reopen();
  const auto one = log->take(orders);
  const auto two = log->take(items);
  BOOST_REQUIRE(one.has_value());
  BOOST_REQUIRE(two.has_value());
  BOOST_TEST(texts(*one) == "ab");
  BOOST_TEST(texts(*two) == "x");
  BOOST_TEST((two->hard == hard));
  BOOST_TEST((two->base.config == born().base.config));
  BOOST_TEST(!log->take(orders).has_value());
}

BOOST_AUTO_TEST_CASE(a_group_begins_again_in_the_next_file_and_the_old_ones_go) {
  log->begin(orders, born());
  log->append(orders, {entry_of(1, "a"), entry_of(2, "b")});
  BOOST_REQUIRE(runtime::run(world, node, log->begin_file()).has_value());
  log->append(orders, {entry_of(3, "c")});  // Before it has begun again.
  GroupState state = born();
  state.base.last = {Epoch{1}, LogIndex{2}};
  state.base.end = Offset{7};
  state.entries = {entry_of(3, "c")};
  log->begin(orders, state);
  BOOST_REQUIRE(runtime::run(world, node, log->drop_old_files()).has_value());
  the_file();
  reopen();
  const auto found = log->take(orders);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(texts(*found) == "c");
  BOOST_TEST(found->base.end.value() == 7);
}

BOOST_AUTO_TEST_CASE(a_beginning_that_a_crash_tore_leaves_what_was_there_before) {
  log->begin(orders, born());
  log->append(orders, {entry_of(1, "a"), entry_of(2, "b")});
  BOOST_REQUIRE(runtime::run(world, node, log->begin_file()).has_value());
  runtime::Disk& disk = world.node(node).disk();
  const std::string newest = "groups/" + engine->list("groups").value().back();
  const std::size_t header = disk.read_file(newest).value().size();
  GroupState state = born();
  state.entries = {entry_of(1, "a"), entry_of(2, "b")};
  log->begin(orders, state);
  flush();
  const Bytes whole = disk.read_file(newest).value();
  const Bytes before = disk.read_file("groups/" + engine->list("groups").value().front()).value();
  for (std::size_t kept = header; kept <= whole.size(); ++kept) {
    Bytes torn = whole;
    torn.resize(kept);
    const std::string directory = fmt::format("torn-{}", kept);
    BOOST_REQUIRE(disk.make_directories(directory).has_value());
    const auto write = [&](int number, const Bytes& bytes) {
      const std::string path = fmt::format("{}/groups-{:020}", directory, number);
      BOOST_REQUIRE(disk.write_file_atomically(path, bytes).has_value());
    };
    write(1, before);
    write(2, torn);
    auto opened = runtime::run(world, node, GroupLog::open(world.node(node), *engine, directory));
    BOOST_REQUIRE(opened.has_value());
    const auto found = (*opened)->take(orders);
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST(texts(*found) == "ab", kept << " bytes of the beginning were kept");
    BOOST_REQUIRE(runtime::run(world, node, (*opened)->close()).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_group_that_was_forgotten_does_not_come_back) {
  log->begin(orders, born());
  flush();
  log->forget(orders);
  flush();
  reopen();
  BOOST_TEST(!log->take(orders).has_value());
}

BOOST_AUTO_TEST_CASE(a_sweep_forgets_what_is_not_wanted_and_leaves_what_was_taken) {
  const GroupId away{TopicId{3, 4}, PartitionIndex{0}};
  for (const GroupId& group : {orders, items, away}) log->begin(group, born());
  flush();
  reopen();
  BOOST_REQUIRE(log->take(orders).has_value());
  log->sweep([&](const GroupId& group) { return group == items; });
  BOOST_TEST(!log->take(away).has_value());
  flush();
  reopen();
  BOOST_TEST(log->take(orders).has_value());
  BOOST_TEST(log->take(items).has_value());
  BOOST_TEST(!log->take(away).has_value());
}

BOOST_AUTO_TEST_CASE(a_torn_tail_is_cut_and_what_was_durable_before_stays) {
  log->begin(orders, born());
  log->append(orders, {entry_of(1, "a")});
  flush();
  const std::string path = the_file();
  runtime::Disk& disk = world.node(node).disk();
  const Bytes whole = disk.read_file(path).value();
  log->append(orders, {entry_of(2, "b")});
  flush();
  Bytes torn = disk.read_file(path).value();
  torn.resize(whole.size() + 5);
  BOOST_REQUIRE(disk.write_file_atomically(path, torn).has_value());
  reopen();
  BOOST_TEST(log->bytes_cut() == 5u);
  const auto found = log->take(orders);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(texts(*found) == "a");
}

BOOST_AUTO_TEST_CASE(damage_in_what_was_durable_is_refused_by_name) {
  log->begin(orders, born());
  log->append(orders, {entry_of(1, "a")});
  flush();
  const std::string path = the_file();
  runtime::Disk& disk = world.node(node).disk();
  const std::size_t first = disk.read_file(path).value().size();
  log->append(orders, {entry_of(2, "b")});
  flush();
  Bytes damaged = disk.read_file(path).value();
  damaged[first - 1] ^= std::byte{1};
  BOOST_REQUIRE(disk.write_file_atomically(path, damaged).has_value());
  const auto opened = try_open();
  BOOST_REQUIRE(!opened.has_value());
  BOOST_TEST((opened.error().code == Errc::corrupt), opened.error().message());
  BOOST_TEST(opened.error().context.find("which was durable") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

// A process that has the log open, in a world that crashes it.
struct Life {
  std::unique_ptr<storage::Engine> engine;
  std::unique_ptr<GroupLog> log;
};

struct Lives {
  runtime::SimulatedWorld world;
  const std::string_view engine_name;
  Life* life = nullptr;  // The world's; it ends with a crash.

  Lives(std::uint64_t seed, std::string_view engine) : world(seed), engine_name(engine) {}

  static Task<Result<void>> open_log(Life* life, runtime::Runtime* runtime) {
    CO_TRY(life->log, co_await GroupLog::open(*runtime, *life->engine, "groups"));
    co_return Result<void>{};
  }
  // Nothing: the node died before the log was open.
  std::optional<Result<void>> open() {
    world.boot(node, [&](runtime::Runtime& runtime) {
      auto made = std::make_shared<Life>();
      made->engine = storage::make_engine(engine_name, runtime).value();
      life = made.get();
      return made;
    });
    const auto opened = runtime::begin(world, node, open_log(life, &world.node(node)));
    const auto is_over = [&] { return opened->value.has_value() || !world.node(node).is_up(); };
    BOOST_REQUIRE(world.run_until(is_over, std::chrono::hours(1)).has_value());
    return opened->value;
  }
  void crash() {
    if (world.node(node).is_up()) world.crash(node);
  }
};

BOOST_AUTO_TEST_SUITE(group_log_crashes)

// An opening writes all of it anew. A crash in the middle of that may come twice, and the second
// one finds what the first one left.
BOOST_AUTO_TEST_CASE(two_crashes_while_it_is_opened_lose_nothing) {
  for (const std::string_view engine : {"buffered", "direct"}) {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
      BOOST_TEST_CONTEXT(engine << ", seed " << seed) {
        Prng random(seed);
        Lives lives(seed, engine);
        BOOST_REQUIRE(lives.open().value().has_value());
        lives.life->log->begin(orders, born());
        lives.life->log->append(orders, {entry_of(1, "a"), entry_of(2, "b")});
        BOOST_REQUIRE(runtime::run(lives.world, node, lives.life->log->flush()).has_value());
        lives.crash();
        for (int crashes = 0; crashes < 2; ++crashes) {
          lives.world.node(node).disk().crash_at_change(1 + random.below(12));
          const auto opened = lives.open();
          if (opened) BOOST_REQUIRE_MESSAGE(opened->has_value(), why(*opened));
          lives.world.node(node).disk().crash_at_change(0);
          lives.crash();
        }
        const auto opened = lives.open();
        BOOST_REQUIRE_MESSAGE(opened->has_value(), why(*opened));
        const auto found = lives.life->log->take(orders);
        BOOST_REQUIRE(found.has_value());
        BOOST_TEST(texts(*found) == "ab");
        lives.crash();
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
