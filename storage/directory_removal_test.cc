// A log that is being removed when the process ends is never half there.

#include <boost/test/unit_test.hpp>

#include "storage/layout.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

constexpr int batches = 30;  // Some segments, and more files than one.
const LogName old_name{"topic-0", TopicId{1, 1}};

Task<Result<void>> fill_and_remove(Layout& layout) {
  CO_TRY(std::unique_ptr<Log> log, co_await layout.open(old_name, LogFixture::small_segments()));
  for (int i = 0; i < batches; ++i) {
    CO_TRY_VOID(co_await log->append_as_leader(make_batch(3), LeaderEpoch{1}));
  }
  CO_TRY_VOID(co_await log->sync());
  co_return co_await log->remove();
}

Task<Result<Offset>> end_of_log(Layout& layout, LogName name) {
  CO_TRY_VOID(co_await layout.start());
  CO_TRY(std::unique_ptr<Log> log, co_await layout.open(name, LogFixture::small_segments()));
  const Offset end = log->end();
  CO_TRY_VOID(co_await log->close());
  co_return end;
}

// Fails every change of a name from the `count`-th on, as if the process had ended there.
runtime::FaultHook end_before(int count) {
  return [count, seen = 0](const runtime::DiskAccess& access) mutable {
    using enum runtime::DiskOperation;
    runtime::DiskFault fault;
    const bool counts = access.operation == remove || access.operation == rename;
    if (counts && ++seen >= count) fault.error = EIO;
    return fault;
  };
}

BOOST_AUTO_TEST_CASE(a_removal_that_is_interrupted_leaves_all_of_the_log_or_nothing) {
  for (const TopicId topic : {old_name.topic, TopicId{2, 2}}) {
    for (int count = 1; count < 12; ++count) {
      BOOST_TEST_CONTEXT("interrupted at change " << count) {
        TestSetup setup = make_setup(false, "buffered");
        auto layout = must(make_layout("per_partition", setup.world->runtime(), *setup.engine));
        must(await(*setup.world, [&] { return layout->start(); }));
        setup.world->set_fault_hook(end_before(count));
        [[maybe_unused]] const auto removed =
            await(*setup.world, [&] { return fill_and_remove(*layout); });
        setup.world->set_fault_hook({});
        const LogName name{"topic-0", topic};
        const Offset end = must(await(*setup.world, [&] { return end_of_log(*layout, name); }));
        const bool all_or_nothing =
            end == Offset{0} || (end == Offset{3 * batches} && topic == old_name.topic);
        BOOST_TEST(all_or_nothing);
      }
    }
  }
}

}  // namespace
}  // namespace qlab::storage
