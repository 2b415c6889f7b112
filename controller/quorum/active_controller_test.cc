// The active controller over a log that the tests hold in their hands: who may ask, what is lost
// with the leadership, and when brokers come and go.

#include "controller/quorum/active_controller.h"

#include <boost/test/unit_test.hpp>

#include "controller/quorum/metadata_machine.h"
#include "controller/quorum/testing_image.h"
#include "runtime/simulated/run.h"

namespace qlab::controller {
namespace {

using std::chrono::seconds;

constexpr NodeId node{1};
constexpr NodeId broker_1{1};
constexpr NodeId broker_2{2};

// Commits each proposal at once, or when it is let go; none of another epoch than the present one.
class TestLog final : public consensus::Driver {
 public:
  TestLog(runtime::Runtime& runtime, MetadataMachine& machine)
      : runtime_(runtime), machine_(machine), changed_(runtime) {}

  void lead(Epoch epoch) {
    if (epoch_) machine_.deactivate(*epoch_);
    epoch_ = epoch;
    machine_.activate(epoch);
    changed_.notify_all();
  }
  void let_go() {
    held = false;
    changed_.notify_all();
  }

  Task<consensus::ProposeResult> propose(std::vector<Bytes> bodies,
                                         std::optional<Epoch> expect) override {
    if (takes > Duration{}) co_await runtime::sleep_for(runtime_, takes);
    while (held && epoch_ == expect) co_await changed_.wait();
    consensus::ProposeResult result;
    if (epoch_ != expect) co_return result;  // Nobody knows: it may be in another's log.
    std::vector<consensus::Entry> entries;
    for (Bytes& body : bodies) {
      last_ = last_.next();
      auto kept = std::make_shared<const Bytes>(std::move(body));
      const consensus::LogId id{*epoch_, last_};
      entries.emplace_back(consensus::Entry{id, consensus::EntryKind::data, std::move(kept)});
    }
    machine_.apply(entries);
    result.fate = consensus::Fate::committed;
    result.at = {*epoch_, last_};
    co_return result;
  }
  void start(std::function<void(Error)>) override {}
  Task<void> stop() override { co_return; }
  void receive(NodeId, runtime::LinkEpoch, Bytes) override {}
  void link_up(NodeId, runtime::LinkEpoch) override {}
  void link_down(NodeId, runtime::LinkEpoch) override {}
  Task<Result<void>> read_barrier() override { co_return Result<void>{}; }
  Task<Result<void>> reconfigure(consensus::Config) override { co_return Result<void>{}; }
  Task<Result<void>> transfer(std::optional<NodeId>) override { co_return Result<void>{}; }
  void resign(Epoch) override {}
  consensus::Status status() const override { return {}; }
  LogIndex applied() const override { return last_; }
  const consensus::Config& config() const override { return config_; }
  const consensus::SnapshotMeta& snapshot() const override { return snapshot_; }
  std::uint64_t digest() const override { return 0; }

  bool held = false;
  Duration takes{};  // Each proposal.

 private:
  runtime::Runtime& runtime_;
  MetadataMachine& machine_;
  runtime::Event changed_;
  std::optional<Epoch> epoch_;
  LogIndex last_;
  consensus::Config config_;
  consensus::SnapshotMeta snapshot_;
};

struct Parts {
  Parts(runtime::Runtime& runtime, ControllerOptions options)
      : active(runtime, publisher, options),
        machine(publisher, &active, [](const Error& error) { BOOST_ERROR(error.message()); }),
        log(runtime, machine) {
    active.bind(log);
  }
  metadata::Publisher publisher;
  ActiveController active;
  MetadataMachine machine;
  TestLog log;
};

class Bench {
 public:
  explicit Bench(ControllerOptions options = {}) : world_(1) {
    world_.boot(node, [this, options](runtime::Runtime& runtime) {
      auto parts = std::make_shared<Parts>(runtime, options);
      parts_ = parts.get();
      return parts;
    });
  }

  template <class T>
  T run(Task<T> task) {
    return runtime::run(world_, node, std::move(task));
  }
  template <class T>
  auto begin(Task<T> task) {
    return runtime::begin(world_, node, std::move(task));
  }
  void pass(Duration time) { world_.run_for(time); }
  void lead(std::int64_t epoch) {
    parts_->log.lead(Epoch{epoch});
    pass(std::chrono::milliseconds(1));
  }

  Result<HeartbeatReply> beat(NodeId broker, BrokerEpoch epoch, bool want_shutdown = false) {
    return beat_at(broker, epoch, image()->offset(), want_shutdown);
  }
  Result<HeartbeatReply> beat_at(NodeId broker, BrokerEpoch epoch, LogIndex offset,
                                 bool want_shutdown = false) {
    Heartbeat heartbeat;
    heartbeat.broker = broker;
    heartbeat.epoch = epoch;
    heartbeat.metadata_offset = offset;
    heartbeat.want_shutdown = want_shutdown;
    return run(active().heartbeat(heartbeat));
  }
  BrokerEpoch enroll(NodeId broker) {
    const auto epoch = run(active().register_broker(registration_of(broker.value(), 1)));
    BOOST_REQUIRE(epoch.has_value());
    return *epoch;
  }
  BrokerEpoch bring_up(NodeId broker) {
    const BrokerEpoch epoch = enroll(broker);
    const auto reply = beat(broker, epoch);
    BOOST_REQUIRE((reply.has_value() && !reply->fenced));
    return epoch;
  }
  bool is_fenced(NodeId broker) const { return image()->broker(broker)->fenced; }
  Task<Result<std::vector<TopicOutcome>>> create(std::string name, std::int16_t factor) {
    return active().create_topics(std::vector<NewTopic>(1, topic_of(std::move(name), 1, factor)),
                                  false);
  }

  metadata::ImagePtr image() const { return parts_->publisher.image(); }
  ActiveController& active() { return parts_->active; }
  TestLog& log() { return parts_->log; }

 private:
  runtime::SimulatedWorld world_;
  Parts* parts_ = nullptr;
};

template <class T>
Errc code_of(const Result<T>& result) {
  return result ? Errc{} : result.error().code;
}

BOOST_AUTO_TEST_SUITE(active_controller)

BOOST_AUTO_TEST_CASE(who_does_not_lead_decides_nothing) {
  Bench bench;
  const auto registered = bench.run(bench.active().register_broker(registration_of(1, 1)));
  BOOST_TEST((code_of(registered) == Errc::not_leader));
  BOOST_TEST((code_of(bench.beat(broker_1, BrokerEpoch{0})) == Errc::not_leader));
  BOOST_TEST((code_of(bench.run(bench.create("t", 1))) == Errc::not_leader));
}

BOOST_AUTO_TEST_CASE(a_call_with_another_broker_epoch_is_fenced_and_names_both) {
  Bench bench;
  bench.lead(1);
  const BrokerEpoch epoch = bench.bring_up(broker_1);
  const BrokerEpoch other{epoch.value() + 1};
  const auto beaten = bench.beat(broker_1, other);
  BOOST_REQUIRE((code_of(beaten) == Errc::fenced));
  BOOST_TEST(beaten.error().context ==
             fmt::format("broker 1 is registered with epoch {}, not {}", epoch, other));
  AlterPartition alteration;
  alteration.broker = broker_1;
  alteration.epoch = other;
  BOOST_TEST((code_of(bench.run(bench.active().alter_partition(alteration))) == Errc::fenced));
  const auto ids = bench.run(bench.active().allocate_producer_ids(broker_2, epoch));
  BOOST_TEST((code_of(ids) == Errc::fenced));
}

BOOST_AUTO_TEST_CASE(a_broker_is_unfenced_once_it_has_applied_its_own_registration) {
  Bench bench;
  bench.lead(1);
  const BrokerEpoch epoch = bench.enroll(broker_1);
  const auto early = bench.beat_at(broker_1, epoch, LogIndex{});
  BOOST_TEST((!early->caught_up && early->fenced));
  BOOST_TEST(bench.is_fenced(broker_1));
  const auto later = bench.beat(broker_1, epoch);
  BOOST_TEST((later->caught_up && !later->fenced));
  BOOST_TEST(!bench.is_fenced(broker_1));
}

BOOST_AUTO_TEST_CASE(what_was_decided_and_not_committed_goes_with_the_leadership) {
  Bench bench;
  bench.lead(1);
  bench.bring_up(broker_1);
  bench.log().held = true;
  const auto lost = bench.begin(bench.create("t", 1));
  bench.pass(seconds(1));
  BOOST_TEST(!lost->value.has_value());
  bench.lead(2);
  bench.pass(seconds(1));
  BOOST_REQUIRE(lost->value.has_value());
  BOOST_TEST((code_of(*lost->value) == Errc::unknown_outcome));
  bench.log().let_go();
  BOOST_TEST((bench.image()->topic("t") == nullptr));
  const auto made = bench.run(bench.create("t", 1));
  BOOST_REQUIRE(made.has_value());
  BOOST_TEST((made->at(0).error == wire::KafkaError::none));
  BOOST_TEST((bench.image()->topic("t") != nullptr));
}

using Created = Result<std::vector<TopicOutcome>>;

// A request that comes with the leadership, before anything that the leadership begins.
Task<Created> lead_and_create(TestLog& log, ActiveController& active, Epoch epoch, NewTopic topic) {
  log.lead(epoch);
  std::vector<NewTopic> topics(1, std::move(topic));
  co_return co_await active.create_topics(std::move(topics), false);
}

BOOST_AUTO_TEST_CASE(what_a_creation_has_just_begun_is_not_removed_as_left_over) {
  ControllerOptions options;
  options.records_per_entry = 1;
  Bench bench(options);
  bench.lead(1);
  bench.bring_up(broker_1);
  bench.log().held = true;
  NewTopic topic;
  topic.name = "t";
  topic.partitions = 3;
  topic.replication_factor = 1;
  const auto made = bench.begin(lead_and_create(bench.log(), bench.active(), Epoch{2}, topic));
  bench.pass(seconds(1));
  bench.log().let_go();
  bench.pass(seconds(1));
  BOOST_REQUIRE(made->value.has_value());
  BOOST_REQUIRE(made->value->has_value());
  BOOST_TEST((made->value->value().at(0).error == wire::KafkaError::none));
  BOOST_TEST(bench.image()->topic("t")->partitions.size() == 3u);
}

// How long the creation of so many partitions takes, after a while of none.
Duration time_of_creation(std::int32_t partitions, std::int16_t factor,
                          Duration of_an_entry = Duration{}) {
  Bench bench;
  bench.lead(1);
  bench.bring_up(broker_1);
  bench.bring_up(broker_2);
  bench.log().takes = of_an_entry;
  std::vector<NewTopic> topics(1, topic_of("t", partitions, factor));
  const auto made = bench.begin(bench.active().create_topics(std::move(topics), false));
  Duration time{};
  for (; !made->value.has_value(); time += std::chrono::milliseconds(1)) {
    bench.pass(std::chrono::milliseconds(1));
  }
  BOOST_TEST(made->value->has_value());
  return time;
}

BOOST_AUTO_TEST_CASE(many_new_replicas_come_at_a_rate_and_few_at_once) {
  const auto few = [](Duration time) { return time <= std::chrono::milliseconds(1); };
  BOOST_TEST(few(time_of_creation(999, 1)));  // An entry with their topic.
  BOOST_TEST(few(time_of_creation(400, 2)));
  const auto near = boost::test_tools::tolerance(0.05);
  // What came at once counts as come before, so that the rest takes 60 us each.
  BOOST_TEST(to_millis(time_of_creation(10'999, 1)) == 600., near);
  BOOST_TEST(to_millis(time_of_creation(5'500, 2)) == 600., near);
  // An entry that took long to commit makes the next one larger.
  const Duration slow = std::chrono::milliseconds(50);
  BOOST_TEST(to_millis(time_of_creation(10'999, 1, slow)) == 650.,
             boost::test_tools::tolerance(0.1));
}

BOOST_AUTO_TEST_CASE(a_creation_is_checked_without_waiting) {
  Bench bench;
  bench.lead(1);
  bench.bring_up(broker_1);
  std::vector<NewTopic> topics(1, topic_of("t", 20'000, 1));
  const auto checked = bench.begin(bench.active().create_topics(std::move(topics), true));
  bench.pass(std::chrono::milliseconds(1));
  BOOST_TEST((checked->value.has_value() && checked->value->has_value()));
}

BOOST_AUTO_TEST_CASE(
    a_broker_that_is_silent_is_fenced_and_each_controller_begins_the_sessions_anew) {
  Bench bench;
  bench.lead(1);
  bench.bring_up(broker_1);
  bench.pass(seconds(8));
  BOOST_TEST(!bench.is_fenced(broker_1));
  bench.lead(2);
  bench.pass(seconds(8));
  BOOST_TEST(!bench.is_fenced(broker_1));
  bench.pass(seconds(2));
  BOOST_TEST(bench.is_fenced(broker_1));
}

BOOST_AUTO_TEST_CASE(who_shuts_down_goes_once_the_others_have_heard_of_the_new_leaders) {
  Bench bench;
  bench.lead(1);
  const BrokerEpoch first = bench.bring_up(broker_1);
  const BrokerEpoch second = bench.bring_up(broker_2);
  const auto made = bench.run(bench.active().create_topics(
      std::vector<NewTopic>(1, assigned_topic("t", {{broker_1, broker_2}})), false));
  BOOST_REQUIRE((made.has_value() && made->at(0).error == wire::KafkaError::none));
  const LogIndex before = bench.image()->offset();
  BOOST_TEST(!bench.beat(broker_1, first, true)->may_shut_down);
  const metadata::TopicPtr topic = bench.image()->topic("t");
  BOOST_TEST((topic->partitions[0]->leader == broker_2));
  BOOST_TEST(!bench.beat_at(broker_2, second, before)->fenced);
  BOOST_TEST(!bench.beat(broker_1, first, true)->may_shut_down);
  BOOST_TEST(!bench.beat(broker_2, second)->fenced);
  BOOST_TEST(bench.beat(broker_1, first, true)->may_shut_down);
  BOOST_TEST(bench.is_fenced(broker_1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
