#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/disk_block_contract.h"
#include "runtime/real/fd.h"
#include "runtime/real/guarded_copy.h"
#include "runtime/real/test_world.h"

namespace qlab::runtime {
namespace {

namespace contract = disk_contract;
using contract::block;

// A mapped page that no file is behind, so that touching it is a SIGBUS.
std::span<std::byte> page_of_an_empty_file(const Fd& fd) {
  void* const page = ::mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  BOOST_REQUIRE(page != MAP_FAILED);
  return {static_cast<std::byte*>(page), block};
}

// The signal that ends a process in which `act` runs; 0 when it ends by itself.
int signal_that_ends(const std::function<void()>& act) {
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit no_core{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    act();
    ::_exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mapped_file)

BOOST_AUTO_TEST_CASE(a_file_cut_by_another_is_an_error_of_each_call_and_no_crash) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(disk, "log", IoPath::mapped);
    const auto buffer = contract::make_blocks(disk, 4);
    std::vector<ByteView> pieces = {buffer->bytes()};
    auto written = co_await file->write(0, pieces);
    BOOST_REQUIRE_MESSAGE(written.has_value(), why(written));
    std::filesystem::resize_file(world.root() / "log", block);
    for (int round = 0; round < 2; ++round) {
      const auto read = co_await file->read(2 * block, block);
      BOOST_REQUIRE(!read.has_value());
      BOOST_TEST((read.error().code == Errc::io));
      written = co_await file->write(block, pieces);
      BOOST_REQUIRE(!written.has_value());
      BOOST_TEST((written.error().code == Errc::io));
    }
    const bool kept = co_await contract::reads_as(*file, 0, buffer->bytes().first(block));
    BOOST_TEST(kept);
    const auto other = co_await contract::open_new(disk, "other", IoPath::mapped);
    written = co_await other->write_durably(0, pieces);
    BOOST_TEST(written.has_value(), why(written));
  });
}

BOOST_AUTO_TEST_CASE(any_other_bus_error_still_ends_the_process) {
  TestDirectory directory;
  BOOST_REQUIRE(guard_copies().has_value());
  const auto fd = open_fd(directory.path() / "empty", O_RDWR | O_CREAT);
  BOOST_REQUIRE_MESSAGE(fd.has_value(), why(fd));
  const auto page = page_of_an_empty_file(*fd);
  const auto elsewhere = page_of_an_empty_file(*fd);
  Bytes bytes(block);

  BOOST_TEST(!copy_guarded(bytes, page, page));
  BOOST_TEST(!copy_guarded(page, bytes, page));
  BOOST_TEST(signal_that_ends([] {}) == 0);
  BOOST_TEST(signal_that_ends([&] { (void)copy_guarded(bytes, page, page); }) == 0);
  BOOST_TEST(signal_that_ends([&] { (void)copy_guarded(bytes, page, elsewhere); }) == SIGBUS);
  BOOST_TEST(signal_that_ends([&] {
               (void)copy_guarded(bytes, page, page);
               page[0] = std::byte{1};  // No copy is under way any more.
             }) == SIGBUS);
  BOOST_TEST(signal_that_ends([] { (void)::raise(SIGBUS); }) == SIGBUS);
  ::munmap(page.data(), page.size());
  ::munmap(elsewhere.data(), elsewhere.size());
}

BOOST_AUTO_TEST_CASE(space_allocated_ahead_is_never_read_and_goes_at_the_end) {
  TestWorld world;
  Disk& disk = world.runtime().disk();
  const auto path = world.root() / "log";
  world.run([&]() -> Task<void> {
    for (const bool closes : {true, false}) {
      auto file = co_await contract::open_new(disk, "log", IoPath::mapped);
      auto emptied = co_await file->truncate(0);
      BOOST_REQUIRE_MESSAGE(emptied.has_value(), why(emptied));
      std::vector<ByteView> pieces = {as_view("a few words")};
      const auto written = co_await file->write_durably(0, pieces);
      BOOST_REQUIRE_MESSAGE(written.has_value(), why(written));
      BOOST_TEST(std::filesystem::file_size(path) > 11u);
      BOOST_TEST(file->size().value() == 11u);
      const std::string text = co_await contract::read_text(*file, 2, 100);
      BOOST_TEST(text == "few words");
      if (closes) {
        const auto closed = co_await file->close();
        BOOST_TEST(closed.has_value());
      }
      file.reset();
      BOOST_TEST(std::filesystem::file_size(path) == 11u);
    }
  });
}

// More windows than stay mapped, and writes across their bounds.
BOOST_AUTO_TEST_CASE(a_long_file_is_written_and_read_through_few_windows) {
  constexpr std::uint64_t window = 64u << 20;
  TestWorld world;
  Disk& disk = world.runtime().disk();
  world.run([&]() -> Task<void> {
    auto file = co_await contract::open_new(disk, "log", IoPath::mapped);
    auto done = co_await file->truncate(8 * window);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    const auto buffer = contract::make_blocks(disk, 3);
    const ByteView all = buffer->bytes();
    for (std::uint64_t i = 1; i < 8; ++i) {
      std::vector<ByteView> pieces = {all.subspan(i, block), all.subspan(i + block, block)};
      done = co_await file->write(i * window - block - i, pieces);
      BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    }
    done = co_await file->sync();
    BOOST_TEST(done.has_value());
    for (std::uint64_t i = 1; i < 8; ++i) {
      const bool same =
          co_await contract::reads_as(*file, i * window - block - i, all.subspan(i, 2 * block));
      BOOST_TEST(same, "window " << i);
    }
    BOOST_TEST(file->size().value() == 8 * window);
    done = co_await file->close();
    BOOST_TEST(done.has_value());
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
