#pragma once
// What every Disk promises, as checks that both worlds run (disk.h); disk_block_contract.h has
// those for every IoPath. Each is one coroutine on an empty disk; a failed one throws out of it.

#include <algorithm>
#include <array>

#include <boost/test/unit_test.hpp>

#include "runtime/contract_tools.h"
#include "runtime/disk.h"

namespace qlab::runtime::disk_contract {

inline constexpr std::array all_io_paths = {IoPath::blocking, IoPath::uring, IoPath::mapped,
                                            IoPath::direct};
// Those that write at any position and from any memory.
inline constexpr std::array any_position_paths = {IoPath::blocking, IoPath::uring, IoPath::mapped};

inline std::string_view name_of(IoPath io_path) {
  constexpr std::array<std::string_view, 4> names = {"blocking", "uring", "mapped", "direct"};
  return names.at(static_cast<std::size_t>(io_path));
}

inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_view(text);
  return {view.begin(), view.end()};
}

inline Task<std::unique_ptr<File>> open_new(Disk& disk, std::string path, IoPath io_path) {
  OpenOptions options;
  options.io_path = io_path;
  options.create = true;
  auto file = co_await disk.open(std::move(path), options);
  BOOST_REQUIRE_MESSAGE(file.has_value(), why(file));
  co_return std::move(*file);
}

inline Task<std::string> read_text(File& file, std::uint64_t position, std::size_t count) {
  auto bytes = co_await file.read(position, count);
  BOOST_REQUIRE_MESSAGE(bytes.has_value(), why(bytes));
  co_return std::string(as_text(*bytes));
}

// Pieces land one after the other; reads are short only at the end; a truncated tail is gone.
inline Task<void> writes_are_read_back(Disk& disk, IoPath io_path) {
  auto file = co_await open_new(disk, "log", io_path);
  std::vector<ByteView> pieces = {as_view("to be, "), as_view(""), as_view("or not")};
  auto written = co_await file->write(0, pieces);
  BOOST_REQUIRE(written.has_value());
  pieces = {as_view(" to be")};
  written = co_await file->write_durably(13, pieces);
  BOOST_REQUIRE(written.has_value());
  BOOST_TEST(file->size().value() == 19u);
  BOOST_TEST(co_await read_text(*file, 0, 100) == "to be, or not to be");
  BOOST_TEST(co_await read_text(*file, 7, 6) == "or not");
  BOOST_TEST(co_await read_text(*file, 19, 5) == "");
  BOOST_TEST(co_await read_text(*file, 50, 5) == "");

  auto synced = co_await file->sync();
  BOOST_TEST(synced.has_value());
  auto truncated = co_await file->truncate(5);
  BOOST_TEST(truncated.has_value());
  BOOST_TEST(file->size().value() == 5u);
  BOOST_TEST(co_await read_text(*file, 0, 100) == "to be");
  auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());
}

// Whatever the page cache forgets, nothing that was written is missing while the disk is well.
inline Task<void> nothing_is_lost_with_the_page_cache(Disk& disk, IoPath io_path) {
  auto file = co_await open_new(disk, "forgotten", io_path);
  std::vector<ByteView> pieces = {as_view("to be")};
  const auto written = co_await file->write(0, pieces);
  BOOST_REQUIRE(written.has_value());
  const auto forgotten = co_await file->forget_cached();
  BOOST_REQUIRE_MESSAGE(forgotten.has_value(), why(forgotten));
  BOOST_TEST(file->size().value() == 5u);
  BOOST_TEST(co_await read_text(*file, 0, 100) == "to be");
  const auto more = co_await file->write(5, pieces);
  BOOST_REQUIRE(more.has_value());
  const auto synced = co_await file->sync();
  BOOST_REQUIRE(synced.has_value());
  const auto again = co_await file->forget_cached();
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(co_await read_text(*file, 0, 100) == "to beto be");
  const auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());
  const auto late = co_await file->forget_cached();
  BOOST_TEST((late.error().code == Errc::closed));
}

// Larger than any buffer, in more pieces than one call of the kernel takes; holes read as zeroes.
inline Task<void> large_writes_arrive_whole(Disk& disk, IoPath io_path) {
  auto file = co_await open_new(disk, "large", io_path);
  Bytes content(3'000'000);
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<std::byte>((i * 7) >> 3);
  }
  std::vector<ByteView> pieces;
  for (std::size_t at = 0; at < content.size(); at += 1000) {
    pieces.push_back(ByteView(content).subspan(at, 1000));
  }
  auto written = co_await file->write_durably(10, pieces);
  BOOST_REQUIRE(written.has_value());
  auto bytes = co_await file->read(0, content.size() + 10);
  BOOST_REQUIRE(bytes.has_value());
  BOOST_REQUIRE(bytes->size() == content.size() + 10);
  BOOST_TEST(((*bytes)[9] == std::byte{0}));
  BOOST_TEST(std::equal(content.begin(), content.end(), bytes->begin() + 10));
  auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());
}

// Opening: what is missing, what is there already, what was there before.
inline Task<void> opening_minds_create_and_exclusive(Disk& disk, IoPath io_path) {
  OpenOptions options;
  options.io_path = io_path;
  auto missing = co_await disk.open("log", options);
  BOOST_REQUIRE(!missing.has_value());
  BOOST_TEST((missing.error().code == Errc::not_found));

  auto file = co_await open_new(disk, "log", io_path);
  std::vector<ByteView> pieces = {as_view("kept")};
  auto written = co_await file->write(0, pieces);
  BOOST_TEST(written.has_value());
  auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());

  options.create = true;
  options.exclusive = true;
  auto second = co_await disk.open("log", options);
  BOOST_REQUIRE(!second.has_value());
  BOOST_TEST((second.error().code == Errc::exists));

  auto again = co_await open_new(disk, "log", io_path);
  BOOST_TEST(co_await read_text(*again, 0, 100) == "kept");
  closed = co_await again->close();
  BOOST_TEST(closed.has_value());
  auto after = co_await again->sync();
  BOOST_TEST(!after.has_value());
}

// Names: directories, renames, removals, listings in order.
inline Task<void> names_come_and_go(Disk& disk) {
  BOOST_REQUIRE(disk.make_directories("a/b").has_value());
  BOOST_REQUIRE(disk.make_directories("a/b").has_value());
  BOOST_REQUIRE(disk.make_directory("a/c").has_value());
  BOOST_REQUIRE(disk.make_directory("a/c").has_value());
  BOOST_TEST((disk.list("a").value() == std::vector<std::string>{"b", "c"}));
  BOOST_TEST((disk.make_directory("nowhere/c").error().code == Errc::not_found));
  BOOST_REQUIRE(disk.write_file_atomically("a/b/two", as_view("2")).has_value());
  BOOST_REQUIRE(disk.write_file_atomically("a/b/one", as_view("1")).has_value());
  BOOST_TEST((disk.list("a/b").value() == std::vector<std::string>{"one", "two"}));
  BOOST_TEST(disk.exists("a/b/one").value());
  BOOST_TEST(!disk.exists("a/b/three").value());
  BOOST_TEST(!disk.exists("nowhere/three").value());

  BOOST_REQUIRE(disk.rename("a/b/one", "a/b/two").has_value());
  BOOST_REQUIRE(disk.sync_directory("a/b").has_value());
  BOOST_TEST((disk.list("a/b").value() == std::vector<std::string>{"two"}));
  BOOST_TEST(as_text(disk.read_file("a/b/two").value()) == "1");

  BOOST_TEST(disk.remove("a/b/two").has_value());
  BOOST_TEST(disk.remove("a/b/two").has_value());  // Gone already is no error.
  BOOST_TEST((disk.read_file("a/b/two").error().code == Errc::not_found));
  BOOST_TEST((disk.list("nowhere").error().code == Errc::not_found));
  BOOST_REQUIRE(disk.write_file_atomically("a/b/three", as_view("3")).has_value());
  BOOST_TEST(disk.remove_all("a").has_value());
  BOOST_TEST(!disk.exists("a").value());
  co_return;
}

// A small file is replaced whole, and leaves nothing beside it.
inline Task<void> small_files_are_replaced_whole(Disk& disk) {
  BOOST_REQUIRE(disk.write_file_atomically("state", as_view("the first, longer one")).has_value());
  BOOST_REQUIRE(disk.write_file_atomically("state", as_view("second")).has_value());
  BOOST_TEST(as_text(disk.read_file("state").value()) == "second");
  BOOST_TEST((disk.list("").value() == std::vector<std::string>{"state"}));
  co_return;
}

// Nothing outside the root is reached.
inline Task<void> paths_never_leave_the_root(Disk& disk, IoPath io_path) {
  for (const std::string path : {"../x", "/tmp/x", "a/../../x", ".."}) {
    OpenOptions options;
    options.io_path = io_path;
    auto opened = co_await disk.open(path, options);
    BOOST_REQUIRE_MESSAGE(!opened.has_value(), path);
    BOOST_TEST((opened.error().code == Errc::invalid), path);
    BOOST_TEST((disk.read_file(path).error().code == Errc::invalid), path);
    BOOST_TEST((disk.remove_all(path).error().code == Errc::invalid), path);
    BOOST_TEST((disk.make_directories(path).error().code == Errc::invalid), path);
  }
}

}  // namespace qlab::runtime::disk_contract
