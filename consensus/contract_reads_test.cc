// The contract: a read shows everything that was acknowledged before it began.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

const Need reads("linearizable reads", &Capabilities::reads);
const Need leases("reads under a lease", &Capabilities::lease_reads);

// Everyone is asked for reads while leaders are cut off, paused and crashed.
class Readers {
 public:
  Readers(std::uint64_t seed, const GroupOptions& options)
      : random_(seed), group_(random_.next(), options) {}

  void run_for(Duration duration) {
    const Time end = group_.world.now() + duration;
    while (group_.world.now() < end) {
      group_.world.run_for(milliseconds(random_.between(1, 30)));
      write();
      for (const NodeId id : group_.ids()) read(id);
      strike();
    }
  }
  // Cuts the leader off from all others, again and again, and asks it all the while. What its
  // successor acknowledges before the lease is over makes the next read stale.
  void isolate_leaders(int times) {
    for (int i = 0; i < times; ++i) {
      BOOST_REQUIRE(group_.must_elect() != nullptr);
      group_.world.run_for(milliseconds(random_.between(300, 600)));
      if (!group_.leader()) continue;
      const NodeId id = group_.leader()->id();
      for (const NodeId other : group_.ids()) {
        if (other == id) continue;
        group_.world.fabric().block(other, id);
        group_.world.fabric().block(id, other);
      }
      for (int ms = 0; ms < 900; ++ms) {
        group_.world.run_for(milliseconds(1));
        write();
        read(id);
      }
      group_.world.fabric().heal();
    }
  }
  std::size_t served() const { return *served_; }
  std::size_t elections() const { return epochs_.size(); }

 private:
  void write() {
    const auto leader = group_.leader();
    if (!leader) return;
    // What waits at a leader that was cut off must not keep its successor from acknowledging.
    const bool is_new = epochs_.insert(*leader->machine.active).second;
    const bool waits = writing_ && !group_.fates.contains(*writing_);
    if (waits && !is_new && random_.chance(0.9)) return;
    writing_ = fmt::format("w{}", ++written_);
    leader->propose(*writing_, std::nullopt, group_.fates);
  }
  void read(NodeId id) {
    const auto node = group_.node(id);
    if (!node || !random_.chance(0.3)) return;
    boost::asio::co_spawn(group_.world.node(id).executor(),
                          check(node.get(), group_.acknowledged(), served_), boost::asio::detached);
  }
  static Task<void> check(GroupNode* node, LogIndex before, std::shared_ptr<std::size_t> served) {
    const auto answer = co_await node->driver->read_barrier();
    if (!answer) co_return;
    ++*served;
    BOOST_TEST((static_cast<std::int64_t>(node->machine.applied.size()) >= before.value()),
               "a stale read");
  }
  void strike() {
    for (const NodeId id : group_.ids()) {
      if (!group_.world.node(id).is_up() && random_.chance(0.1)) group_.boot(id);
    }
    if (!group_.leader()) return;
    const NodeId id = group_.leader()->id();
    if (random_.chance(0.02)) {
      group_.world.pause(id);
      group_.world.after(milliseconds(random_.between(100, 1500)),
                         [this, id] { group_.world.resume(id); });
    } else if (random_.chance(0.02)) {
      for (const NodeId other : group_.ids()) {
        if (other != id) group_.world.fabric().block(other, id);
        if (other != id && random_.chance(0.5)) group_.world.fabric().block(id, other);
      }
      group_.world.after(milliseconds(random_.between(100, 1500)),
                         [this] { group_.world.fabric().heal(); });
    } else if (random_.chance(0.01)) {
      group_.crash(id);
    }
  }

  Prng random_;
  ContractGroup group_;
  std::optional<std::string> writing_;
  int written_ = 0;
  std::shared_ptr<std::size_t> served_ = std::make_shared<std::size_t>(0);
  std::set<Epoch> epochs_;
};

void check_reads(GroupOptions options) {
  std::size_t served = 0;
  std::size_t elections = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Readers readers(seed, options);
      readers.run_for(seconds(20));
      served += readers.served();
      elections += readers.elections();
    }
  }
  BOOST_TEST(served > 500u);
  BOOST_TEST(elections > 30u);
}

BOOST_AUTO_TEST_SUITE(consensus_contract_reads)

BOOST_DATA_TEST_CASE(a_read_barrier_sees_what_was_acknowledged_before_it, all_modules()) {
  if (!reads.check(sample)) return;
  ContractGroup group(4, group_of(sample));
  const auto result = group.must_commit("x");
  const NodeId id = group.leader_id();
  const auto leader = group.node(id);
  const auto read = run(group.world, id, leader->driver->read_barrier());
  BOOST_TEST(read.has_value());
  BOOST_TEST((leader->driver->applied() >= result.at.index));
  const NodeId follower = group.a_follower();
  // A follower may ask its leader; one that does not says so, and serves nothing stale.
  const auto other = group.node(follower);
  const auto asked = run(group.world, follower, other->driver->read_barrier());
  if (asked) {
    BOOST_TEST((other->driver->applied() >= result.at.index));
  } else {
    BOOST_TEST((asked.error().code == Errc::not_leader));
  }
}

BOOST_DATA_TEST_CASE(no_read_is_stale_while_leaders_come_and_go, all_modules()) {
  if (!reads.check(sample)) return;
  check_reads(group_of(sample));
}

BOOST_DATA_TEST_CASE(no_read_under_a_lease_is_stale_while_clocks_drift, all_modules()) {
  if (!leases.check(sample)) return;
  GroupOptions options = group_of(sample);
  options.tuning.lease_reads = true;
  options.tuning.clock_drift_ppm = 25'000;
  options.world.clock_offset_max = std::chrono::hours(1);
  options.world.clock_drift_max_ppm = 10'000;
  check_reads(options);
}

BOOST_DATA_TEST_CASE(a_lease_is_over_before_the_fastest_clock_elects_another, all_modules()) {
  if (!leases.check(sample)) return;
  GroupOptions options = group_of(sample);
  options.tuning.lease_reads = true;
  options.tuning.clock_drift_ppm = 225'000;
  options.world.clock_drift_max_ppm = 100'000;
  std::size_t elections = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Readers readers(seed, options);
      readers.isolate_leaders(10);
      elections += readers.elections();
    }
  }
  BOOST_TEST(elections > 70u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
