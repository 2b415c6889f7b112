#include "sim/cluster_trial.h"

#include <algorithm>

#include "common/check.h"
#include "sim/cluster_audit.h"
#include "sim/cluster_end.h"
#include "sim/cluster_invariants.h"
#include "sim/cluster_nemesis.h"

namespace qlab::sim {
namespace {

using std::chrono::hours;

void take_counts(ClusterVerdict& verdict, Cluster& cluster, const ClusterNemesis& nemesis) {
  const ClusterHistory& history = cluster.history();
  verdict.digest = cluster.world().digest();
  verdict.events = cluster.world().events();
  verdict.controllers = history.controllers.size();
  verdict.leaderships = history.leaders.size();
  verdict.crashes = nemesis.crashes();
  verdict.controller_crashes = nemesis.controller_crashes();
  verdict.operations = history.operations;
  verdict.answered = history.answered;
  verdict.topics_made = history.topics_made;
  verdict.topics_deleted = history.topics_deleted;
  verdict.acknowledged = history.records_acknowledged;
  verdict.read = history.records_read;
  verdict.reached = history.reached;
}

// One trial at the time when it is healed: the stages to a whole cluster that serves everything.
class Recovery {
 public:
  explicit Recovery(Cluster& cluster) : cluster_(cluster), client_(*cluster.clients().front()) {}

  // Goes on as far as it can. True once all stages are behind.
  bool advance() {
    cluster_.take_down_stopped();
    cluster_.boot_all();  // Also one whose disk has just failed for the last time.
    switch (stage_) {
      case Stage::rest:
        if (!all_rest()) return false;
        client_.begin_reading_back();
        stage_ = Stage::read_back;
        return false;
      case Stage::read_back:
        if (client_.loss())
          finding_ = fmt::format("acknowledged_records_are_read_back: {}", *client_.loss());
        if (!client_.has_read_back()) return false;
        stage_ = Stage::whole;
        return false;
      case Stage::whole:
        missing_ = cluster_.what_is_missing();
        if (!missing_) missing_ = what_is_not_told_yet();
        if (missing_) return false;
        finding_ = deleted_topic_that_is_there();
        if (!finding_ && shares_a_log()) {
          finding_ = judge_end(cluster_.history(), final_image());
        }
        audit_ = begin_audit(cluster_);
        stage_ = Stage::audit;
        return false;
      case Stage::audit:
        finding_ = finding_ ? finding_ : audit_->finding();
        return audit_->is_done();
    }
    return false;
  }
  const std::optional<std::string>& finding() const { return finding_; }
  std::string words() const {
    switch (stage_) {
      case Stage::rest:
        return "a client's last operation does not end";
      case Stage::read_back:
        return fmt::format("reading back: {}", client_.trouble());
      case Stage::whole:
        return missing_.value_or("");
      case Stage::audit:
        return "the logs of the replicas are not read";
    }
    return "";
  }

 private:
  enum class Stage : std::uint8_t { rest, read_back, whole, audit };

  bool all_rest() const {
    const auto& clients = cluster_.clients();
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->is_resting(); });
  }
  bool shares_a_log() const { return cluster_.history().promises.images_share_a_log; }
  // All nodes have the same.
  const metadata::Image& final_image() const {
    return *cluster_.node(cluster_.nodes().front())->node().image();
  }
  // Where nodes do not replay one log, an image does not say which moves are under way, and configs
  // come on a way of their own, to those who have the topic.
  Finding what_is_not_told_yet() const {
    if (shares_a_log()) return std::nullopt;
    for (const NodeId id : cluster_.nodes()) {
      const metadata::ImagePtr image = cluster_.node(id)->node().image();
      if (auto finding = judge_end(cluster_.history(), *image, id)) {
        return fmt::format("node {}: {}", id, *finding);
      }
    }
    return std::nullopt;
  }
  std::optional<std::string> deleted_topic_that_is_there() const {
    for (const TopicId& id : cluster_.history().deleted) {
      if (final_image().any_topic(id) == nullptr) continue;
      return fmt::format("deleted_topics_stay_deleted: topic {} was deleted, and is there",
                         id.to_string());
    }
    return std::nullopt;
  }

  Cluster& cluster_;
  ClusterClient& client_;
  Stage stage_ = Stage::rest;
  std::optional<std::string> missing_;
  std::optional<std::string> finding_;
  std::shared_ptr<ClusterAudit> audit_;
};

void recover(Cluster& cluster, ClusterVerdict& verdict, Duration healing_max) {
  for (const auto& client : cluster.clients()) client->rest();
  Recovery recovery(cluster);
  const Duration look_every = std::chrono::milliseconds(20);
  const Time end = cluster.world().now() + healing_max;
  bool is_done = false;
  while (!is_done && !verdict.finding && cluster.world().now() < end) {
    is_done = recovery.advance();
    if (recovery.finding()) verdict.finding = recovery.finding();
    if (!is_done) cluster.world().run_for(look_every);
  }
  if (is_done || verdict.finding) return;
  verdict.finding = fmt::format("the_cluster_recovers: not within {:.0f} ms: {}",
                                to_millis(healing_max), recovery.words());
}

}  // namespace

std::optional<std::string> ClusterTrialOptions::validate() const {
  if (const auto found = find_cluster_plane(plane, replicator); !found)
    return found.error().context;
  for (const auto& [name, value] :
       {std::pair{"faults-for", faults_for}, std::pair{"healing-max", healing_max}}) {
    if (value > Duration{} && value <= hours(1)) continue;
    return fmt::format("{}={} ms is not in (0, 3600000]", name, to_millis(value));
  }
  return std::nullopt;
}

ClusterVerdict run_cluster_trial(std::uint64_t seed, const ClusterTrialOptions& options) {
  Prng random(seed);
  const auto plane = find_cluster_plane(options.plane, options.replicator);
  CHECK(plane.has_value());
  ClusterSwarm swarm = draw_cluster_swarm(random, *plane);
  swarm.world.trace_lines_max = options.trace_lines;
  swarm.world.trace_file = options.trace_file;
  runtime::SimulatedWorld world(random.next(), swarm.world);
  ClusterVerdict verdict;
  verdict.seed = seed;
  verdict.swarm = swarm.words();
  const Time begun = world.now();
  Cluster cluster(world, std::move(swarm));
  ClusterNemesis nemesis(cluster);
  world.observe([&] {
    cluster.look();
    if (!verdict.finding) verdict.finding = judge(cluster.history());
  });

  nemesis.begin();
  const auto found = [&] { return verdict.finding.has_value(); };
  // The end of the time is no error here.
  static_cast<void>(world.run_until(found, options.faults_for));
  if (!found()) {
    nemesis.heal();
    recover(cluster, verdict, options.healing_max);
  }
  verdict.virtual_time = world.now() - begun;
  take_counts(verdict, cluster, nemesis);
  if (verdict.finding) verdict.recent_trace = world.recent_trace();
  return verdict;
}

ClusterVerdict run_cluster_twice(std::uint64_t seed, const ClusterTrialOptions& options) {
  const ClusterVerdict first = run_cluster_trial(seed, options);
  ClusterVerdict second = run_cluster_trial(seed, options);
  if (first.digest == second.digest && first.events == second.events &&
      first.finding == second.finding) {
    return second;
  }
  second.finding =
      fmt::format("runs_are_deterministic: {} events with digest {:x}, and then {} with {:x}",
                  first.events, first.digest, second.events, second.digest);
  return second;
}

std::string ClusterVerdict::to_json() const {
  std::string words;
  for (const char c : finding.value_or("")) {
    if (c == '"' || c == '\\') words += '\\';
    words += c;
  }
  return fmt::format(
      "{{\"seed\":{},\"ok\":{},\"finding\":\"{}\",\"digest\":\"{:016x}\",\"events\":{},"
      "\"virtual_ms\":{:.0f},\"controllers\":{},\"leaderships\":{},\"crashes\":{},"
      "\"controller_crashes\":{},\"operations\":{},\"answered\":{},\"topics_made\":{},"
      "\"topics_deleted\":{},\"acknowledged\":{},\"read\":{},{},\"swarm\":\"{}\"}}",
      seed, !finding, words, digest, events, to_millis(virtual_time), controllers, leaderships,
      crashes, controller_crashes, operations, answered, topics_made, topics_deleted, acknowledged,
      read, reached.to_json(), swarm);
}

}  // namespace qlab::sim
