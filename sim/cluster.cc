#include "sim/cluster.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "common/check.h"

namespace qlab::sim {
namespace {

constexpr Duration replicas_every = std::chrono::milliseconds(5);
constexpr Duration refresh_every = std::chrono::milliseconds(50);
constexpr int first_client = 101;

bool same_members(std::vector<NodeId> a, std::vector<NodeId> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

std::string words_of(const metadata::Partition& partition) {
  return fmt::format("leader {} of epoch {}, in sync {}", partition.leader, partition.leader_epoch,
                     fmt::join(partition.isr, "+"));
}

// A topic that the images do not agree on.
std::optional<std::string> difference_of(const metadata::Image& image,
                                         const metadata::Image& expected) {
  std::optional<std::string> words;
  image.topics().for_each([&](const std::string& name, const metadata::TopicPtr& topic) {
    if (expected.topic(topic->id) == nullptr) words = fmt::format("{} is there", name);
  });
  expected.topics().for_each([&](const std::string& name, const metadata::TopicPtr& topic) {
    const metadata::TopicPtr other = image.topic(topic->id);
    if (other == nullptr || other->partitions.size() != topic->partitions.size()) {
      words = fmt::format("{} is not there as a whole", name);
      return;
    }
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const std::string is = words_of(*other->partitions[p]);
      const std::string wanted = words_of(*topic->partitions[p]);
      if (is != wanted) words = fmt::format("{}-{} has {}, and not {}", name, p, is, wanted);
    }
  });
  return words;
}

// What a controller finds half done.
void count_inherited(const metadata::Image& image, ClusterReached& reached) {
  reached.creations_inherited += image.forming().size();
  reached.moves_inherited += image.index().reassigning.total;
  for (const auto& [id, broker] : image.brokers()) {
    const auto led = image.index().led.find(id);
    if (broker.fenced && led != image.index().led.end())
      reached.fencings_inherited += led->second.total;
  }
}

}  // namespace

Cluster::Cluster(runtime::SimulatedWorld& world, ClusterSwarm swarm)
    : world_(world), swarm_(std::move(swarm)), nodes_(swarm_.nodes()) {
  history_.promises = swarm_.promises;
  for (const NodeId id : nodes_) {
    auto config = swarm_.config_of(id);
    CHECK_MSG(config.has_value(), config.error().message());
    configs_.emplace(id, std::move(*config));
    boot(id);
  }
  for (int i = 0; i < swarm_.clients; ++i) {
    const NodeId id{first_client + i};
    const ClientOptions options = client_options(i);
    if (options.is_idempotent) history_.idempotent_clients.insert(static_cast<std::uint64_t>(i));
    world_.boot(id, [this, options](runtime::Runtime& runtime) {
      clients_.push_back(std::make_shared<ClusterClient>(runtime, history_, options));
      return clients_.back();
    });
  }
}

ClientOptions Cluster::client_options(int number) const {
  ClientOptions options;
  options.brokers = swarm_.brokers;
  options.interval = swarm_.operation_interval;
  options.partitions_max = swarm_.partitions_max;
  options.replicas_max = swarm_.replicas_max;
  options.churn_partitions_max = swarm_.churn_partitions_max;
  options.topic_chance = swarm_.topic_chance;
  options.admin_chance = swarm_.admin_chance;
  options.is_idempotent = number < swarm_.idempotent_clients;
  options.has_sessions = number < swarm_.session_clients;
  options.number = number;
  return options;
}

void Cluster::boot(NodeId id) {
  history_.forget_life(id);
  seats_[id] = {};
  world_.boot(id, [this, id](runtime::Runtime&) {
    auto program = std::make_shared<ClusterNode>(world_, configs_.at(id), history_);
    seats_[id].program = program;
    return program;
  });
}

void Cluster::boot_all() {
  for (const NodeId id : nodes_) {
    if (!is_up(id)) boot(id);
  }
}

ClusterNode* Cluster::node(NodeId id) {
  return is_up(id) ? seats_.at(id).program.lock().get() : nullptr;
}

std::optional<NodeId> Cluster::a_controller() {
  for (const auto& [id, seat] : seats_) {
    if (seat.decides && is_up(id)) return id;
  }
  return std::nullopt;
}

void Cluster::take_down_stopped() {
  for (const NodeId id : nodes_) {
    const ClusterNode* program = node(id);
    if (program == nullptr || !program->has_stopped()) continue;
    world_.crash(id, {.lose_unsynced = false, .silent = false});
  }
}

void Cluster::look() {
  const bool at_replicas = world_.now() >= replicas_due_;
  if (at_replicas) replicas_due_ = world_.now() + replicas_every;
  if (at_replicas && world_.now() >= refresh_due_) {
    refresh_due_ = world_.now() + refresh_every;
    for (auto& [id, seat] : seats_) seat.are_replicas_old = true;
  }
  for (auto& [id, seat] : seats_) look_at(id, seat, at_replicas);
}

void Cluster::look_at(NodeId id, Seat& seat, bool at_replicas) {
  const auto program = seat.program.lock();
  if (program == nullptr || !is_up(id)) {
    seat.decides.reset();
    return;
  }
  metadata::ImagePtr image = program->node().image();
  if (image != seat.image) {
    history_.fresh.published.push_back({id, seat.image, image});
    seat.image = std::move(image);
    seat.are_replicas_old = true;
  }
  if (!swarm_.promises.images_share_a_log) {
    metadata::ImagePtr told = program->node().replica_image();
    if (told != seat.told) history_.fresh.told.push_back({id, seat.told, told});
    seat.told = std::move(told);
  }
  const broker::ControlPlane* plane = program->node().control_plane();
  const std::optional<Epoch> decides = plane == nullptr ? std::nullopt : plane->active_epoch();
  if (decides != seat.decides) {
    seat.decides = decides;
    if (decides) {
      history_.fresh.decides.push_back({id, *decides});
      count_inherited(*seat.image, history_.reached);
      history_.reached.moves_inherited += moves_told();
    }
  }
  if (!at_replicas) return;
  if (seat.are_replicas_old) refresh_replicas(*program, seat);
  look_at_replicas(id, seat);
}

// Partitions that are on the move by what brokers were told, where images for clients do not say
// it.
std::size_t Cluster::moves_told() const {
  std::set<std::pair<TopicId, std::size_t>> moves;
  for (const auto& [id, seat] : seats_) {
    if (seat.told == nullptr) continue;
    seat.told->topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
      for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
        if (topic->partitions[p]->is_reassigning()) moves.emplace(topic->id, p);
      }
    });
  }
  return moves.size();
}

void Cluster::refresh_replicas(const ClusterNode& program, Seat& seat) {
  std::vector<Seat::Replica> now;
  auto known = seat.replicas.begin();
  for (auto& entry : program.node().partitions().at_home()) {  // Sorted, as those known are.
    while (known != seat.replicas.end() && known->partition < entry.partition) ++known;
    const bool is_known = known != seat.replicas.end() && known->partition == entry.partition &&
                          known->replica.lock() == entry.replica;
    now.push_back({entry.partition, entry.replica, is_known ? known->led : no_leader_epoch});
  }
  seat.replicas = std::move(now);
  seat.are_replicas_old = false;
}

void Cluster::look_at_replicas(NodeId id, Seat& seat) {
  for (Seat::Replica& entry : seat.replicas) {
    const auto replica = entry.replica.lock();
    if (replica == nullptr || !replica->is_leader()) continue;
    const replication::PartitionState& state = replica->state();
    if (state.leader_epoch == entry.led) continue;
    entry.led = state.leader_epoch;
    LeaderEpoch& newest =
        newest_.try_emplace({state.topic_id, entry.partition.partition}, no_leader_epoch)
            .first->second;
    newest = std::max(newest, entry.led);
    history_.fresh.led.push_back({id, entry.partition, state.topic_id, entry.led,
                                  replica->log().end(), entry.led == newest});
  }
}

std::optional<std::string> Cluster::what_is_missing() {
  metadata::ImagePtr newest;
  for (const NodeId id : nodes_) {
    const ClusterNode* program = node(id);
    if (program == nullptr) return fmt::format("node {} is down", id);
    if (!program->is_ready()) return fmt::format("node {} is not ready", id);
    const auto image = program->node().image();
    if (newest == nullptr || newest->offset() < image->offset()) newest = image;
  }
  for (const NodeId id : swarm_.brokers) {
    if (!newest->is_active(id)) return fmt::format("broker {} is not active", id);
  }
  if (!newest->forming().empty()) return "a topic is half made";
  for (const NodeId id : nodes_) {
    if (auto missing = missing_of(id, *newest)) return missing;
  }
  return who_is_behind();
}

// Who is in sync may hear a moment later what is committed.
std::optional<std::string> Cluster::who_is_behind() {
  std::map<TopicPartition, std::pair<NodeId, Offset>> ends;
  for (const NodeId id : swarm_.brokers) {
    for (const auto& entry : node(id)->node().partitions().at_home()) {
      const Offset end = entry.replica->log().end();
      const auto [first, is_first] = ends.try_emplace(entry.partition, id, end);
      const auto& [other, other_end] = first->second;
      if (other_end == end) continue;
      return fmt::format("{} ends at {} on node {} and at {} on node {}", entry.partition.name(),
                         other_end, other, end, id);
    }
  }
  return std::nullopt;
}

std::optional<std::string> Cluster::missing_of(NodeId id, const metadata::Image& expected) {
  const broker::Node& program = node(id)->node();
  const bool shares_a_log = swarm_.promises.images_share_a_log;
  if (shares_a_log ? digest_of(*program.image()) != digest_of(expected)
                   : digest_of_topics(*program.image()) != digest_of_topics(expected)) {
    return fmt::format("node {} has the image at {}, and not that at {}: {}", id,
                       program.image()->offset(), expected.offset(),
                       difference_of(*program.image(), expected).value_or("topics are the same"));
  }
  std::map<TopicPartition, TopicId> wanted;
  std::optional<std::string> missing;
  expected.topics().for_each([&](const std::string& name, const metadata::TopicPtr& topic) {
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const metadata::Partition& partition = *topic->partitions[p];
      const TopicPartition key{name, PartitionIndex{static_cast<std::int32_t>(p)}};
      if (partition.is_reassigning()) missing = fmt::format("{} is being moved", key.name());
      if (partition.leader == no_node) missing = fmt::format("{} has no leader", key.name());
      if (!same_members(partition.isr, partition.replicas)) {
        missing = fmt::format("{} has {} of {} replicas in sync", key.name(), partition.isr.size(),
                              partition.replicas.size());
      }
      const auto& replicas = partition.replicas;
      if (std::find(replicas.begin(), replicas.end(), id) != replicas.end()) {
        wanted.emplace(key, topic->id);
      }
    }
  });
  if (missing) return missing;
  std::map<TopicPartition, TopicId> has;
  for (const auto& entry : program.partitions().at_home()) {
    has.emplace(entry.partition, entry.replica->state().topic_id);
  }
  for (const auto& [partition, topic] : has) {
    const auto at = wanted.find(partition);
    if (at != wanted.end() && at->second == topic) continue;
    return fmt::format("node {} has a replica of {} that is not its own", id, partition.name());
  }
  if (has == wanted) return std::nullopt;
  return fmt::format("node {} has {} of its {} replicas", id, has.size(), wanted.size());
}

}  // namespace qlab::sim
