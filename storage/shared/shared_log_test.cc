// Cases of the layout `shared` that its twins (store_property_test.cc) come upon too seldom.

#include "runtime/async.h"
#include "storage/log_fixture.h"
#include "storage/shared/checkpoint.h"
#include "storage/shared/shared_layout.h"

namespace qlab::storage {
namespace {

BOOST_AUTO_TEST_SUITE(shared_log)

BOOST_AUTO_TEST_CASE(a_slow_append_is_durable_within_the_group_interval_all_the_same) {
  SimulatedTestWorld world;
  const auto engine = must(make_engine("buffered", world.runtime()));
  const auto layout = make_shared_layout(world.runtime(), *engine, {});
  must(await(world, [&] { return layout->start(); }));
  LogOptions options;
  options.durability = Durability::group;
  options.group_interval = std::chrono::milliseconds(5);
  const LogName name{"topic-0", TopicId{1, 1}};
  const auto log = must(await(world, [&] { return layout->open(name, options); }));
  world.set_fault_hook([](const runtime::DiskAccess& access) {
    runtime::DiskFault slow;
    if (access.operation == runtime::DiskOperation::write)
      slow.delay = std::chrono::milliseconds(20);
    return slow;
  });
  must(await(world, [&] { return log->append_as_leader(make_batch(1), LeaderEpoch{0}); }));
  world.set_fault_hook({});
  world.run([&] { return runtime::sleep_for(world.runtime(), std::chrono::milliseconds(50)); });
  BOOST_TEST(log->end().value() == 1);
  BOOST_TEST(log->durable_end().value() == 1);
  must(await(world, [&] { return log->close(); }));
  must(await(world, [&] { return layout->stop(); }));
}

// The block of the old one is written before it is removed, that of the new one after.
BOOST_AUTO_TEST_CASE(a_checkpoint_may_hold_a_removed_stream_and_its_namesake) {
  using namespace shared;
  constexpr StreamId old_id{1};
  constexpr StreamId new_id{StreamTable::block_streams + 1};
  SimulatedTestWorld world;
  must(world.disk().make_directories("shared"));
  CheckpointWriter writer(world.disk(), "shared");
  must(await(world, [&] { return writer.open({1, 0}, old_id); }));
  StreamTable streams;
  streams.add(old_id, "topic-0", TopicId{1, 1}).is_created = true;
  writer.add(streams.block(0), {1, 100}, {});
  streams.erase(old_id);
  streams.add(new_id, "topic-0", TopicId{1, 2}).is_created = true;
  writer.add(streams.block(1), {1, 300}, {});
  must(await(world, [&] { return writer.commit(); }));

  StreamTable loaded;
  const auto there =
      must(await(world, [&] { return load_checkpoint(world.disk(), "shared", loaded); }));
  BOOST_REQUIRE(there.has_value());
  BOOST_TEST((loaded.find("topic-0") == new_id));
  BOOST_REQUIRE(loaded.find(old_id) != nullptr);  // For the frame that removes it.
  loaded.erase(old_id);
  BOOST_TEST((loaded.find("topic-0") == new_id));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
