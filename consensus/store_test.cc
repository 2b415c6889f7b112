// The stores of a replica: what they find again, what they cut, and what they refuse.
#include <cerrno>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "consensus/group_test.h"
#include "consensus/log_store.h"
#include "consensus/message.h"
#include "consensus/snapshot_store.h"
#include "consensus/vote_store.h"
#include "consensus/write_queue.h"

namespace qlab::consensus {
namespace {

constexpr NodeId one{1};
constexpr std::string_view file_path = "d/log-00000000000000000001";

Entry entry(std::int64_t epoch, std::int64_t index, std::string_view words) {
  const ByteView body = as_view(words);
  return {{Epoch{epoch}, LogIndex{index}},
          EntryKind::data,
          std::make_shared<const Bytes>(body.begin(), body.end())};
}

struct Stores {
  explicit Stores(std::uint64_t seed = 1) : world(seed) {
    engine = std::move(*storage::make_engine("buffered", world.node(one)));
    BOOST_REQUIRE(disk().make_directories("d").has_value());
  }
  runtime::SimulatedDisk& disk() { return world.node(one).disk(); }
  LogStoreOptions options(bool fresh) {
    return {.salt = 42, .fresh = fresh, .file_bytes = file_bytes, .disk = &disk()};
  }
  Result<std::unique_ptr<LogStore>> open(bool fresh) {
    return run(world, one, LogStore::open(*engine, "d", {}, options(fresh)));
  }
  void write(LogStore& log, std::vector<Entry> entries, bool sync) {
    log.append(entries);
    BOOST_REQUIRE(run(world, one, log.write(std::move(entries))).has_value());
    if (sync) BOOST_REQUIRE(run(world, one, log.sync()).has_value());
  }
  // Closes the log, changes one byte of its file, or cuts it, and leaves it durable.
  void damage(LogStore& log, std::size_t at, bool cut) {
    BOOST_REQUIRE(run(world, one, log.close()).has_value());
    Bytes bytes = *disk().read_file(file_path);
    if (cut) {
      bytes.resize(at);
    } else {
      bytes[at] ^= std::byte{1};
    }
    BOOST_REQUIRE(disk().write_file_atomically(file_path, bytes).has_value());
  }
  std::size_t size() { return disk().read_file(file_path)->size(); }

  runtime::SimulatedWorld world;
  std::unique_ptr<storage::Engine> engine;
  std::uint64_t file_bytes = 1u << 20;
};

SnapshotMeta image(std::int64_t epoch, std::int64_t index) {
  Config config;
  config.members = {Member{one}};
  return {{Epoch{epoch}, LogIndex{index}}, config, 0};
}

std::shared_ptr<const Bytes> bytes_of(std::string_view text) {
  const ByteView bytes = as_view(text);
  return std::make_shared<const Bytes>(bytes.begin(), bytes.end());
}

std::string words(const LogView& log) {
  std::string text;
  for (const Entry& e : log.read(log.first(), SIZE_MAX)) {
    text += fmt::format("{}/{}:{} ", e.id.epoch, e.id.index, as_text(*e.body));
  }
  return text;
}

// The image, and the entries that are not in it.
std::string state_words(const LogView& log) {
  const LogId last = log.snapshot().last;
  std::string text = fmt::format("image {}/{} ", last.epoch, last.index);
  for (const Entry& e : log.read(log.first(), SIZE_MAX)) {
    if (e.id.index > last.index)
      text += fmt::format("{}/{}:{} ", e.id.epoch, e.id.index, as_text(*e.body));
  }
  return text;
}

BOOST_AUTO_TEST_SUITE(consensus_stores)

BOOST_FIXTURE_TEST_CASE(a_log_is_found_again_as_it_was_left, Stores) {
  {
    auto log = open(true);
    BOOST_REQUIRE(log.has_value());
    write(**log, {entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c")}, true);
    (*log)->truncate(LogIndex{3});
    BOOST_REQUIRE(run(world, one, (*log)->cut(LogIndex{3})).has_value());
    write(**log, {entry(3, 3, ""), entry(3, 4, "e")}, true);
    BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  }
  const auto log = open(false);
  BOOST_REQUIRE(log.has_value());
  BOOST_TEST(words((*log)->view()) == "1/1:a 1/2:b 3/3: 3/4:e ");
  BOOST_TEST((*log)->bytes_cut() == 0u);
  BOOST_TEST(((*log)->view().end_of_epoch(Epoch{2}) == LogId{Epoch{1}, LogIndex{2}}));
  BOOST_TEST(((*log)->view().end_of_epoch(Epoch{9}) == LogId{Epoch{3}, LogIndex{4}}));
}

BOOST_FIXTURE_TEST_CASE(a_tail_that_a_crash_tore_is_cut_wherever_it_tore, Stores) {
  const auto log = open(true);
  write(**log, {entry(1, 1, "kept")}, true);
  const std::size_t durable = size();
  write(**log, {entry(1, 2, "torn"), entry(1, 3, "torn too")}, true);
  const std::size_t all = size();
  const Bytes whole = *disk().read_file(file_path);
  BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  for (std::size_t keep = durable; keep < all; ++keep) {
    BOOST_REQUIRE(disk().write_file_atomically(file_path, ByteView(whole).first(keep)).has_value());
    const auto again = open(false);
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST((*again)->view().last().index.value() >= 1);
    BOOST_TEST((*again)->view().last().index.value() <= 2);
    BOOST_REQUIRE(run(world, one, (*again)->close()).has_value());
  }
}

// After SIGKILL the page cache is read as if it were the disk. What open() hands out must be
// durable, or a replica would count on entries that the next power cut takes.
BOOST_FIXTURE_TEST_CASE(what_is_found_after_a_kill_survives_a_power_cut, Stores) {
  const auto idle = [](runtime::Runtime&) { return std::make_shared<int>(0); };
  auto log = open(true);
  write(**log, {entry(1, 1, "a")}, false);
  world.crash(one, {.lose_unsynced = false});
  world.boot(one, idle);
  engine = std::move(*storage::make_engine("buffered", world.node(one)));
  log = open(false);
  BOOST_REQUIRE(log.has_value());
  BOOST_TEST(words((*log)->view()) == "1/1:a ");
  world.crash(one, {.lose_unsynced = true});
  world.boot(one, idle);
  engine = std::move(*storage::make_engine("buffered", world.node(one)));
  log = open(false);
  BOOST_REQUIRE(log.has_value());
  BOOST_TEST(words((*log)->view()) == "1/1:a ");
}

// The kernel takes the pages of a failed sync for clean, so only what is written again is synced.
BOOST_AUTO_TEST_CASE(what_is_found_after_a_failed_sync_survives_a_power_cut) {
  const auto idle = [](runtime::Runtime&) { return std::make_shared<int>(0); };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Stores s(seed);
      auto log = s.open(true);
      s.write(**log, {entry(1, 1, "a")}, true);
      s.write(**log, {entry(1, 2, std::string(2000, 'b'))}, false);
      s.disk().set_fault_hook([](const runtime::DiskAccess& access) {
        runtime::DiskFault fault;
        if (access.operation == runtime::DiskOperation::sync) fault.error = EIO;
        return fault;
      });
      BOOST_REQUIRE(!run(s.world, one, (*log)->sync()).has_value());
      s.disk().set_fault_hook({});
      std::string found;
      for (const bool power_cut : {false, true}) {
        s.world.crash(one, {.lose_unsynced = power_cut});
        s.world.boot(one, idle);
        s.engine = std::move(*storage::make_engine("buffered", s.world.node(one)));
        log = s.open(false);
        BOOST_REQUIRE(log.has_value());
        if (power_cut) BOOST_TEST(words((*log)->view()) == found);
        found = words((*log)->view());
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_hole_in_an_unsynced_group_is_a_torn_tail, Stores) {
  auto log = open(true);
  write(**log, {entry(1, 1, "kept")}, true);
  const std::size_t hole = size() + 40;
  // Two writes, one sync: a power cut may keep the second without the first.
  write(**log, {entry(1, 2, std::string(100, 'x'))}, false);
  write(**log, {entry(1, 3, "whole")}, true);
  damage(**log, hole, false);
  log = open(false);
  BOOST_REQUIRE(log.has_value());
  BOOST_TEST(words((*log)->view()) == "1/1:kept ");
  BOOST_TEST((*log)->bytes_cut() > 100u);
}

BOOST_FIXTURE_TEST_CASE(damage_in_what_was_durable_is_reported_and_never_cut, Stores) {
  auto log = open(true);
  write(**log, {entry(1, 1, "first")}, true);
  const std::size_t bad = size() - 2;
  write(**log, {entry(1, 2, "second")}, true);
  const std::size_t before = size();
  damage(**log, bad, false);
  log = open(false);
  BOOST_REQUIRE(!log.has_value());
  BOOST_TEST((log.error().code == Errc::corrupt));
  BOOST_TEST(log.error().context.find("was durable when entry 2 came") != std::string::npos);
  BOOST_TEST(size() == before);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_header_is_refused_unless_nothing_was_promised, Stores) {
  auto log = open(true);
  write(**log, {entry(1, 1, "a")}, true);
  damage(**log, 3, false);
  log = open(false);
  BOOST_REQUIRE(!log.has_value());
  BOOST_TEST(log.error().context == "the header of d/log-00000000000000000001 is damaged");
  log = open(true);
  BOOST_REQUIRE(log.has_value());
  BOOST_TEST(words((*log)->view()) == "");
}

BOOST_FIXTURE_TEST_CASE(a_log_of_many_files_is_found_again_cut_and_trimmed, Stores) {
  file_bytes = 120;
  auto log = open(true);
  for (int i = 1; i <= 20; ++i)
    write(**log, {entry(1 + i / 6, i, fmt::format("entry {}", i))}, true);
  const std::size_t files = disk().list("d")->size();
  BOOST_TEST(files > 5u);
  (*log)->truncate(LogIndex{17});
  BOOST_REQUIRE(run(world, one, (*log)->cut(LogIndex{17})).has_value());
  BOOST_REQUIRE(run(world, one, (*log)->trim(image(2, 10), LogIndex{9})).has_value());
  BOOST_TEST((*log)->view().first() == LogIndex{9});
  BOOST_TEST((*log)->view().epoch_of(LogIndex{8}).value() == Epoch{2});
  BOOST_TEST(!(*log)->view().epoch_of(LogIndex{7}).has_value());
  BOOST_TEST(disk().list("d")->size() < files);
  const std::string before = words((*log)->view());
  BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  log = run(world, one, LogStore::open(*engine, "d", image(2, 10), options(false)));
  BOOST_REQUIRE_MESSAGE(log.has_value(), (log ? "" : log.error().message()));
  BOOST_TEST(words((*log)->view()).ends_with(before.substr(before.find("2/11"))));
  BOOST_TEST(((*log)->view().last() == LogId{Epoch{3}, LogIndex{16}}));
}

BOOST_FIXTURE_TEST_CASE(a_damaged_header_with_entries_behind_it_is_no_torn_one, Stores) {
  file_bytes = 60;
  auto log = open(true);
  for (int i = 1; i <= 9; ++i) write(**log, {entry(1, i, fmt::format("entry {}", i))}, true);
  BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  const std::string last = "d/" + disk().list("d")->back();
  Bytes bytes = *disk().read_file(last);
  bytes[3] ^= std::byte{1};
  BOOST_REQUIRE(disk().write_file_atomically(last, bytes).has_value());
  log = open(false);
  BOOST_REQUIRE(!log.has_value());
  BOOST_TEST(log.error().context == fmt::format("the header of {} is damaged", last));
}

BOOST_FIXTURE_TEST_CASE(a_log_without_its_image_is_refused, Stores) {
  file_bytes = 60;
  auto log = open(true);
  for (int i = 1; i <= 9; ++i) write(**log, {entry(1, i, fmt::format("entry {}", i))}, true);
  BOOST_REQUIRE(run(world, one, (*log)->trim(image(1, 8), LogIndex{8})).has_value());
  BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  log = open(false);
  BOOST_REQUIRE(!log.has_value());
  BOOST_TEST((log.error().code == Errc::corrupt));
  BOOST_TEST(log.error().context.find("its snapshot ends at 0") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_missing_file_in_the_middle_of_a_log_is_refused, Stores) {
  file_bytes = 60;
  auto log = open(true);
  for (int i = 1; i <= 9; ++i) write(**log, {entry(1, i, fmt::format("entry {}", i))}, true);
  BOOST_REQUIRE(run(world, one, (*log)->close()).has_value());
  const auto names = *disk().list("d");
  BOOST_REQUIRE(names.size() > 3);
  BOOST_REQUIRE(disk().remove("d/" + names[1]).has_value());
  log = open(false);
  BOOST_REQUIRE(!log.has_value());
  BOOST_TEST(log.error().context.find("follows entry") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(an_image_is_found_again_whole_and_damage_is_named, Stores) {
  const std::string text(600'000, 'i');
  {
    auto store = *run(world, one, SnapshotStore::open(&disk(), "d"));
    auto writer = *run(world, one, store->begin(image(2, 7), "taken"));
    for (std::size_t at = 0; at < text.size(); at += 70'000) {
      BOOST_REQUIRE(run(world, one, writer->add(bytes_of(text.substr(at, 70'000)))).has_value());
    }
    BOOST_REQUIRE(run(world, one, store->finish(std::move(writer))).has_value());
    // One that is not finished leaves nothing.
    auto other = *run(world, one, store->begin(image(2, 9), "received"));
    BOOST_REQUIRE(run(world, one, other->add(bytes_of("part"))).has_value());
  }
  auto store = *run(world, one, SnapshotStore::open(&disk(), "d"));
  BOOST_TEST((store->newest().last == LogId{Epoch{2}, LogIndex{7}}));
  BOOST_TEST(store->newest().size == text.size());
  BOOST_TEST((store->newest().config == image(2, 7).config));
  const auto part = run(world, one, store->read(store->newest().last, 262'000, 300'000));
  BOOST_TEST(as_text(**part) == text.substr(262'000, 300'000));
  BOOST_TEST(!run(world, one, store->read({Epoch{1}, LogIndex{7}}, 0, 1))->has_value());
  BOOST_TEST(disk().list("d")->size() == 1u);
  const std::string path = "d/" + disk().list("d")->front();
  Bytes bytes = *disk().read_file(path);
  bytes[300'000] ^= std::byte{1};
  BOOST_REQUIRE(disk().write_file_atomically(path, bytes).has_value());
  store = *run(world, one, SnapshotStore::open(&disk(), "d"));
  const auto damaged = run(world, one, store->read(store->newest().last, 0, text.size()));
  BOOST_REQUIRE(!damaged.has_value());
  BOOST_TEST(damaged.error().context.find("block 1 is damaged") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_vote_is_found_again_and_only_by_its_owner, Stores) {
  const ReplicaKey owner{one, Uuid{1, 2}};
  HardState state{Epoch{7}, Epoch{6}, ReplicaKey{NodeId{2}, Uuid{3, 4}}, NodeId{5}};
  {
    auto votes = VoteStore::open(&disk(), "d/vote", owner);
    BOOST_REQUIRE(votes.has_value());
    BOOST_TEST(!votes->state().has_value());
    BOOST_REQUIRE(votes->save(state, {Epoch{6}, LogIndex{41}}).has_value());
  }
  world.crash(one);
  world.boot(one, [](runtime::Runtime&) { return std::make_shared<int>(0); });
  const auto votes = VoteStore::open(&disk(), "d/vote", owner);
  BOOST_REQUIRE(votes.has_value());
  BOOST_TEST((votes->state() == state));
  BOOST_TEST((votes->log_end() == LogId{Epoch{6}, LogIndex{41}}));
  const auto wiped = VoteStore::open(&disk(), "d/vote", {one, Uuid{1, 3}});
  BOOST_REQUIRE(!wiped.has_value());
  BOOST_TEST((wiped.error().code == Errc::invalid));
  BOOST_TEST(!VoteStore::open(&disk(), "d/vote", {NodeId{2}, Uuid{1, 2}}).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_vote_with_any_byte_damaged_is_refused, Stores) {
  const ReplicaKey owner{one, Uuid{1, 2}};
  BOOST_REQUIRE(VoteStore::open(&disk(), "d/vote", owner)->save(HardState{}, {}).has_value());
  const Bytes good = *disk().read_file("d/vote");
  for (std::size_t at = 0; at <= good.size(); ++at) {
    Bytes bad = good;
    if (at < good.size()) {
      bad[at] ^= std::byte{0x10};
    } else {
      bad.push_back(std::byte{0});
    }
    BOOST_REQUIRE(disk().write_file_atomically("d/vote", bad).has_value());
    BOOST_TEST(!VoteStore::open(&disk(), "d/vote", owner).has_value());
  }
}

// An image of another history, or of this one.
SnapshotMeta another_image(const LogView& log, Epoch& epoch, Prng& random) {
  const std::int64_t index =
      log.snapshot().last.index.value() + static_cast<std::int64_t>(1 + random.below(6));
  const auto known = log.epoch_of(LogIndex{index});
  const bool same = known.has_value() && random.chance(0.5);
  if (!same) epoch = epoch.next();
  return image(same ? known->value() : epoch.value(), index);
}

using States = std::vector<std::pair<std::string, Epoch>>;
bool is_a_prefix(const States& states, std::size_t durable, const States::value_type& found) {
  for (std::size_t i = durable; i < states.size(); ++i) {
    if (states[i] == found) return true;
    // A cut takes whole files first, from the end: half of it is a cut further back.
    if (i > 0 && states[i].second == found.second && found.first.starts_with(states[i].first) &&
        states[i - 1].first.starts_with(found.first)) {
      return true;
    }
  }
  return false;
}

// In the log or behind its image.
bool holds(const LogView& log, LogId id) {
  return id.index <= log.snapshot().last.index || log.epoch_of(id.index) == id.epoch;
}

// Writes of all kinds, a crash at any of them, and what is left is what the writes up to one of
// them left: never fewer than were reported durable.
BOOST_AUTO_TEST_CASE(a_crash_keeps_a_prefix_of_the_writes) {
  int ends_known = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Stores s(seed);
      Prng random(seed);
      auto votes = *VoteStore::open(&s.disk(), "d/vote", {one, {}});
      BOOST_REQUIRE(votes.save(HardState{}, {}).has_value());
      s.file_bytes = 150;
      auto log = *s.open(true);
      auto snapshots = *run(s.world, one, SnapshotStore::open(&s.disk(), "d"));
      WriteQueue queue(*log, votes, *snapshots);
      States states{{"image 0/0 ", Epoch{0}}};
      Epoch epoch{1};
      s.disk().crash_at_change(1 + random.below(25));
      std::shared_ptr<runtime::TaskOutcome<Result<void>>> flush;
      WriteSeq seq;
      std::size_t durable = 0;  // Reported while the node lived.
      for (int round = 0; round < 12 && s.world.node(one).is_up(); ++round) {
        for (std::uint64_t i = 0; i <= random.below(4); ++i) {
          seq = seq.next();
          const std::int64_t last = log->view().last().index.value();
          const double what = random.unit();
          if (what < 0.2) {
            epoch = epoch.next();
            queue.save(seq, {epoch, epoch, {}, {}});
          } else if (what < 0.35 && last >= log->view().first().value()) {
            queue.truncate(seq, LogIndex{random.between(log->view().first().value(), last)});
          } else if (what < 0.4) {
            const SnapshotMeta meta = another_image(log->view(), epoch, random);
            queue.store(seq, meta, 0, bytes_of("image"));
            states.push_back(states.back());
            seq = seq.next();
            queue.install(seq, meta);
          } else {
            queue.append(seq, {entry(epoch.value(), last + 1, fmt::format("w{}", seq))});
          }
          const Epoch saved = what < 0.2 ? epoch : states.back().second;
          states.emplace_back(state_words(log->view()), saved);
          const Epoch now = log->view().last().epoch;
          if (now > epoch) epoch = now;
        }
        flush = runtime::begin(s.world, one, queue.flush());
        static_cast<void>(s.world.run_until(
            [&] { return flush->value.has_value() || !s.world.node(one).is_up(); },
            std::chrono::seconds(1)));
        if (s.world.node(one).is_up()) durable = static_cast<std::size_t>(queue.durable().value());
      }
      if (s.world.node(one).is_up()) s.world.crash(one);
      s.world.boot(one, [](runtime::Runtime&) { return std::make_shared<int>(0); });
      auto engine = std::move(*storage::make_engine("buffered", s.world.node(one)));
      const auto snapshots_left = run(s.world, one, SnapshotStore::open(&s.disk(), "d"));
      BOOST_REQUIRE(snapshots_left.has_value());
      const auto left =
          run(s.world, one,
              LogStore::open(*engine, "d", (*snapshots_left)->newest(), s.options(false)));
      BOOST_REQUIRE_MESSAGE(left.has_value(), (left ? "" : left.error().message()));
      const auto left_votes = VoteStore::open(&s.disk(), "d/vote", {one, {}});
      const std::pair found{state_words((*left)->view()), left_votes->state()->epoch};
      const LogId end = left_votes->log_end();
      BOOST_TEST(holds((*left)->view(), end),
                 "the vote knows of entry " << end.index << ", found " << found.first);
      ends_known += end.index > LogIndex{0} ? 1 : 0;
      const bool is_prefix = is_a_prefix(states, durable, found);
      BOOST_TEST(is_prefix,
                 "durable " << durable << " of " << states.size() - 1 << " found " << found.first);
    }
  }
  BOOST_TEST(ends_known > 20);
}

BOOST_AUTO_TEST_CASE(a_message_survives_its_bytes_and_no_other_bytes_pass) {
  Message message{3, Epoch{4}, Bytes(5, std::byte{9}), {entry(3, 7, "abc"), entry(4, 8, "")}};
  const Bytes bytes = encode(message);
  const auto decoded = decode(bytes);
  BOOST_REQUIRE(decoded.has_value());
  BOOST_TEST((encode(*decoded) == bytes));
  for (std::size_t keep = 0; keep < bytes.size(); ++keep) {
    BOOST_TEST(!decode(ByteView(bytes).first(keep)).has_value());
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  BOOST_TEST(!decode(longer).has_value());
  Bytes other = bytes;
  other[0] = std::byte{9};
  BOOST_TEST((decode(other).error().code == Errc::unsupported));
  Prng random(1);
  for (int round = 0; round < 20'000; ++round) {
    Bytes noise(random.below(80));
    for (std::byte& byte : noise) byte = static_cast<std::byte>(random.below(4));
    static_cast<void>(decode(noise));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus
