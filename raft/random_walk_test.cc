// Groups that are driven at random, and what must hold after every step whatever happens.
#include <boost/test/unit_test.hpp>

#include "consensus/step_world.h"
#include "raft/raft.h"

namespace qlab::raft {
namespace {

using consensus::Effect;
using consensus::Entry;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::RequestId;
using consensus::StepWorld;

// One group under random inputs from one seed.
class Walk {
 public:
  explicit Walk(std::uint64_t seed, bool lossy) : random_(seed), lossy_(lossy) {
    options_.seed = random_.next();
    voters_ = random_.chance(0.5) ? 3 : 5;
    for (int i = 1; i <= voters_ + 1; ++i) {
      const auto role =
          i <= voters_ ? consensus::MemberRole::voter : consensus::MemberRole::observer;
      options_.config.members.push_back({NodeId{i}, role});
    }
    options_.tuning.pre_vote = random_.chance(0.7);
    options_.tuning.check_quorum = random_.chance(0.7);
    options_.tuning.link_down_is_suspicion = random_.chance(0.5);
    options_.tuning.inflight_messages_max = 1 + random_.below(4);
    options_.tuning.batch_bytes_max = random_.below(40);
    options_.tuning.uncommitted_bytes_max = 40;
    world_ = std::make_unique<StepWorld>(make_raft, options_);
    world_->observe([this](NodeId node, const Input& input, const std::vector<Effect>& effects) {
      check_step(node, input, effects);
    });
    for (const auto& member : options_.config.members) world_->add(member.id);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) act();
    heal();
    check_fates();
  }
  std::size_t commits() const { return committed_.size(); }
  std::size_t count(Fate fate) const {
    std::size_t n = 0;
    for (const auto& [request, known] : fates_) n += known == fate ? 1 : 0;
    return n;
  }

 private:
  NodeId any_node() {
    return NodeId{
        static_cast<std::int32_t>(1 + random_.below(static_cast<std::uint64_t>(voters_) + 1))};
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
    } else if (what < 0.2) {
      propose(a);
    } else if (what < 0.22) {
      world_->step(a, in::Read{RequestId{++requests_}});
    } else if (what < 0.225) {
      world_->step(a, in::Resign{world_->nodes().at(a).module->status().epoch});
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
    open_[RequestId{requests_}] = {node, propose.bodies.size()};
    world_->step(node, propose);
  }

  void check_step(NodeId node, const Input& input, const std::vector<Effect>& effects) {
    if (const auto* read = std::get_if<in::Read>(&input)) reads_[read->request] = known_commit();
    for (const Effect& effect : effects) {
      if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) check_leader(*known);
      if (const auto* commit = std::get_if<out::Commit>(&effect))
        check_commit(node, *commit, effects);
      if (const auto* outcome = std::get_if<out::Outcome>(&effect)) {
        fates_[outcome->request] = outcome->fate;
        ids_[outcome->request] = outcome->at;
      }
      if (const auto* ready = std::get_if<out::ReadReady>(&effect)) {
        BOOST_TEST((ready->wait_applied >= reads_.at(ready->request)));  // No stale read.
      }
    }
  }

  // Election safety: at most one leader in an epoch (Raft figure 3).
  void check_leader(const out::LeaderKnown& known) {
    if (!known.leader) return;
    const auto [at, added] = leaders_.try_emplace(known.epoch, *known.leader);
    BOOST_TEST((at->second == *known.leader));
  }

  // State machine safety: nobody commits another entry at an index. And what the first one commits
  // is on the disks of a majority.
  void check_commit(NodeId node, const out::Commit& commit, const std::vector<Effect>& effects) {
    std::vector<Entry> entries = world_->nodes().at(node).log.read(LogIndex{1}, SIZE_MAX);
    for (const Effect& effect : effects) {
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) {
        entries.resize(static_cast<std::size_t>(cut->from.value() - 1));
      }
      if (const auto* more = std::get_if<out::Append>(&effect)) {
        entries.insert(entries.end(), more->entries.begin(), more->entries.end());
      }
    }
    const auto up_to = static_cast<std::size_t>(commit.up_to.value());
    BOOST_REQUIRE(up_to <= entries.size());
    for (std::size_t i = 0; i < up_to; ++i) {
      if (i < committed_.size()) {
        BOOST_TEST((entries[i].id == committed_[i].id && *entries[i].body == *committed_[i].body));
        continue;
      }
      committed_.push_back(entries[i]);
    }
    std::size_t copies = 0;
    for (const auto& [id, other] : world_->nodes()) {
      if (id.value() > voters_) continue;
      copies += other.disk_log.epoch_of(commit.up_to) == entries[up_to - 1].id.epoch ? 1 : 0;
    }
    BOOST_TEST(copies >= majority(static_cast<std::size_t>(voters_)));
  }

  LogIndex known_commit() const { return LogIndex{static_cast<std::int64_t>(committed_.size())}; }

  // Liveness: with all up and connected, a leader commits.
  void heal() {
    for (const auto& member : options_.config.members) {
      if (!world_->is_up(member.id)) world_->restart(member.id);
      for (const auto& other : options_.config.members) {
        if (member.id != other.id) world_->connect(member.id, other.id);
      }
    }
    world_->advance(std::chrono::seconds(60), true);
    const std::size_t before = committed_.size();
    for (const auto& [id, node] : world_->nodes()) {
      if (node.active) propose(id);
    }
    BOOST_TEST(world_->settle());
    BOOST_TEST(committed_.size() > before);
    for (const auto& [id, node] : world_->nodes()) {
      BOOST_TEST((node.commit == known_commit()));
      BOOST_TEST((node.disk_log.last().index == known_commit()));
    }
  }

  // What a proposal's maker was told is what happened.
  void check_fates() {
    std::map<std::string, std::size_t> copies;
    for (const Entry& entry : committed_) ++copies[std::string(as_text(*entry.body))];
    for (const auto& [request, fate] : fates_) {
      const auto asked = open_.find(request);
      if (asked == open_.end()) continue;  // A read.
      const std::size_t found = copies[fmt::format("r{}", request)];
      if (fate == Fate::committed) {
        BOOST_TEST(found == asked->second.second);
        BOOST_TEST(
            (committed_.at(static_cast<std::size_t>(ids_.at(request).index.value() - 1)).id ==
             ids_.at(request)));
      } else if (fate != Fate::unknown) {
        BOOST_TEST(found == 0u);
      }
    }
  }

  Prng random_;
  bool lossy_;
  int voters_ = 0;
  StepWorld::Options options_;
  std::unique_ptr<StepWorld> world_;
  std::uint64_t requests_ = 0;
  std::map<Epoch, NodeId> leaders_;
  std::vector<Entry> committed_;
  std::map<RequestId, std::pair<NodeId, std::size_t>> open_;
  std::map<RequestId, LogIndex> reads_;  // What was committed when the read came.
  std::map<RequestId, Fate> fates_;
  std::map<RequestId, LogId> ids_;
};

void walk_all(bool lossy) {
  std::size_t commits = 0;
  std::size_t superseded = 0;
  std::size_t unknown = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Walk walk(seed, lossy);
      walk.run(3000);
      commits += walk.commits();
      superseded += walk.count(Fate::superseded);
      unknown += walk.count(Fate::unknown);
    }
  }
  // The walks go where it matters.
  BOOST_TEST(commits > 1000u);
  BOOST_TEST(superseded > 3u);
  BOOST_TEST(unknown > 10u);
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
