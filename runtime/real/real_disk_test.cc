#include <cerrno>
#include <csignal>
#include <filesystem>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <sys/resource.h>

#include "runtime/async.h"
#include "runtime/disk_block_contract.h"
#include "runtime/disk_contract.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/test_world.h"

namespace qlab::runtime {

std::ostream& boost_test_print_type(std::ostream& out, IoPath io_path) {
  return out << disk_contract::name_of(io_path);
}

namespace {

namespace contract = disk_contract;

const auto all_paths = boost::unit_test::data::make(contract::all_io_paths);
const auto any_position = boost::unit_test::data::make(contract::any_position_paths);

}  // namespace

BOOST_AUTO_TEST_SUITE(real_disk)

BOOST_DATA_TEST_CASE(a_file_gives_back_what_was_written, any_position, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::writes_are_read_back(disk, io_path); });
}

BOOST_DATA_TEST_CASE(nothing_is_lost_with_the_page_cache, any_position, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::nothing_is_lost_with_the_page_cache(disk, io_path); });
}

BOOST_DATA_TEST_CASE(large_writes_arrive_whole, any_position, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::large_writes_arrive_whole(disk, io_path); });
}

BOOST_DATA_TEST_CASE(opening_minds_create_and_exclusive, any_position, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::opening_minds_create_and_exclusive(disk, io_path); });
}

BOOST_DATA_TEST_CASE(paths_never_leave_the_root, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::paths_never_leave_the_root(disk, io_path); });
}

Task<void> sync_filesystem_twice(Disk& disk, Runtime& runtime, Result<void>& slow) {
  Gate gate(runtime);
  gate.start([&disk, &slow]() -> Task<void> { slow = co_await disk.sync_filesystem(); });
  co_await sleep_for(runtime, std::chrono::milliseconds(1));
  const Result<void> failed = co_await disk.sync_filesystem();
  BOOST_TEST(!failed.has_value());
  co_await gate.close();
}

BOOST_AUTO_TEST_CASE(a_sync_of_the_file_system_fails_with_one_that_overlaps_it) {
  TestWorld world;
  int calls = 0;
  world.shards().set_fault_hook(0, [&](const DiskAccess& access) {
    DiskFault fault;
    if (access.operation != DiskOperation::sync_filesystem) return fault;
    if (calls++ == 0) fault.delay = std::chrono::milliseconds(20);
    if (calls == 2) fault.error = EIO;
    return fault;
  });
  Result<void> slow;
  world.run([&] { return sync_filesystem_twice(world.runtime().disk(), world.runtime(), slow); });
  BOOST_TEST(!slow.has_value());
}

BOOST_AUTO_TEST_CASE(names_come_and_go) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::names_come_and_go(disk); });
}

BOOST_AUTO_TEST_CASE(small_files_are_replaced_whole) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::small_files_are_replaced_whole(disk); });
}

// More operations at once than the ring has entries, so that it is handed over in between.
BOOST_DATA_TEST_CASE(many_writes_overlap, any_position, io_path) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  constexpr std::uint32_t writes = 1000;
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(runtime.disk(), "log", io_path);
    Gate gate(runtime);
    for (std::uint32_t i = 0; i < writes; ++i) {
      gate.start([&file, i]() -> Task<void> {
        Bytes bytes(sizeof i);
        store_big(bytes.data(), i);
        std::vector<ByteView> pieces = {bytes};
        auto written = co_await file->write(i * sizeof i, pieces);
        BOOST_TEST(written.has_value());
        if (i % 100 == 0) {
          auto synced = co_await file->sync();
          BOOST_TEST(synced.has_value());
        }
      });
    }
    co_await gate.close();
    auto all = co_await file->read(0, writes * sizeof writes);
    BOOST_REQUIRE(all.has_value());
    BytesReader reader(*all);
    for (std::uint32_t i = 0; i < writes; ++i) BOOST_TEST(reader.get<std::uint32_t>() == i);
    auto closed = co_await file->close();
    BOOST_TEST(closed.has_value());
  });
}

// A failed sync tells nothing about the pages before it, so no later one may say that all is well.
BOOST_DATA_TEST_CASE(a_file_whose_sync_failed_is_never_synced_again, any_position, io_path) {
  TestWorld world;
  bool fail_next = true;
  world.shards().set_fault_hook(0, [&](const DiskAccess& access) {
    DiskFault fault;
    if (access.operation == DiskOperation::sync && std::exchange(fail_next, false)) {
      fault.error = EIO;
    }
    return fault;
  });
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(world.runtime().disk(), "log", io_path);
    auto synced = co_await file->sync();
    BOOST_REQUIRE(!synced.has_value());
    BOOST_TEST((synced.error().code == Errc::io));
    world.shards().set_fault_hook(0, {});
    synced = co_await file->sync();
    BOOST_TEST(!synced.has_value());
    std::vector<ByteView> pieces = {as_view("x")};
    auto durable = co_await file->write_durably(0, pieces);
    BOOST_TEST(!durable.has_value());
    auto plain = co_await file->write(0, pieces);
    BOOST_TEST(plain.has_value());
  });
}

BOOST_DATA_TEST_CASE(a_full_disk_says_no_space_and_may_tear_the_write, any_position, io_path) {
  TestWorld world;
  world.shards().set_fault_hook(0, [&](const DiskAccess& access) {
    DiskFault fault;
    if (access.operation == DiskOperation::write) {
      fault.error = ENOSPC;
      fault.torn = 5;
    }
    return fault;
  });
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(world.runtime().disk(), "log", io_path);
    std::vector<ByteView> pieces = {as_view("abc"), as_view("defg")};
    auto written = co_await file->write(0, pieces);
    BOOST_REQUIRE(!written.has_value());
    BOOST_TEST((written.error().code == Errc::no_space));
    BOOST_TEST(co_await contract::read_text(*file, 0, 100) == "abcde");
  });
}

BOOST_DATA_TEST_CASE(blocks_are_read_back, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::blocks_are_read_back(disk, io_path); });
}

// A ring that always has something to say leaves a timer, and whatever else waits, its turn.
BOOST_DATA_TEST_CASE(a_busy_ring_starves_nobody,
                     boost::unit_test::data::make({IoPath::uring, IoPath::direct}), io_path) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(runtime.disk(), "log", io_path);
    auto done = co_await file->prepare(contract::block, Fill::zeros);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    bool rang = false;
    Gate gate(runtime);
    for (int i = 0; i < 64; ++i) {
      gate.start([&]() -> Task<void> {
        while (!rang) {
          const auto bytes = co_await file->read(0, contract::block);
          BOOST_REQUIRE(bytes.has_value());
        }
      });
    }
    gate.start([&]() -> Task<void> {
      for (int i = 0; i < 100; ++i) co_await sleep_for(runtime, Duration(1));
      rang = true;
    });
    co_await gate.close();
    BOOST_TEST(rang);
  });
}

BOOST_AUTO_TEST_CASE(a_misaligned_direct_write_is_refused) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::a_misaligned_direct_write_is_refused(disk); });
}

BOOST_DATA_TEST_CASE(preparing_adds_zeros, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::preparing_adds_zeros(disk, io_path); });
}

BOOST_DATA_TEST_CASE(durable_writes_overlap, all_paths, io_path) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&] { return contract::durable_writes_overlap(runtime, io_path); });
}

BOOST_AUTO_TEST_CASE(buffers_are_aligned) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return contract::buffers_are_aligned(disk); });
}

BOOST_DATA_TEST_CASE(a_full_disk_prepares_nothing, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  auto set_hook = [&](FaultHook hook) { world.shards().set_fault_hook(0, std::move(hook)); };
  world.run([&] { return contract::a_full_disk_prepares_nothing(disk, io_path, set_hook); });
}

BOOST_DATA_TEST_CASE(every_operation_meets_the_hook, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  auto set_hook = [&](FaultHook hook) { world.shards().set_fault_hook(0, std::move(hook)); };
  world.run([&] { return contract::every_operation_meets_the_hook(disk, io_path, set_hook); });
}

BOOST_DATA_TEST_CASE(a_failed_sync_of_the_file_system_poisons, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  auto set_hook = [&](FaultHook hook) { world.shards().set_fault_hook(0, std::move(hook)); };
  world.run(
      [&] { return contract::a_failed_sync_of_the_file_system_poisons(disk, io_path, set_hook); });
}

// Files can be no longer than this while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    (void)std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    (void)::setrlimit(RLIMIT_FSIZE, &before_);
    (void)std::signal(SIGXFSZ, SIG_DFL);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

// The kernel refuses half way, as it does on a full disk.
BOOST_DATA_TEST_CASE(what_cannot_be_prepared_leaves_no_trace, all_paths, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(disk, "log", io_path);
    const auto buffer = contract::make_blocks(disk, 2);
    std::vector<ByteView> pieces = {buffer->bytes()};
    auto done = co_await file->write(0, pieces);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    {
      const FileSizeLimit limit((2u << 20) + 512);  // A write across it is short, and not aligned.
      for (const Fill fill : {Fill::extents, Fill::zeros}) {
        done = co_await file->prepare(8u << 20, fill);
        BOOST_TEST(!done.has_value());
        BOOST_TEST(file->size().value() == 2 * contract::block);
      }
      done = co_await file->write((2u << 20) - contract::block, pieces);
      BOOST_TEST(!done.has_value());
      done = co_await file->truncate(2 * contract::block);
      BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    }
    done = co_await file->prepare(8u << 20, Fill::zeros);
    BOOST_TEST(done.has_value());
    const bool kept = co_await contract::reads_as(*file, 0, buffer->bytes());
    BOOST_TEST(kept);
    done = co_await file->close();
    BOOST_TEST(done.has_value());
  });
  BOOST_TEST(std::filesystem::file_size(world.root() / "log") == 8u << 20);
}

// The file system of /proc is one of those.
BOOST_AUTO_TEST_CASE(a_file_system_without_direct_access_is_named) {
  auto shards = RealShards::create(
      {.root = "/proc/self", .shards = 1, .cpus = {}, .trace_file = {}, .seed = {}});
  BOOST_REQUIRE_MESSAGE(shards.has_value(), why(shards));
  (*shards)->run([&]() -> Task<void> {
    OpenOptions options;
    options.io_path = IoPath::direct;
    const auto opened = co_await (*shards)->shard(0).disk().open("comm", options);
    BOOST_REQUIRE(!opened.has_value());
    BOOST_TEST((opened.error().code == Errc::unsupported));
    BOOST_TEST(opened.error().context.find("/proc/self/comm") != std::string::npos);
    BOOST_TEST(opened.error().context.find("buffered") != std::string::npos);
  });
}

BOOST_AUTO_TEST_CASE(a_directory_is_locked_by_one) {
  TestDirectory directory;
  {
    auto first = lock_directory(directory.path());
    BOOST_REQUIRE(first.has_value());
    auto second = lock_directory(directory.path());
    BOOST_REQUIRE(!second.has_value());
    BOOST_TEST((second.error().code == Errc::exists));
  }
  BOOST_TEST(lock_directory(directory.path()).has_value());
  BOOST_TEST((lock_directory(directory.path() / "nowhere").error().code == Errc::not_found));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
