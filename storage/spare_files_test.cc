// Prepared files: who gets them, what is in them, and what a crash makes of them.

#include <algorithm>

#include "common/prng.h"
#include "storage/test_world.h"

namespace qlab::storage {
namespace {

constexpr std::uint64_t prepared = 1u << 20;

EngineOptions options_with(Preallocation preallocation) {
  EngineOptions options;
  options.preallocation = preallocation;
  options.prepared_bytes = prepared;
  options.spares = 2;
  return options;
}

Result<void> append(TestWorld& world, Segment& segment, std::string text) {
  return await(world, [&] { return segment.append(std::vector<ByteView>(1, as_view(text))); });
}
std::unique_ptr<Segment> open(TestWorld& world, Engine& engine, std::string path) {
  return must(await(world, [&] { return engine.open(path); }));
}
void close(TestWorld& world, Segment& segment) {
  must(await(world, [&] { return segment.close(); }));
}
std::size_t file_size(TestWorld& world, std::string_view path) {
  return must(world.runtime().disk().read_file(path)).size();
}
std::size_t spares(TestWorld& world) {
  return must(world.runtime().disk().list("spare-segments")).size();
}

// Every engine of files with every preallocation on both worlds, started.
template <class Check>
void for_all_prepared(Check check) {
  for (const std::string_view name : persistent_engine_names()) {
    for (const auto preallocation :
         {Preallocation::extents, Preallocation::zeros, Preallocation::recycled}) {
      for (const bool real : {false, true}) {
        TestSetup setup = make_setup(real, name, options_with(preallocation));
        BOOST_TEST_CONTEXT(setup.name << ", " << name_of(preallocation)) {
          must(await(*setup.world, [&] { return setup.engine->start(); }));
          check(setup, preallocation);
          setup.world->run([&] { return setup.engine->stop(); });
          BOOST_TEST(spares(*setup.world) == 0u);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE(spare_files)

BOOST_AUTO_TEST_CASE(a_new_segment_is_empty_in_a_prepared_file_that_is_trimmed_when_it_is_closed) {
  for_all_prepared([](TestSetup& setup, Preallocation) {
    TestWorld& world = *setup.world;
    BOOST_TEST(spares(world) == 2u);
    auto segment = open(world, *setup.engine, "a");
    BOOST_TEST(segment->size() == 0u);
    BOOST_TEST(file_size(world, "a") == prepared);
    must(append(world, *segment, "abc"));
    BOOST_TEST(must(await(world, [&] { return segment->sync(); })) == 3u);
    BOOST_TEST(file_size(world, "a") == prepared);
    BOOST_TEST(as_text(must(await(world, [&] { return segment->read(0, 10); }))) == "abc");
    close(world, *segment);
    BOOST_TEST(file_size(world, "a") == 3u);
    segment = open(world, *setup.engine, "a");
    BOOST_TEST(segment->size() == 3u);
    close(world, *segment);
  });
}

BOOST_AUTO_TEST_CASE(an_append_beyond_the_prepared_size_extends_the_file) {
  for_all_prepared([](TestSetup& setup, Preallocation) {
    TestWorld& world = *setup.world;
    const auto segment = open(world, *setup.engine, "a");
    for (int i = 0; i < 3; ++i) must(append(world, *segment, std::string(500'000, 'x')));
    BOOST_TEST(must(await(world, [&] { return segment->sync(); })) == 1'500'000u);
    close(world, *segment);
    BOOST_TEST(file_size(world, "a") == 1'500'000u);
  });
}

// The removed segment's bytes must not show behind the end of the one that gets its file.
BOOST_AUTO_TEST_CASE(a_recycled_file_has_nothing_of_what_was_in_it) {
  for_all_prepared([](TestSetup& setup, Preallocation) {
    TestWorld& world = *setup.world;
    for (int i = 0; i < 6; ++i) {
      const auto segment = open(world, *setup.engine, "a");
      BOOST_TEST(segment->size() == 0u);
      const Bytes file = must(world.runtime().disk().read_file("a"));
      BOOST_TEST(std::count(file.begin(), file.end(), std::byte{0}) ==
                 static_cast<std::ptrdiff_t>(file.size()));
      must(append(world, *segment, std::string(900'000, 'x')));
      must(await(world, [&] { return segment->sync(); }));
      close(world, *segment);
      must(setup.engine->remove("a"));
      BOOST_TEST(!must(world.runtime().disk().exists("a")));
    }
  });
}

BOOST_AUTO_TEST_CASE(what_an_earlier_life_left_is_removed_and_never_used) {
  SimulatedTestWorld world;
  runtime::Disk& disk = world.runtime().disk();
  must(disk.make_directories("spare-segments"));
  must(disk.write_file_atomically("spare-segments/1", as_view("stale")));
  const auto engine =
      must(make_engine("buffered", world.runtime(), options_with(Preallocation::zeros)));
  must(await(world, [&] { return engine->start(); }));
  const auto segment = open(world, *engine, "a");
  BOOST_TEST(file_size(world, "a") == prepared);
  const Bytes file = must(disk.read_file("a"));
  BOOST_TEST(std::count(file.begin(), file.end(), std::byte{0}) == std::ptrdiff_t{prepared});
  close(world, *segment);
  world.run([&] { return engine->stop(); });
}

BOOST_AUTO_TEST_CASE(without_space_for_spares_segments_get_plain_files) {
  SimulatedTestWorld world;
  world.set_fault_hook([](const runtime::DiskAccess& access) {
    const bool hit = access.operation == runtime::DiskOperation::prepare;
    return runtime::DiskFault{.delay = {}, .error = hit ? ENOSPC : 0, .torn = 0};
  });
  const auto engine =
      must(make_engine("uring", world.runtime(), options_with(Preallocation::zeros)));
  const auto started = await(world, [&] { return engine->start(); });
  BOOST_TEST(static_cast<int>(code_of(started)) == static_cast<int>(Errc::no_space));
  const auto segment = open(world, *engine, "a");
  must(append(world, *segment, "abc"));
  BOOST_TEST(file_size(world, "a") == 3u);
  close(world, *segment);
  world.run([&] { return engine->stop(); });
}

// One process that fills segments and removes them until the power goes.
struct Program {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Segment> segment;
};

Task<void> fill_and_remove(Program& program, Prng& random) {
  const auto started = co_await program.engine->start();
  if (!started) co_return;
  for (int i = 0;; ++i) {
    const std::string path = fmt::format("{}", i % 3);
    auto removed = program.engine->remove(path);
    if (!removed) co_return;
    auto opened = co_await program.engine->open(path);
    if (!opened) co_return;
    program.segment = std::move(*opened);
    const std::string text(1 + random.below(prepared), static_cast<char>('a' + i % 26));
    const auto written = co_await program.segment->append(std::vector<ByteView>(1, as_view(text)));
    if (!written) co_return;
    const auto durable = co_await program.segment->sync();
    if (!durable) co_return;
    const auto closed = co_await program.segment->close();
    if (!closed) co_return;
  }
}

// A segment is filled with one letter, so a second one in a file is of the segment before.
BOOST_AUTO_TEST_CASE(a_crash_leaves_no_bytes_of_another_segment_in_a_file) {
  for (const std::string_view engine : persistent_engine_names()) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      BOOST_TEST_CONTEXT("engine " << engine << ", seed " << seed) {
        SimulatedTestWorld world(seed);
        Prng random(seed);
        Program* program = nullptr;
        world.world().boot(SimulatedTestWorld::node, [&](runtime::Runtime& runtime) {
          auto made = std::make_shared<Program>();
          made->engine = std::move(
              make_engine(engine, runtime, options_with(Preallocation::recycled)).value());
          program = made.get();
          return made;
        });
        world.disk().crash_at_change(1 + random.below(80));
        const auto outcome = runtime::begin(world.world(), SimulatedTestWorld::node,
                                            fill_and_remove(*program, random));
        const auto is_down = [&] { return !world.world().node(SimulatedTestWorld::node).is_up(); };
        BOOST_REQUIRE(world.world().run_until(is_down, std::chrono::hours(1)).has_value());
        for (const std::string path : {"0", "1", "2"}) {
          const auto bytes = world.disk().durable(path);
          if (!bytes) continue;
          std::byte letter{0};
          for (const std::byte byte : *bytes) {
            if (byte == letter || byte == std::byte{0}) continue;
            BOOST_REQUIRE(letter == std::byte{0});
            letter = byte;
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
