#include "broker/change_watch.h"

#include <boost/test/unit_test.hpp>

#include "common/check.h"
#include "runtime/simulated/run.h"

namespace qlab::broker {
namespace {

using replication::FetchOutcome;
using std::chrono::seconds;

constexpr NodeId node{1};

// A replica that does nothing but change.
class Changing final : public replication::Replicator {
 public:
  explicit Changing(runtime::Runtime& runtime) : changed_(runtime) {}

  runtime::Event& changed() override { return changed_; }

  Task<Result<void>> apply(replication::PartitionState) override { co_return none(); }
  Task<Result<storage::AppendResult>> append(Bytes, replication::Acks, Time) override {
    co_return none();
  }
  Task<Result<FetchOutcome>> fetch_as_consumer(Offset, LeaderEpoch, std::size_t) override {
    co_return none();
  }
  Task<Result<FetchOutcome>> fetch_as_replica(replication::ReplicaFetch, LeaderEpoch,
                                              std::size_t) override {
    co_return none();
  }
  Task<Result<Offset>> delete_records(Offset, Time) override { co_return Offset{}; }
  storage::Log& log() override { return *log_; }
  Offset high_watermark() const override { return {}; }
  bool is_watermark_known() const override { return true; }
  const replication::PartitionState& state() const override { return state_; }
  bool is_leader() const override { return true; }
  Task<Result<void>> close() override { co_return Result<void>{}; }

 private:
  static tl::unexpected<Error> none() { return fail(Errc::unsupported, "it only changes"); }

  runtime::Event changed_;
  replication::PartitionState state_;
  std::unique_ptr<storage::Log> log_;
};

struct Fixture {
  runtime::SimulatedWorld world{1};
  runtime::Runtime& runtime{world.node(node)};
  ChangeWatch watch{runtime};
  std::shared_ptr<Changing> replica = std::make_shared<Changing>(runtime);
  int woken = 0;
  std::shared_ptr<ChangeWatch::Wake> wake =
      std::make_shared<ChangeWatch::Wake>([this] { ++woken; });

  ~Fixture() { runtime::run(world, node, watch.stop()); }
};

BOOST_FIXTURE_TEST_SUITE(change_watch, Fixture)

BOOST_AUTO_TEST_CASE(a_change_before_the_first_line_of_the_watch_is_told) {
  watch.watch(replica, wake, runtime.now() + seconds(10));
  replica->changed().notify_all();
  world.run_for(seconds(1));
  BOOST_TEST(woken >= 1);
}

BOOST_AUTO_TEST_CASE(each_change_is_told_until_the_waiter_lets_go) {
  watch.watch(replica, wake, runtime.now() + seconds(10));
  world.run_for(seconds(1));
  for (int i = 0; i < 3; ++i) {
    const int before = woken;
    replica->changed().notify_all();
    world.run_for(seconds(1));
    BOOST_TEST(woken == before + 1);
  }
  wake.reset();
  const int before = woken;
  replica->changed().notify_all();
  world.run_for(seconds(1));
  BOOST_TEST(woken == before);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
