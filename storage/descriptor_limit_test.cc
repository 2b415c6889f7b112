// More logs than the process may have descriptors, for real.

#include <sys/resource.h>

#include "storage/layout.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

// Lowers the limit of this process while it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit lowered = before_;
    lowered.rlim_cur = std::min(most, before_.rlim_cur);
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

constexpr int logs_count = 300;

Task<Result<void>> write_and_read(Layout& layout, LogOptions options) {
  CO_TRY_VOID(co_await layout.start());
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < logs_count; ++i) {
    LogName name{fmt::format("t-{}", i), TopicId{0, 1}};
    CO_TRY(auto log, co_await layout.open(std::move(name), options));
    logs.push_back(std::move(log));
  }
  for (int round = 1; round <= 2; ++round) {
    for (const auto& log : logs) {
      CO_TRY_VOID(co_await log->append_as_leader(make_batch(2), LeaderEpoch{0}));
      CO_TRY(const Offset durable, co_await log->sync());
      BOOST_TEST(durable.value() == 2 * round);
    }
  }
  for (const auto& log : logs) {
    CO_TRY(const ReadResult read, co_await log->read(Offset{0}, Offset{4}, 1u << 20));
    BOOST_TEST(read.next.value() == 4);
  }
  for (const auto& log : logs) CO_TRY_VOID(co_await log->close());
  co_return co_await layout.stop();
}

BOOST_AUTO_TEST_SUITE(descriptor_limit)

BOOST_AUTO_TEST_CASE(three_hundred_logs_do_under_a_limit_of_eighty_descriptors) {
  for (const std::string_view engine : persistent_engine_names()) {
    for (const std::string_view layout_name : layout_names()) {
      BOOST_TEST_CONTEXT(layout_name << " on " << engine) {
        TestSetup setup = make_setup(true, engine);
        LayoutOptions options;
        options.open_files_max = 16;
        const auto layout =
            must(make_layout(layout_name, setup.world->runtime(), *setup.engine, options));
        const DescriptorLimit limit(80);
        must(await(*setup.world, [&] { return write_and_read(*layout, {}); }));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
