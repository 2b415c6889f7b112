#pragma once
// What every Disk promises on every IoPath, direct among them: writes are whole blocks of aligned
// memory. Each is one coroutine on an empty disk; a failed one throws out of it.

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/disk_contract.h"
#include "runtime/fault_hook.h"

namespace qlab::runtime::disk_contract {

inline constexpr std::size_t block = direct_alignment;

// Memory for writes, filled so that no two blocks of a few thousand are alike.
inline std::unique_ptr<IoBuffer> make_blocks(Disk& disk, std::size_t count, std::size_t salt = 0) {
  auto buffer = disk.make_buffer(count * block);
  BOOST_REQUIRE_MESSAGE(buffer.has_value(), why(buffer));
  const std::span<std::byte> bytes = (*buffer)->bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>((salt + i / block) * 31 + i % 251);
  }
  return std::move(*buffer);
}

inline Task<bool> reads_as(File& file, std::uint64_t position, ByteView expected) {
  auto bytes = co_await file.read(position, expected.size());
  BOOST_REQUIRE_MESSAGE(bytes.has_value(), why(bytes));
  co_return std::ranges::equal(*bytes, expected);
}

inline Task<bool> reads_as_zeros(File& file, std::uint64_t from, std::uint64_t to) {
  auto bytes = co_await file.read(from, static_cast<std::size_t>(to - from));
  BOOST_REQUIRE_MESSAGE(bytes.has_value(), why(bytes));
  co_return bytes->size() == to - from&& std::ranges::count(*bytes, std::byte{0}) ==
      static_cast<std::ptrdiff_t>(to - from);
}

// Reads begin and end anywhere, at the end of the file and across the steps of a bounce buffer.
inline Task<void> blocks_are_read_back(Disk& disk, IoPath io_path) {
  auto file = co_await open_new(disk, "log", io_path);
  constexpr std::size_t blocks = 700;  // More than one bounce buffer.
  const auto buffer = make_blocks(disk, blocks);
  const ByteView all = buffer->bytes();
  // Two pieces that are not neighbours in memory, then one.
  std::vector<ByteView> pieces = {all.first(2 * block), all.subspan(3 * block, block)};
  auto written = co_await file->write(0, pieces);
  BOOST_REQUIRE_MESSAGE(written.has_value(), why(written));
  const bool gathered = co_await reads_as(*file, 2 * block, all.subspan(3 * block, block));
  BOOST_TEST(gathered);
  pieces = {all.subspan(2 * block)};
  written = co_await file->write_durably(2 * block, pieces);
  BOOST_REQUIRE_MESSAGE(written.has_value(), why(written));
  BOOST_TEST(file->size().value() == blocks * block);

  for (const std::size_t position : {std::size_t{0}, block, block - 1, 5 * block + 17}) {
    for (const std::size_t count : {std::size_t{1}, block, block + 2, 300 * block}) {
      const bool same = co_await reads_as(*file, position, all.subspan(position, count));
      BOOST_TEST(same, position << " + " << count);
    }
  }
  auto tail = co_await file->read((blocks - 1) * block + 1, 10 * block);
  BOOST_REQUIRE(tail.has_value());
  BOOST_TEST(std::ranges::equal(*tail, all.last(block - 1)));
  tail = co_await file->read(blocks * block, 1);
  BOOST_REQUIRE(tail.has_value());
  BOOST_TEST(tail->empty());

  auto done = co_await file->truncate(block + 100);
  BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
  tail = co_await file->read(10, 4 * block);
  BOOST_REQUIRE(tail.has_value());
  BOOST_TEST(std::ranges::equal(*tail, all.subspan(10, block + 90)));
  done = co_await file->sync();
  BOOST_TEST(done.has_value());
  done = co_await file->close();
  BOOST_TEST(done.has_value());
}

// Position, size and address, each said with its value; nothing is written.
inline Task<void> a_misaligned_direct_write_is_refused(Disk& disk) {
  auto file = co_await open_new(disk, "log", IoPath::direct);
  const auto buffer = make_blocks(disk, 2);
  const ByteView all = buffer->bytes();
  const auto refused = [](const Result<void>& outcome, std::string_view named) {
    BOOST_REQUIRE(!outcome.has_value());
    BOOST_TEST((outcome.error().code == Errc::invalid));
    BOOST_TEST(outcome.error().context.find(named) != std::string::npos, outcome.error().context);
  };
  std::vector<ByteView> pieces = {all.first(block)};
  refused(co_await file->write(512, pieces), "512");
  refused(co_await file->write_durably(4097, pieces), "4097");
  pieces = {all.first(block), all.first(1000)};
  refused(co_await file->write(0, pieces), "1000");
  pieces = {all.subspan(8, block)};
  refused(co_await file->write(0, pieces), "0x");
  BOOST_TEST(file->size().value() == 0u);
  pieces = {all};
  const auto written = co_await file->write_durably(0, pieces);
  BOOST_TEST(written.has_value());  // And the file is none the worse for it.
}

// What is added reads as zeros, what was there stays, and less than there is changes nothing.
inline Task<void> preparing_adds_zeros(Disk& disk, IoPath io_path) {
  constexpr std::size_t size = 600 * block;
  for (const Fill fill : {Fill::extents, Fill::zeros}) {
    auto file = co_await open_new(disk, fill == Fill::zeros ? "zeros" : "extents", io_path);
    const auto buffer = make_blocks(disk, 2);
    std::vector<ByteView> pieces = {buffer->bytes()};
    auto done = co_await file->write(0, pieces);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    done = co_await file->truncate(block + 10);  // The rest of a block becomes zeros as well.
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    done = co_await file->prepare(size, fill);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    BOOST_TEST(file->size().value() == size);
    const bool kept = co_await reads_as(*file, 0, buffer->bytes().first(block + 10));
    BOOST_TEST(kept);
    const bool zeros = co_await reads_as_zeros(*file, block + 10, size);
    BOOST_TEST(zeros);
    done = co_await file->prepare(block, fill);
    BOOST_TEST(done.has_value());
    BOOST_TEST(file->size().value() == size);

    done = co_await file->write_durably(2 * block, pieces);
    BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
    const bool written = co_await reads_as(*file, 2 * block, buffer->bytes());
    BOOST_TEST(written);
    BOOST_TEST(file->size().value() == size);
    done = co_await file->close();
    BOOST_TEST(done.has_value());
  }
}

// Many at once, of ranges that do not overlap, in any order.
inline Task<void> durable_writes_overlap(Runtime& runtime, IoPath io_path) {
  constexpr std::size_t writes = 300;
  auto file = co_await open_new(runtime.disk(), "log", io_path);
  const auto buffer = make_blocks(runtime.disk(), writes);
  const ByteView all = buffer->bytes();
  std::size_t ended = 0;
  Gate gate(runtime);
  for (std::size_t i = 0; i < writes; ++i) {
    gate.start([&file, &ended, all, at = (i * 7) % writes * block]() -> Task<void> {
      std::vector<ByteView> pieces = {all.subspan(at, block)};
      const auto written = co_await file->write_durably(at, pieces);
      BOOST_TEST(written.has_value(), why(written));
      ++ended;
    });
  }
  co_await gate.close();
  BOOST_TEST(ended == writes);
  const bool same = co_await reads_as(*file, 0, all);
  BOOST_TEST(same);
  const auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());
}

// More than a table of registered ones holds, small and large, and back again.
inline Task<void> buffers_are_aligned(Disk& disk) {
  std::vector<std::unique_ptr<IoBuffer>> buffers;
  for (std::size_t i = 0; i < 1100; ++i) {
    auto buffer = disk.make_buffer((i % 3 + 1) * block);
    BOOST_REQUIRE_MESSAGE(buffer.has_value(), why(buffer));
    const std::span<std::byte> bytes = (*buffer)->bytes();
    BOOST_TEST(bytes.size() == (i % 3 + 1) * block);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(bytes.data()) % block == 0u);
    std::ranges::fill(bytes, std::byte{1});
    if (i % 5 == 4) buffers.erase(buffers.begin() + static_cast<std::ptrdiff_t>(i % 11 / 4));
    buffers.push_back(std::move(*buffer));
  }
  auto file = co_await open_new(disk, "log", IoPath::direct);
  for (const std::size_t at : {std::size_t{0}, buffers.size() - 1}) {
    std::vector<ByteView> pieces = {buffers[at]->bytes()};
    const auto written = co_await file->write(0, pieces);
    BOOST_TEST(written.has_value(), why(written));
  }
  const auto closed = co_await file->close();
  BOOST_TEST(closed.has_value());
}

// A hook that fails the next operation of its kind, and what came of it.
using SetHook = std::function<void(FaultHook)>;

inline FaultHook fail_next(DiskOperation operation, int error) {
  return [operation, error, armed = true](const DiskAccess& access) mutable {
    const bool hit = access.operation == operation && std::exchange(armed, false);
    return DiskFault{.delay = {}, .error = hit ? error : 0, .torn = 0};
  };
}

// A full disk refuses; the file is as long as before and goes on.
inline Task<void> a_full_disk_prepares_nothing(Disk& disk, IoPath io_path, SetHook set_hook) {
  auto file = co_await open_new(disk, "log", io_path);
  auto done = co_await file->prepare(2 * block, Fill::zeros);
  BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
  for (const Fill fill : {Fill::extents, Fill::zeros}) {
    set_hook(fail_next(DiskOperation::prepare, ENOSPC));
    done = co_await file->prepare(64 * block, fill);
    BOOST_REQUIRE(!done.has_value());
    BOOST_TEST((done.error().code == Errc::no_space));
    BOOST_TEST(file->size().value() == 2 * block);
  }
  done = co_await file->prepare(64 * block, Fill::zeros);
  BOOST_TEST(done.has_value());
  BOOST_TEST(file->size().value() == 64 * block);
  done = co_await file->sync();
  BOOST_TEST(done.has_value());
}

// The error that the hook names, from the operation that it names, on every path.
inline Task<void> every_operation_meets_the_hook(Disk& disk, IoPath io_path, SetHook set_hook) {
  auto file = co_await open_new(disk, "log", io_path);
  const auto buffer = make_blocks(disk, 1);
  const std::vector<ByteView> pieces = {buffer->bytes()};
  const auto failed = [](const auto& outcome, Errc code) {
    BOOST_REQUIRE(!outcome.has_value());
    BOOST_TEST((outcome.error().code == code), outcome.error().message());
  };
  set_hook(fail_next(DiskOperation::write, ENOSPC));
  failed(co_await file->write(0, pieces), Errc::no_space);
  set_hook(fail_next(DiskOperation::write, ENOSPC));
  failed(co_await file->write_durably(0, pieces), Errc::no_space);
  set_hook(fail_next(DiskOperation::read, EIO));
  failed(co_await file->read(0, 1), Errc::io);
  set_hook(fail_next(DiskOperation::truncate, EIO));
  failed(co_await file->truncate(0), Errc::io);
  set_hook(fail_next(DiskOperation::open, EIO));
  OpenOptions options;
  options.io_path = io_path;
  options.create = true;
  failed(co_await disk.open("other", options), Errc::io);

  file = co_await open_new(disk, "second", io_path);
  set_hook(fail_next(DiskOperation::sync, EIO));
  failed(co_await file->write_durably(0, pieces), Errc::io);
  failed(co_await file->sync(), Errc::io);  // And no later one says that all is well.
  failed(co_await file->write_durably(0, pieces), Errc::io);
  const auto plain = co_await file->write(0, pieces);
  BOOST_TEST(plain.has_value());
}

// Neither a file that was open then nor the disk says again that all is well.
inline Task<void> a_failed_sync_of_the_file_system_poisons(Disk& disk, IoPath io_path,
                                                           SetHook set_hook) {
  auto file = co_await open_new(disk, "log", io_path);
  const auto buffer = make_blocks(disk, 1);
  const std::vector<ByteView> pieces = {buffer->bytes()};
  auto done = co_await file->write(0, pieces);
  BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
  done = co_await disk.sync_filesystem();
  BOOST_REQUIRE_MESSAGE(done.has_value(), why(done));
  set_hook(fail_next(DiskOperation::sync_filesystem, EIO));
  const auto failed = [](const Result<void>& outcome) {
    BOOST_REQUIRE(!outcome.has_value());
    BOOST_TEST((outcome.error().code == Errc::io), outcome.error().message());
  };
  failed(co_await disk.sync_filesystem());
  failed(co_await disk.sync_filesystem());
  failed(co_await file->sync());
  failed(co_await file->write_durably(0, pieces));
  const bool kept = co_await reads_as(*file, 0, buffer->bytes());
  BOOST_TEST(kept);
  const auto anew = co_await open_new(disk, "log", io_path);
  done = co_await anew->write_durably(0, pieces);
  BOOST_TEST(done.has_value());
}

}  // namespace qlab::runtime::disk_contract
