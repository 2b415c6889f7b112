#include <cerrno>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

#include "runtime/async.h"
#include "runtime/disk_contract.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/test_world.h"

namespace qlab::runtime {

std::ostream& boost_test_print_type(std::ostream& out, IoPath io_path) {
  return out << (io_path == IoPath::uring ? "uring" : "blocking");
}

namespace {

const auto both = boost::unit_test::data::make({IoPath::blocking, IoPath::uring});

}  // namespace

BOOST_AUTO_TEST_SUITE(real_disk)

BOOST_DATA_TEST_CASE(a_file_gives_back_what_was_written, both, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::writes_are_read_back(disk, io_path); });
}

BOOST_DATA_TEST_CASE(large_writes_arrive_whole, both, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::large_writes_arrive_whole(disk, io_path); });
}

BOOST_DATA_TEST_CASE(opening_minds_create_and_exclusive, both, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::opening_minds_create_and_exclusive(disk, io_path); });
}

BOOST_DATA_TEST_CASE(paths_never_leave_the_root, both, io_path) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::paths_never_leave_the_root(disk, io_path); });
}

BOOST_AUTO_TEST_CASE(names_come_and_go) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::names_come_and_go(disk); });
}

BOOST_AUTO_TEST_CASE(small_files_are_replaced_whole) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&] { return disk_contract::small_files_are_replaced_whole(disk); });
}

// More operations at once than the ring has entries, so that it is handed over in between.
BOOST_DATA_TEST_CASE(many_writes_overlap, both, io_path) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  constexpr std::uint32_t writes = 1000;
  world.run([&]() -> Task<void> {
    auto file = co_await disk_contract::open_new(runtime.disk(), "log", io_path);
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
BOOST_DATA_TEST_CASE(a_file_whose_sync_failed_is_never_synced_again, both, io_path) {
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
    auto file = co_await disk_contract::open_new(world.runtime().disk(), "log", io_path);
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

BOOST_DATA_TEST_CASE(a_full_disk_says_no_space_and_may_tear_the_write, both, io_path) {
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
    auto file = co_await disk_contract::open_new(world.runtime().disk(), "log", io_path);
    std::vector<ByteView> pieces = {as_view("abc"), as_view("defg")};
    auto written = co_await file->write(0, pieces);
    BOOST_REQUIRE(!written.has_value());
    BOOST_TEST((written.error().code == Errc::no_space));
    BOOST_TEST(co_await disk_contract::read_text(*file, 0, 100) == "abcde");
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
