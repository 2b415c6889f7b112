#include "runtime/simulated/disk.h"

#include <cerrno>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

#include "common/prng.h"
#include "runtime/aligned_buffer.h"
#include "runtime/disk_block_contract.h"
#include "runtime/simulated/run.h"

namespace qlab::runtime {

std::ostream& boost_test_print_type(std::ostream& out, IoPath io_path) {
  return out << disk_contract::name_of(io_path);
}

namespace {

namespace contract = disk_contract;

constexpr NodeId one{1};

const auto all_paths = boost::unit_test::data::make(contract::all_io_paths);
const auto any_position = boost::unit_test::data::make(contract::any_position_paths);

// A node whose disk is used from outside, one call after the other.
struct DiskWorld {
  explicit DiskWorld(std::uint64_t seed = 1) : world(seed) {}

  std::unique_ptr<File> open(const std::string& path, OpenOptions options = {.create = true}) {
    auto file = run(world, one, disk().open(path, options));
    BOOST_REQUIRE(file.has_value());
    return std::move(*file);
  }
  void write(File& file, std::uint64_t position, std::string_view text) {
    BOOST_REQUIRE(run(world, one, file.write(position, {as_view(text)})).has_value());
  }
  void sync(File& file) { BOOST_REQUIRE(run(world, one, file.sync()).has_value()); }
  std::string read(const std::string& path) {
    const auto bytes = disk().read_file(path);
    return bytes ? std::string(as_text(*bytes)) : std::string(name_of(bytes.error().code));
  }
  void power_cycle() {
    world.crash(one);
    world.boot(one, nullptr);
  }
  SimulatedDisk& disk() { return world.node(one).disk(); }

  SimulatedWorld world;
};

BOOST_FIXTURE_TEST_SUITE(simulated_disk, DiskWorld)

BOOST_AUTO_TEST_CASE(what_was_written_is_read_at_once_and_a_hole_is_zeros) {
  const auto file = open("a");
  write(*file, 0, "hello");
  write(*file, 7, "there");
  BOOST_TEST(read("a") == std::string_view("hello\0\0there", 12));
  BOOST_TEST(*file->size() == 12u);
  const auto part = run(world, one, file->read(7, 100));
  BOOST_TEST(as_text(*part) == "there");
  BOOST_TEST(run(world, one, file->read(12, 1))->empty());
}

BOOST_AUTO_TEST_CASE(a_path_stays_below_the_root) {
  for (const char* path : {"/etc/passwd", "../up", "a/../../up", "./a"}) {
    const auto opened = run(world, one, disk().open(path, {.create = true}));
    BOOST_REQUIRE(!opened.has_value());
    BOOST_TEST((opened.error().code == Errc::invalid));
  }
  BOOST_TEST(*normal_path("a//b/") == "a/b");
}

BOOST_AUTO_TEST_CASE(opening_tells_what_is_there_and_what_is_not) {
  const auto code = [&](const char* path, OpenOptions options) {
    return run(world, one, disk().open(path, options)).error().code;
  };
  BOOST_TEST((code("a", {}) == Errc::not_found));
  BOOST_TEST((code("no/a", {.create = true}) == Errc::not_found));
  open("a");
  BOOST_TEST((code("a", {.create = true, .exclusive = true}) == Errc::exists));
  BOOST_REQUIRE(disk().make_directories("d/e").has_value());
  BOOST_TEST((code("d", {.create = true}) == Errc::invalid));
  open("d/f");
  open("d/e/g");
  BOOST_TEST((*disk().list("d") == std::vector<std::string>{"e", "f"}));
  BOOST_TEST((*disk().list("") == std::vector<std::string>{"a", "d"}));
}

BOOST_AUTO_TEST_CASE(a_directory_moves_and_goes_with_all_that_is_in_it) {
  BOOST_REQUIRE(disk().make_directories("t-0/sub").has_value());
  open("t-0/log");
  open("t-0/sub/x");
  open("t-00");
  BOOST_REQUIRE(disk().rename("t-0", "t-1").has_value());
  BOOST_TEST((*disk().list("") == std::vector<std::string>{"t-00", "t-1"}));
  BOOST_TEST(*disk().exists("t-1/sub/x"));
  BOOST_REQUIRE(disk().sync_directory("").has_value());
  BOOST_REQUIRE(disk().remove_all("t-1").has_value());
  BOOST_TEST((*disk().list("") == std::vector<std::string>{"t-00"}));
  BOOST_REQUIRE(disk().sync_directory("").has_value());
  power_cycle();
  BOOST_TEST(!*disk().exists("t-1"));
}

BOOST_AUTO_TEST_CASE(a_killed_process_loses_nothing_that_it_wrote) {
  const auto file = open("a");
  write(*file, 0, "hello");
  world.crash(one, {.lose_unsynced = false});
  world.boot(one, nullptr);
  BOOST_TEST(read("a") == "hello");
  BOOST_TEST((run(world, one, file->sync()).error().code == Errc::closed));
  sync(*open("a"));
  BOOST_REQUIRE(disk().sync_directory("").has_value());
  power_cycle();
  BOOST_TEST(read("a") == "hello");
}

BOOST_AUTO_TEST_CASE(a_name_is_durable_with_its_directory_and_not_before) {
  int lost = 0;
  constexpr int trials = 64;
  for (std::uint64_t seed = 0; seed < trials; ++seed) {
    DiskWorld w(seed);
    w.sync(*w.open("kept"));
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    w.sync(*w.open("maybe"));
    w.power_cycle();
    BOOST_TEST(*w.disk().exists("kept"), "seed " << seed);
    lost += !*w.disk().exists("maybe");
  }
  BOOST_TEST(lost > 0);
  BOOST_TEST(lost < trials);
}

BOOST_AUTO_TEST_CASE(a_new_directory_is_durable_with_its_parent_and_takes_all_in_it_along) {
  int lost = 0;
  constexpr int trials = 64;
  for (std::uint64_t seed = 0; seed < trials; ++seed) {
    DiskWorld w(seed);
    for (const std::string name : {"all", "kept", "maybe"}) {
      const bool by_all = name == "all";
      BOOST_REQUIRE(w.disk().make_directory(name).has_value());
      w.sync(*w.open(name + "/file"));
      BOOST_REQUIRE(w.disk().sync_directory(name).has_value());
      if (by_all) BOOST_REQUIRE(run(w.world, one, w.disk().sync_filesystem()).has_value());
      if (name == "kept") BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    }
    w.power_cycle();
    BOOST_TEST(*w.disk().exists("all/file"), "seed " << seed);
    BOOST_TEST(*w.disk().exists("kept/file"), "seed " << seed);
    BOOST_TEST(*w.disk().exists("maybe") == *w.disk().exists("maybe/file"));
    lost += !*w.disk().exists("maybe");
  }
  BOOST_TEST(lost > 0);
  BOOST_TEST(lost < trials);
}

BOOST_AUTO_TEST_CASE(an_atomic_replacement_is_the_old_or_the_new_at_any_crash) {
  int old = 0;
  constexpr int trials = 64;
  for (std::uint64_t seed = 0; seed < trials; ++seed) {
    DiskWorld w(seed);
    BOOST_REQUIRE(w.disk().write_file_atomically("vote", as_view("old")).has_value());
    w.disk().crash_at_change(1);
    BOOST_REQUIRE(w.disk().write_file_atomically("vote", as_view("new")).has_value());
    w.world.run_for(std::chrono::milliseconds(1));
    BOOST_TEST(!w.world.node(one).is_up());
    w.world.boot(one, nullptr);
    const std::string found = w.read("vote");
    BOOST_TEST((found == "old" || found == "new"), "seed " << seed << " found " << found);
    old += found == "old";
  }
  BOOST_TEST(old > 0);
  BOOST_TEST(old < trials);
}

// The naive twin: for every byte the value as of the last sync, and whether it was written since.
struct Twin {
  Bytes synced;
  Bytes seen;
  std::vector<bool> touched;  // Since the last sync.

  void write(std::uint64_t position, const Bytes& bytes) {
    if (seen.size() < position + bytes.size()) seen.resize(position + bytes.size());
    touched.resize(seen.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      seen[position + i] = bytes[i];
      touched[position + i] = true;
    }
  }
  void sync() {
    synced = seen;
    touched.assign(seen.size(), false);
  }
};

Bytes random_bytes(Prng& random, std::size_t count) {
  Bytes bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(1 + random.below(255));
  return bytes;
}

BOOST_AUTO_TEST_CASE(a_crash_keeps_all_that_was_synced_and_loses_of_the_rest_by_sectors) {
  int lost_some = 0;
  int kept_some = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    DiskWorld w(seed);
    Prng random(seed);
    Twin twin;
    const auto file = w.open("log");
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    for (int step = 0; step < 12; ++step) {
      if (random.chance(0.3)) {
        w.sync(*file);
        twin.sync();
        continue;
      }
      const Bytes bytes = random_bytes(random, 1 + random.below(1500));
      const std::uint64_t position = random.below(twin.seen.size() + 1);
      BOOST_REQUIRE(run(w.world, one, file->write(position, {bytes})).has_value());
      twin.write(position, bytes);
    }
    w.power_cycle();
    const Bytes found = *w.disk().read_file("log");
    BOOST_REQUIRE_GE(found.size(), twin.synced.size());
    BOOST_REQUIRE_LE(found.size(), twin.seen.size());
    for (std::size_t i = 0; i < twin.synced.size(); ++i) {
      if (twin.touched[i]) continue;
      BOOST_REQUIRE_MESSAGE(found[i] == twin.synced[i], "seed " << seed << " byte " << i);
    }
    lost_some += found != twin.seen;
    kept_some += found != twin.synced;
  }
  BOOST_TEST(lost_some > 30);
  BOOST_TEST(kept_some > 30);
}

BOOST_AUTO_TEST_CASE(a_write_under_way_may_be_torn_at_a_sector) {
  bool torn = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log");
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    const Bytes bytes(2048, std::byte{7});
    w.disk().crash_at_change(1);
    const auto written = begin(w.world, one, file->write(0, {bytes}));
    w.world.run_for(std::chrono::seconds(1));
    BOOST_TEST(!written->value.has_value());
    BOOST_TEST(!w.world.node(one).is_up());
    w.world.boot(one, nullptr);
    const Bytes found = *w.disk().read_file("log");
    BOOST_TEST(found.size() % 512 == 0u);
    torn = torn || (!found.empty() && found != bytes);
  }
  BOOST_TEST(torn);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_leaves_pages_that_readers_see_and_a_crash_loses) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log");
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    w.write(*file, 0, "hello");
    w.disk().set_fault_hook([](const DiskAccess& access) {
      return DiskFault{.error = access.operation == DiskOperation::sync ? EIO : 0};
    });
    BOOST_TEST((run(w.world, one, file->sync()).error().code == Errc::io));
    w.disk().set_fault_hook(nullptr);
    BOOST_TEST((run(w.world, one, file->sync()).error().code == Errc::io));
    BOOST_TEST(w.read("log") == "hello");
    // Opened anew the kernel says that all is well, and it is not.
    w.sync(*w.open("log"));
    w.power_cycle();
    lost += w.read("log") != "hello";
  }
  BOOST_TEST(lost > 4);
}

BOOST_AUTO_TEST_CASE(a_full_disk_fails_the_write_and_may_keep_a_part_of_it) {
  const auto file = open("log");
  disk().set_fault_hook([](const DiskAccess& access) {
    BOOST_TEST(access.path == "log");
    return DiskFault{.error = access.count > 3 ? ENOSPC : 0, .torn = 2};
  });
  write(*file, 0, "abc");
  const auto written = run(world, one, file->write(3, {as_view("defgh")}));
  BOOST_TEST((written.error().code == Errc::no_space));
  BOOST_TEST(as_text(*run(world, one, file->read(0, 3))) == "abc");
  BOOST_TEST(*file->size() == 5u);
}

BOOST_AUTO_TEST_CASE(a_truncation_is_durable_and_what_it_dropped_never_comes_back) {
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log");
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    w.write(*file, 0, "abcdef");
    if (seed % 2 == 0) w.sync(*file);
    BOOST_REQUIRE(run(w.world, one, file->truncate(3)).has_value());
    w.power_cycle();
    BOOST_TEST(w.disk().durable("log")->size() <= 3u, "seed " << seed);
  }
}

// Blocks filled with one byte.
std::unique_ptr<AlignedBuffer> blocks_of(std::size_t count, char byte) {
  auto buffer = std::make_unique<AlignedBuffer>(count * direct_alignment);
  std::ranges::fill(buffer->bytes(), static_cast<std::byte>(byte));
  return buffer;
}

BOOST_DATA_TEST_CASE(a_durable_write_survives_a_crash_on_every_path, all_paths, io_path) {
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log", {.io_path = io_path, .create = true});
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    const auto old = blocks_of(3, 'o');
    const auto young = blocks_of(1, 'y');
    // What the durable write replaces was not durable, and does not come back over it.
    BOOST_REQUIRE(run(w.world, one, file->write(0, {old->bytes()})).has_value());
    BOOST_REQUIRE(run(w.world, one, file->write_durably(4096, {young->bytes()})).has_value());
    w.power_cycle();
    const Bytes found = *w.disk().read_file("log");
    BOOST_REQUIRE_GE(found.size(), 2 * direct_alignment);
    BOOST_TEST(std::ranges::equal(ByteView(found).subspan(4096, 4096), young->bytes()),
               "seed " << seed);
  }
}

// RWF_DSYNC: who relies on more finds it missing.
BOOST_DATA_TEST_CASE(a_durable_write_in_the_ring_makes_no_other_durable,
                     boost::unit_test::data::make({IoPath::direct, IoPath::uring}), io_path) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log", {.io_path = io_path, .create = true});
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    const auto block = blocks_of(1, 'x');
    BOOST_REQUIRE(run(w.world, one, file->write(0, {block->bytes()})).has_value());
    BOOST_REQUIRE(run(w.world, one, file->write_durably(4096, {block->bytes()})).has_value());
    w.power_cycle();
    const Bytes found = *w.disk().read_file("log");
    BOOST_REQUIRE_EQUAL(found.size(), 2 * direct_alignment);
    lost += !std::ranges::equal(ByteView(found).first(4096), block->bytes());
  }
  BOOST_TEST(lost > 4);
}

BOOST_DATA_TEST_CASE(what_was_prepared_is_durable, all_paths, io_path) {
  for (const Fill fill : {Fill::extents, Fill::zeros}) {
    DiskWorld w;
    const auto file = w.open("log", {.io_path = io_path, .create = true});
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    BOOST_REQUIRE(run(w.world, one, file->prepare(8192, fill)).has_value());
    w.power_cycle();
    BOOST_TEST((*w.disk().durable("log") == Bytes(8192)));
  }
}

BOOST_AUTO_TEST_CASE(a_sync_of_the_file_system_makes_data_and_names_of_all_files_durable) {
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    DiskWorld w(seed);
    BOOST_REQUIRE(w.disk().make_directories("d").has_value());
    for (const char* name : {"a", "b", "d/c"}) w.write(*w.open(name), 0, name);
    BOOST_REQUIRE(w.disk().rename("b", "e").has_value());
    BOOST_REQUIRE(run(w.world, one, w.disk().sync_filesystem()).has_value());
    w.power_cycle();
    BOOST_TEST(w.read("a") == "a");
    BOOST_TEST(w.read("e") == "b");
    BOOST_TEST(w.read("d/c") == "d/c");
    BOOST_TEST(!*w.disk().exists("b"));
  }
}

// As ext4 does it: the page stays mapped to blocks that count as never written.
BOOST_AUTO_TEST_CASE(
    what_is_written_to_a_page_whose_sync_failed_reaches_the_disk_once_it_is_forgotten) {
  for (const bool forgets : {false, true}) {
    int lost = 0;
    for (std::uint64_t seed = 0; seed < 32; ++seed) {
      DiskWorld w(seed);
      const auto file = w.open("log");
      BOOST_REQUIRE(w.disk().sync_directory("").has_value());
      w.write(*file, 0, "hello");
      w.disk().set_fault_hook(contract::fail_next(DiskOperation::sync, EIO));
      BOOST_TEST((run(w.world, one, file->sync()).error().code == Errc::io));
      const auto anew = w.open("log");
      if (forgets) BOOST_TEST(run(w.world, one, anew->forget_cached()).has_value());
      w.write(*anew, 0, "hello");
      w.sync(*anew);
      w.power_cycle();
      lost += w.read("log") != "hello";
    }
    BOOST_TEST((forgets ? lost == 0 : lost > 4));
  }
}

BOOST_AUTO_TEST_CASE(
    a_name_that_was_durably_moved_away_does_not_come_with_the_sync_of_its_directory) {
  DiskWorld w(1);
  BOOST_REQUIRE(w.disk().make_directories("from").has_value());
  BOOST_REQUIRE(w.disk().make_directories("to").has_value());
  w.sync(*w.open("from/log"));
  BOOST_REQUIRE(w.disk().rename("from/log", "to/log").has_value());
  BOOST_REQUIRE(w.disk().sync_directory("to").has_value());
  BOOST_REQUIRE(w.disk().sync_directory("from").has_value());
  w.power_cycle();
  BOOST_TEST(!w.disk().exists("from/log").value());
  BOOST_TEST(w.disk().exists("to/log").value());
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_of_the_file_system_any_unsynced_write_may_be_lost) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    DiskWorld w(seed);
    const auto file = w.open("log");
    BOOST_REQUIRE(w.disk().sync_directory("").has_value());
    w.write(*file, 0, "hello");
    w.disk().set_fault_hook(contract::fail_next(DiskOperation::sync_filesystem, EIO));
    BOOST_TEST((run(w.world, one, w.disk().sync_filesystem()).error().code == Errc::io));
    BOOST_TEST(w.read("log") == "hello");
    w.sync(*w.open("log"));
    w.power_cycle();
    lost += w.read("log") != "hello";
    BOOST_TEST(run(w.world, one, w.disk().sync_filesystem()).has_value());  // Another life.
  }
  BOOST_TEST(lost > 4);
}

BOOST_DATA_TEST_CASE(a_file_keeps_the_text_contract, any_position, io_path) {
  for (const auto& check : {contract::writes_are_read_back, contract::large_writes_arrive_whole,
                            contract::nothing_is_lost_with_the_page_cache,
                            contract::opening_minds_create_and_exclusive}) {
    DiskWorld w;
    run(w.world, one, check(w.disk(), io_path));
  }
}

BOOST_DATA_TEST_CASE(a_file_keeps_the_block_contract, all_paths, io_path) {
  for (const auto& check : {contract::blocks_are_read_back, contract::preparing_adds_zeros,
                            contract::paths_never_leave_the_root}) {
    DiskWorld w;
    run(w.world, one, check(w.disk(), io_path));
  }
  DiskWorld w;
  run(w.world, one, contract::durable_writes_overlap(w.world.node(one), io_path));
}

BOOST_DATA_TEST_CASE(faults_are_met_as_the_contract_says, all_paths, io_path) {
  for (const auto& check :
       {contract::a_full_disk_prepares_nothing, contract::every_operation_meets_the_hook,
        contract::a_failed_sync_of_the_file_system_poisons}) {
    DiskWorld w;
    const auto set_hook = [&](FaultHook hook) { w.disk().set_fault_hook(std::move(hook)); };
    run(w.world, one, check(w.disk(), io_path, set_hook));
  }
}

BOOST_AUTO_TEST_CASE(the_disk_keeps_its_contract) {
  for (const auto& check :
       {contract::a_misaligned_direct_write_is_refused, contract::buffers_are_aligned,
        contract::names_come_and_go, contract::small_files_are_replaced_whole}) {
    DiskWorld w;
    run(w.world, one, check(w.disk()));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
