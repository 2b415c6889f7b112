// How few descriptors do: files that are opened when needed and closed when others need the place.

#include "storage/segment_files.h"

#include <cerrno>
#include <set>

#include "storage/layout.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

using runtime::DiskAccess;
using runtime::DiskFault;
using runtime::DiskOperation;

struct Files {
  explicit Files(TestSetup s, std::size_t open_max)
      : setup(std::move(s)), files(setup.world->runtime(), *setup.engine, open_max) {}

  std::unique_ptr<Segment> open(const std::string& path) {
    return must(await(*setup.world, [&] { return files.open(path); }));
  }
  Result<void> append(Segment& segment, std::string_view text) {
    return await(*setup.world,
                 [&] { return segment.append(std::vector<ByteView>(1, as_view(text))); });
  }
  Result<std::string> read(Segment& segment, std::uint64_t position = 0) {
    TRY(const Bytes bytes, await(*setup.world, [&] { return segment.read(position, 100); }));
    return std::string(as_text(bytes));
  }
  Result<std::uint64_t> sync(Segment& segment) {
    return await(*setup.world, [&] { return segment.sync(); });
  }
  void close(Segment& segment) {
    must(await(*setup.world, [&] { return segment.close(); }));
  }

  TestSetup setup;
  SegmentFiles files;
};

BOOST_AUTO_TEST_SUITE(segment_files)

BOOST_AUTO_TEST_CASE(many_segments_do_with_few_open_files) {
  for (TestSetup& setup : all_setups()) {
    BOOST_TEST_CONTEXT(setup.name) {
      Files files(std::move(setup), 3);
      std::vector<std::unique_ptr<Segment>> segments;
      for (int i = 0; i < 10; ++i) segments.push_back(files.open(fmt::format("s{}", i)));
      for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 10; ++i) {
          must(files.append(*segments[i], fmt::format("{}{};", round, i)));
          BOOST_TEST(files.files.open_count() <= 3u);
        }
      }
      for (int i = 0; i < 10; ++i) {
        BOOST_TEST(must(files.read(*segments[i])) == fmt::format("0{0};1{0};2{0};", i));
        BOOST_TEST(segments[i]->size() == 9u);
        BOOST_TEST(must(files.sync(*segments[i])) == 9u);
        BOOST_TEST(files.files.open_count() <= 3u);
      }
      for (auto& segment : segments) files.close(*segment);
      BOOST_TEST(files.files.open_count() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(calls_that_are_under_way_in_all_open_files_make_others_wait_their_turn) {
  Files files(make_setup(false, "buffered"), 2);
  std::vector<std::unique_ptr<Segment>> segments;
  for (int i = 0; i < 20; ++i) segments.push_back(files.open(fmt::format("s{}", i)));
  runtime::Gate gate(files.setup.world->runtime());
  const auto work = [&](Segment* segment) -> Task<void> {
    for (int i = 0; i < 5; ++i) {
      const auto appended = co_await segment->append(std::vector<ByteView>(1, as_view("12345")));
      BOOST_TEST(appended.has_value());
      BOOST_TEST(files.files.open_count() <= 2u);
      const auto synced = co_await segment->sync();
      BOOST_TEST(synced.has_value());
    }
  };
  files.setup.world->run([&]() -> Task<void> {
    for (auto& segment : segments) gate.start([&work, s = segment.get()] { return work(s); });
    co_await gate.close();
  });
  for (auto& segment : segments) {
    BOOST_TEST(segment->durable_size() == 25u);
    files.close(*segment);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_synced_is_synced_before_its_file_is_closed) {
  Files files(make_setup(false, "buffered"), 1);
  auto& world = static_cast<SimulatedTestWorld&>(*files.setup.world);
  const auto a = files.open("a");
  must(files.append(*a, "abc"));
  BOOST_TEST(a->durable_size() == 0u);
  const auto b = files.open("b");
  BOOST_TEST(a->durable_size() == 3u);
  BOOST_TEST(must(files.sync(*a)) == 3u);
  BOOST_TEST(as_text(world.disk().durable("a").value()) == "abc");
  files.close(*a);
  files.close(*b);
}

// The disk tells its error once, to whoever has the file open.
BOOST_AUTO_TEST_CASE(a_sync_that_fails_when_room_is_made_is_told_to_the_next_call_and_reads_go_on) {
  Files files(make_setup(false, "buffered"), 1);
  const auto a = files.open("a");
  must(files.append(*a, "abc"));
  must(files.sync(*a));
  must(files.append(*a, "def"));
  files.setup.world->set_fault_hook([](const DiskAccess& access) {
    const bool fails = access.operation == DiskOperation::sync && access.path == "a";
    return DiskFault{.delay = {}, .error = fails ? EIO : 0, .torn = 0};
  });
  const auto b = files.open("b");
  files.setup.world->set_fault_hook({});
  BOOST_TEST(!files.append(*a, "g").has_value());
  BOOST_TEST(!files.sync(*a).has_value());
  BOOST_TEST(must(files.read(*a)) == "abc");
  BOOST_TEST(!files.read(*a, 3).has_value());
  must(files.append(*b, "goes on"));
  files.close(*a);
  files.close(*b);
  BOOST_TEST(files.files.open_count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_known_segment_is_opened_by_the_first_call_and_must_be_as_it_was) {
  Files files(make_setup(false, "buffered"), 4);
  must(files.setup.world->runtime().disk().write_file_atomically("a", as_view("abcdef")));
  const auto whole = files.files.known("a", 6);
  BOOST_TEST(files.files.open_count() == 0u);
  BOOST_TEST(whole->size() == 6u);
  BOOST_TEST(must(files.sync(*whole)) == 6u);
  BOOST_TEST(files.files.open_count() == 0u);
  BOOST_TEST(must(files.read(*whole)) == "abcdef");
  BOOST_TEST(files.files.open_count() == 1u);
  files.close(*whole);

  for (const std::uint64_t size : {5u, 7u}) {
    const auto other = files.files.known("a", size);
    BOOST_TEST((code_of(files.read(*other)) == Errc::corrupt));
    BOOST_TEST(files.files.open_count() == 0u);
    files.close(*other);
  }
  Bytes padded = bytes_of("abcdef");
  padded.resize(5000);
  must(files.setup.world->runtime().disk().write_file_atomically("a", padded));
  const auto prepared = files.files.known("a", 6);
  must(files.append(*prepared, "ghi"));
  BOOST_TEST(must(files.read(*prepared)) == "abcdefghi");
  files.close(*prepared);
}

BOOST_AUTO_TEST_CASE(an_open_that_fails_names_the_cap_and_the_next_call_tries_again) {
  Files files(make_setup(false, "buffered"), 20);
  must(files.setup.world->runtime().disk().write_file_atomically("a", as_view("abc")));
  const auto a = files.files.known("a", 3);
  files.setup.world->set_fault_hook([](const DiskAccess& access) {
    const bool fails = access.operation == DiskOperation::open;
    return DiskFault{.delay = {}, .error = fails ? EMFILE : 0, .torn = 0};
  });
  const auto refused = files.read(*a);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST(refused.error().context.ends_with(
      "; 0 segment files are open, and log.open.files.max is 20"));
  files.setup.world->set_fault_hook({});
  BOOST_TEST(must(files.read(*a)) == "abc");
  files.close(*a);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
