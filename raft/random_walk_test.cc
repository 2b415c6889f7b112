// Groups that are driven at random, and what must hold after every step whatever happens.
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/quorum.h"
#include "consensus/step_world.h"
#include "raft/model/raft_model.h"
#include "raft/raft.h"

namespace qlab::raft {
namespace {

using consensus::Config;
using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::MemberRole;
using consensus::QuorumUse;
using consensus::RequestId;
using consensus::StepWorld;

// What the walks of a test have seen, so that it can tell whether they go where it matters.
struct Sights {
  std::map<Fate, std::size_t> fates;
  std::map<std::string_view, std::size_t> traces;
  std::size_t commits = 0;
  std::size_t reads = 0;
  std::size_t changes = 0;
  std::size_t joint = 0;
  std::size_t transfers = 0;
  std::size_t installed = 0;
};

// One group under random inputs from one seed: nodes 1 to 7, of which some are members at first.
class Walk {
 public:
  Walk(std::uint64_t seed, bool lossy, Sights& sights)
      : random_(seed), lossy_(lossy), sights_(sights) {
    options_.seed = random_.next();
    const int voters = random_.chance(0.5) ? 3 : 5;
    if (random_.chance(0.4)) witness_ = NodeId{voters};
    for (int i = 1; i <= voters + 1; ++i) {
      options_.config.members.push_back({NodeId{i}, role_of(NodeId{i}, i <= voters)});
    }
    if (voters == 5 && random_.chance(0.3)) {
      options_.config.election_quorum = 4;
      options_.config.commit_quorum = 2;
    }
    nodes_ = voters + 2;
    tune();
    world_ = std::make_unique<StepWorld>(
        consensus::model::watch(make_raft, model::make_raft_model(),
                                [](const auto& refusal) { BOOST_ERROR(refusal.words()); }),
        options_);
    world_->observe([this](NodeId node, const Input& input, const std::vector<Effect>& effects) {
      check_step(node, input, effects);
    });
    for (int i = 1; i <= nodes_; ++i) world_->add(NodeId{i});
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) act();
    heal();
    check_fates();
    sights_.commits += committed_.size();
    for (const auto& [request, fate] : fates_) ++sights_.fates[fate];
  }

 private:
  MemberRole role_of(NodeId id, bool counts) const {
    if (!counts) return MemberRole::observer;
    return id == witness_ ? MemberRole::witness : MemberRole::voter;
  }

  void tune() {
    consensus::Tuning& tuning = options_.tuning;
    tuning.pre_vote = random_.chance(0.7);
    tuning.check_quorum = random_.chance(0.7);
    tuning.link_down_is_suspicion = random_.chance(0.3);
    tuning.lease_reads = random_.chance(0.5);
    tuning.forward_proposals = random_.chance(0.5);
    tuning.inflight_messages_max = 1 + random_.below(4);
    tuning.inflight_bytes_max = 1 + random_.below(40);
    tuning.batch_bytes_max = random_.below(40);
    tuning.uncommitted_bytes_max = 40;
    tuning.snapshot_chunk_bytes = 1 + random_.below(8);
  }

  NodeId any_node() {
    return NodeId{static_cast<std::int32_t>(1 + random_.below(static_cast<std::uint64_t>(nodes_)))};
  }

  void act() {
    const NodeId a = any_node();
    const NodeId b = any_node();
    const double what = random_.unit();
    if (!world_->is_up(a)) {
      if (random_.chance(0.2)) world_->restart(a);
    } else if (what < 0.005) {
      world_->crash(a);
    } else if (what < 0.015 && a != b) {
      world_->disconnect(a, b);
    } else if (what < 0.04 && a != b) {
      world_->connect(a, b);
    } else if (what < 0.07) {
      world_->advance(std::chrono::milliseconds(random_.below(300)));
    } else if (what < 0.075) {
      world_->pause(std::chrono::milliseconds(random_.below(2000)));
    } else if (what < 0.19) {
      propose(a);
    } else if (what < 0.22) {
      world_->step(a, in::Read{RequestId{++requests_}});
    } else if (what < 0.224) {
      world_->step(a, in::Resign{world_->nodes().at(a).module->status().epoch});
    } else if (what < 0.228) {
      transfer(leader_or(a), b);
    } else if (what < 0.24) {
      reconfigure(leader_or(a));
    } else if (what < 0.25) {
      world_->take_snapshot(a, random_.below(5));
    } else if (what < 0.5) {
      world_->write(a, 1 + random_.below(3));
    } else if (what < 0.51 && lossy_) {
      world_->drop(a, b);
    } else {
      for (int tries = 0; tries < 20 && !world_->deliver(any_node(), any_node()); ++tries) continue;
    }
  }

  void propose(NodeId node) {
    in::Propose propose{RequestId{++requests_}, {}, std::nullopt};
    const std::string words = fmt::format("r{}", requests_);
    const ByteView body = as_view(words);
    for (std::uint64_t i = 0; i <= random_.below(2); ++i) {
      propose.bodies.push_back(std::make_shared<const Bytes>(body.begin(), body.end()));
    }
    open_[RequestId{requests_}] = propose.bodies.size();
    world_->step(node, propose);
  }

  // Mostly whoever can do something about a request.
  NodeId leader_or(NodeId any) {
    for (const auto& [id, node] : world_->nodes()) {
      if (node.module != nullptr && node.active && random_.chance(0.9)) return id;
    }
    return any;
  }

  void transfer(NodeId a, NodeId b) {
    transfers_.insert(RequestId{++requests_});
    world_->step(a, in::Transfer{RequestId{requests_}, random_.chance(0.3) ? no_node : b});
  }

  // Most targets are one step away from what the node believes, some are anything.
  void reconfigure(NodeId node) {
    Config target = believed_.contains(node) ? believed_.at(node) : options_.config;
    target.outgoing.clear();
    const bool anything = random_.chance(0.3);
    if (anything) target.members.clear();
    for (int i = 1; i <= nodes_; ++i) {
      if (!anything && !random_.chance(0.15)) continue;
      std::erase_if(target.members, [&](const auto& member) { return member.id == NodeId{i}; });
      if (random_.chance(0.3)) continue;
      target.members.push_back({NodeId{i}, role_of(NodeId{i}, random_.chance(0.8))});
    }
    std::sort(target.members.begin(), target.members.end());
    if (random_.chance(0.2)) {
      const bool custom = target.election_quorum == 0;
      target.election_quorum = custom ? 4 : 0;
      target.commit_quorum = custom ? 2 : 0;
    }
    changes_[RequestId{++requests_}] = target;
    world_->step(node, in::Reconfigure{RequestId{requests_}, target});
  }

  void check_step(NodeId node, const Input& input, const std::vector<Effect>& effects) {
    if (const auto* read = std::get_if<in::Read>(&input)) reads_[read->request] = known_commit();
    for (const Effect& effect : effects) {
      if (const auto* trace = std::get_if<out::Trace>(&effect)) ++sights_.traces[trace->action];
      if (const auto* active = std::get_if<out::ConfigActive>(&effect)) {
        believed_[node] = active->config;
        sights_.joint += active->config.outgoing.empty() ? 0 : 1;
      }
      if (std::holds_alternative<out::InstallSnapshot>(effect)) ++sights_.installed;
      if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) check_leader(*known);
      if (const auto* commit = std::get_if<out::Commit>(&effect)) {
        check_commit(node, *commit, effects);
      }
      if (const auto* outcome = std::get_if<out::Outcome>(&effect)) check_outcome(*outcome);
      if (const auto* ready = std::get_if<out::ReadReady>(&effect)) {
        ++sights_.reads;
        BOOST_TEST((ready->wait_applied >= reads_.at(ready->request)));  // No stale read.
      }
    }
  }

  void check_outcome(const out::Outcome& outcome) {
    if (transfers_.contains(outcome.request)) {
      sights_.transfers += outcome.fate == Fate::committed ? 1 : 0;
    } else {
      BOOST_TEST(!fates_.contains(outcome.request));  // Told once.
      fates_[outcome.request] = outcome.fate;
      ids_[outcome.request] = outcome.at;
    }
  }

  // Election safety: at most one leader in an epoch (Raft figure 3).
  void check_leader(const out::LeaderKnown& known) {
    if (!known.leader) return;
    const auto [at, added] = leaders_.try_emplace(known.epoch, *known.leader);
    BOOST_TEST((at->second == *known.leader));
    BOOST_TEST((*known.leader != witness_));
  }

  // State machine safety: nobody commits another entry at an index. And what the first one commits
  // is on the disks of a quorum, and on one of a full replica.
  void check_commit(NodeId node, const out::Commit& commit, const std::vector<Effect>& effects) {
    const auto& log = world_->nodes().at(node).log;
    std::map<LogIndex, Entry> entries;
    for (const Entry& entry : log.read(log.first(), SIZE_MAX)) entries[entry.id.index] = entry;
    for (const Effect& effect : effects) {
      if (std::holds_alternative<out::Commit>(effect)) break;
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) {
        entries.erase(entries.lower_bound(cut->from), entries.end());
      }
      if (const auto* more = std::get_if<out::Append>(&effect)) {
        for (const Entry& entry : more->entries) entries[entry.id.index] = entry;
      }
    }
    for (LogIndex index = log.first(); index <= commit.up_to; index = index.next()) {
      const auto entry = entries.find(index);
      BOOST_REQUIRE((entry != entries.end()));
      if (index > known_commit()) {
        BOOST_REQUIRE((index == known_commit().next()));
        check_durable(config_of(node, entries), entry->second);
        committed_.push_back(entry->second);
        continue;
      }
      const Entry& known = committed_[static_cast<std::size_t>(index.value() - 1)];
      BOOST_TEST((entry->second.id == known.id));
      BOOST_TEST((node == witness_ || *entry->second.body == *known.body));
    }
  }

  // The last one in its log.
  Config config_of(NodeId node, const std::map<LogIndex, Entry>& entries) const {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->second.kind != EntryKind::config) continue;
      return consensus::decode_config(*entry->second.body).value();
    }
    const auto& image = world_->nodes().at(node).log.snapshot();
    return image.last.index > LogIndex{0} ? image.config : options_.config;
  }

  void check_durable(const Config& config, const Entry& entry) {
    std::size_t full = 0;
    const bool stored = consensus::is_quorum(config, QuorumUse::commit, [&](NodeId id) {
      const auto& disk = world_->nodes().at(id).disk_log;
      const bool has =
          disk.snapshot().last >= entry.id || disk.epoch_of(entry.id.index) == entry.id.epoch;
      full += has && id != witness_ ? 1 : 0;
      return has;
    });
    BOOST_TEST(stored);
    BOOST_TEST(full > 0u);
  }

  LogIndex known_commit() const { return LogIndex{static_cast<std::int64_t>(committed_.size())}; }

  // Liveness: with all up and connected, a leader commits, and every member has all of it.
  void heal() {
    for (int i = 1; i <= nodes_; ++i) {
      if (!world_->is_up(NodeId{i})) world_->restart(NodeId{i});
    }
    for (int i = 1; i <= nodes_; ++i) {
      for (int j = 1; j < i; ++j) world_->connect(NodeId{i}, NodeId{j});
    }
    world_->advance(std::chrono::seconds(60), true);
    const std::size_t before = committed_.size();
    for (const auto& [id, node] : world_->nodes()) {
      if (node.active) propose(id);
    }
    BOOST_TEST(world_->settle());
    BOOST_TEST(committed_.size() > before, describe_group());
    for (const auto& [id, node] : world_->nodes()) {
      BOOST_TEST((node.commit == known_commit()), "node " << id);
      BOOST_TEST((node.disk_log.last().index == known_commit()));
      BOOST_TEST(node.module->status().epoch.value() > 0);
    }
  }

  std::string describe_group() const {
    std::string text = fmt::format("{} committed\n", committed_.size());
    for (const auto& [id, node] : world_->nodes()) {
      const auto status = node.module->status();
      text += fmt::format("{} {} epoch={} commit={} last={} first={}", id, status.role,
                          status.epoch, status.commit, status.last.index, node.log.first());
      const auto entries = node.log.read(node.log.first(), SIZE_MAX);
      std::map<LogIndex, Entry> by_index;
      for (const Entry& entry : entries) by_index[entry.id.index] = entry;
      const Config config = config_of(id, by_index);
      text +=
          fmt::format(" elect={} commit={} members", config.election_quorum, config.commit_quorum);
      for (const auto& member : config.members) {
        text += fmt::format(" {}/{}", member.id, static_cast<int>(member.role));
      }
      text += config.outgoing.empty() ? " outgoing" : " from";
      for (const auto& member : config.outgoing) {
        text += fmt::format(" {}/{}", member.id, static_cast<int>(member.role));
      }
      for (const auto& peer : status.peers) {
        text += fmt::format("; {} {} {}", peer.id, peer.phase, peer.match);
      }
      text += "\n";
    }
    return text;
  }

  // What a proposal's maker was told is what happened.
  void check_fates() {
    std::map<std::string, std::size_t> copies;
    for (const Entry& entry : committed_) ++copies[std::string(as_text(*entry.body))];
    for (const auto& [request, fate] : fates_) {
      const auto at = static_cast<std::size_t>(ids_.at(request).index.value() - 1);
      if (const auto change = changes_.find(request); change != changes_.end()) {
        if (fate != Fate::committed || ids_.at(request).index == LogIndex{0}) continue;
        if (committed_.at(at).kind != EntryKind::config) continue;  // An image's, or no change.
        ++sights_.changes;
        BOOST_TEST((consensus::decode_config(*committed_.at(at).body).value() == change->second));
      }
      const auto asked = open_.find(request);
      if (asked == open_.end()) continue;  // A read.
      const std::size_t found = copies[fmt::format("r{}", request)];
      if (fate == Fate::committed) {
        BOOST_TEST(found == asked->second);
        BOOST_TEST((committed_.at(at).id == ids_.at(request)));
      } else if (fate != Fate::unknown) {
        BOOST_TEST(found == 0u);
      }
    }
  }

  Prng random_;
  bool lossy_;
  Sights& sights_;
  int nodes_ = 0;
  NodeId witness_ = no_node;  // Is one whenever it counts.
  StepWorld::Options options_;
  std::unique_ptr<StepWorld> world_;
  std::uint64_t requests_ = 0;
  std::map<Epoch, NodeId> leaders_;
  std::map<NodeId, Config> believed_;
  std::vector<Entry> committed_;
  std::map<RequestId, std::size_t> open_;
  std::map<RequestId, Config> changes_;
  std::set<RequestId> transfers_;
  std::map<RequestId, LogIndex> reads_;  // What was committed when the read came.
  std::map<RequestId, Fate> fates_;
  std::map<RequestId, LogId> ids_;
};

void walk_all(bool lossy) {
  Sights seen;
  // QLAB_SEEDS=first:last, to see one of them again, or many.
  std::uint64_t first = 1;
  std::uint64_t last = 200;
  if (const char* asked = std::getenv("QLAB_SEEDS")) {
    char* colon = nullptr;
    first = std::strtoull(asked, &colon, 10);
    last = *colon == ':' ? std::strtoull(colon + 1, nullptr, 10) : first;
  }
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Walk walk(seed, lossy, seen);
      walk.run(3000);
    }
  }
  if (last - first < 199) return;
  // The walks go where it matters.
  for (const auto& [action, times] : seen.traces) BOOST_TEST_MESSAGE(action << " " << times);
  BOOST_TEST(seen.commits > 1000u);
  BOOST_TEST(seen.reads > 500u);
  BOOST_TEST(seen.changes > 20u);
  BOOST_TEST(seen.joint > 20u);
  BOOST_TEST(seen.transfers > 10u);
  BOOST_TEST(seen.installed > 20u);
  BOOST_TEST(seen.fates[Fate::superseded] > 1u);
  BOOST_TEST(seen.fates[Fate::unknown] > 10u);
}

BOOST_AUTO_TEST_SUITE(raft_random_walks)

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_over_links_that_break) {
  walk_all(false);
}

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_when_single_messages_are_lost) {
  walk_all(true);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
