// Reading a segment past the page cache.

#include "storage/cold_reader.h"

#include "storage/kafka_files.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

BOOST_AUTO_TEST_SUITE(cold_reader)

Task<Bytes> all_of(ReadAhead& ahead) {
  Bytes all;
  while (true) {
    const Bytes window = must(co_await ahead.next());
    if (window.empty()) break;
    all.insert(all.end(), window.begin(), window.end());
  }
  co_await ahead.close();
  co_return all;
}

BOOST_AUTO_TEST_CASE(what_was_appended_and_not_synced_is_read_on_every_engine) {
  for (const std::string_view engine : persistent_engine_names()) {
    if (engine == "direct") continue;  // Keeps it in memory of its own until a sync.
    const TestSetup setup = make_setup(true, engine);
    BOOST_TEST_CONTEXT(setup.name) {
      Bytes written((3u << 20) + 12'345, std::byte{7});
      written[2u << 20] = std::byte{8};
      setup.world->run([&]() -> Task<void> {
        const auto segment = must(co_await setup.engine->open("segment"));
        must(co_await segment->append(std::vector<ByteView>(1, written)));
        ColdReader reader(setup.world->runtime(), *segment);
        must(co_await reader.open("segment"));
        ReadAhead ahead = reader.read(4097, written.size());
        const Bytes read = co_await all_of(ahead);
        BOOST_TEST((read == Bytes(written.begin() + 4097, written.end())));
        const bool zero = must(co_await reader.is_zero(0, 1000));
        BOOST_TEST(!zero);
        must(co_await reader.close());
        must(co_await segment->close());
      });
    }
  }
}

BOOST_AUTO_TEST_CASE(recovery_scans_much_past_the_page_cache_and_little_through_the_segment) {
  for (const std::size_t batches : {3u, 40u}) {
    LogOptions options;
    options.segment_bytes = 16u << 20;
    LogFixture log(make_setup(false, "buffered"), options);
    log.open();
    for (std::size_t i = 0; i < batches; ++i) log.append(make_batch(1, 1000, 10'000));
    log.sync();
    log.kill();
    must(log.disk().remove("topic-0/recovery-point"));
    int opened = 0;
    log.setup().world->set_fault_hook([&](const runtime::DiskAccess& access) {
      const bool counts =
          access.operation == runtime::DiskOperation::open && access.path.ends_with(data_suffix);
      opened += counts ? 1 : 0;
      return runtime::DiskFault{};
    });
    log.open();
    BOOST_TEST(log.log().end().value() == static_cast<std::int64_t>(batches));
    const bool much = batches * 10'000 >= ColdReader::bytes_min;
    BOOST_TEST(opened == (much ? 2 : 1));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
