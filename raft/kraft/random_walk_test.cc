// Groups that are driven at random, and what must hold after every step whatever happens.
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/quorum.h"
#include "consensus/step_world.h"
#include "raft/kraft/kraft.h"
#include "raft/kraft/model/kraft_model.h"

namespace qlab::raft::kraft {
namespace {

using consensus::Config;
using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::MemberRole;
using consensus::RequestId;
using consensus::StepWorld;

struct Faults {
  bool loss = false;     // Single messages vanish.
  bool replay = false;   // Old messages come again, at any time.
  bool changes = false;  // Voters come and go, leadership is handed over.
  bool images = false;   // Logs are forgotten before their images.
};

// One group under random inputs from one seed.
class Walk {
 public:
  Walk(std::uint64_t seed, Faults faults) : random_(seed), faults_(faults) {
    options_.seed = random_.next();
    voters_ = random_.chance(0.5) ? 3 : 5;
    for (int i = 1; i <= voters_ + 1; ++i) {
      const auto role = i <= voters_ ? MemberRole::voter : MemberRole::observer;
      options_.config.members.push_back({NodeId{i}, role});
    }
    options_.tuning.pre_vote = random_.chance(0.7);
    options_.tuning.check_quorum = random_.chance(0.7);
    options_.tuning.link_down_is_suspicion = random_.chance(0.5);
    options_.tuning.batch_bytes_max = random_.below(40);
    options_.tuning.uncommitted_bytes_max = 40;
    options_.tuning.snapshot_chunk_bytes = 1 + random_.below(8);
    world_ = std::make_unique<StepWorld>(
        consensus::model::watch(make_kraft, model::make_kraft_model(),
                                [](const auto& refusal) { BOOST_ERROR(refusal.words()); }),
        options_);
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
  std::size_t seen(std::string_view what) const {
    const auto found = seen_.find(std::string(what));
    return found == seen_.end() ? 0 : found->second;
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
    } else if (what < 0.23 && faults_.changes) {
      world_->step(a, in::Transfer{RequestId{++requests_}, random_.chance(0.3) ? no_node : b});
    } else if (what < 0.24 && faults_.changes) {
      reconfigure(a);
    } else if (what < 0.25 && faults_.images) {
      world_->take_snapshot(a, random_.below(4));
    } else if (what < 0.26 && faults_.loss) {
      world_->drop(a, b);
    } else if (what < 0.3 && faults_.replay && !received_.empty()) {
      replay();
    } else if (what < 0.55) {
      world_->write(a, 1 + random_.below(3));
    } else {
      for (int tries = 0; tries < 20 && !world_->deliver(any_node(), any_node()); ++tries) continue;
    }
  }

  void replay() {
    const auto [to, message] = received_[random_.below(received_.size())];
    if (world_->is_up(to)) world_->step(to, message);
  }

  // Another one votes, or watches.
  void reconfigure(NodeId node) {
    Config target = options_.config;
    for (auto& member : target.members) {
      member.role = random_.chance(0.6) ? MemberRole::voter : MemberRole::observer;
      if (random_.chance(0.5)) member.directory = world_->nodes().at(member.id).key.directory;
    }
    if (consensus::voters_of(target).empty()) return;
    world_->step(node, in::Reconfigure{RequestId{++requests_}, target});
    changes_.insert(RequestId{requests_});
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

  void check_step(NodeId node, const Input& input, const std::vector<Effect>& effects) {
    if (const auto* read = std::get_if<in::Read>(&input)) reads_[read->request] = known_commit();
    if (const auto* receive = std::get_if<in::Receive>(&input)) remember(node, *receive);
    for (const Effect& effect : effects) {
      if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) check_leader(*known);
      if (const auto* commit = std::get_if<out::Commit>(&effect)) {
        check_commit(node, *commit, effects);
      } else if (const auto* outcome = std::get_if<out::Outcome>(&effect)) {
        fates_[outcome->request] = *outcome;
        ++seen_[std::string(open_.contains(outcome->request)      ? "proposal "
                            : changes_.contains(outcome->request) ? "change "
                                                                  : "other ") +
                std::to_string(static_cast<int>(outcome->fate))];
      } else if (const auto* ready = std::get_if<out::ReadReady>(&effect)) {
        BOOST_TEST((ready->wait_applied >= reads_.at(ready->request)));  // No stale read.
      } else if (const auto* trace = std::get_if<out::Trace>(&effect)) {
        ++seen_[std::string(trace->action)];
      }
    }
  }

  void remember(NodeId to, const in::Receive& receive) {
    if (!faults_.replay) return;
    if (received_.size() < 200) {
      received_.emplace_back(to, receive);
    } else {
      received_[random_.below(received_.size())] = {to, receive};
    }
  }

  // Election safety: at most one leader in an epoch (Raft figure 3).
  void check_leader(const out::LeaderKnown& known) {
    if (!known.leader) return;
    const auto [at, added] = leaders_.try_emplace(known.epoch, *known.leader);
    BOOST_TEST((at->second == *known.leader));
  }

  // The log of a node when a step commits, from where it begins.
  std::vector<Entry> log_after(NodeId node, const std::vector<Effect>& effects) const {
    const auto& log = world_->nodes().at(node).log;
    std::vector<Entry> entries = log.read(log.first(), SIZE_MAX);
    for (const Effect& effect : effects) {
      if (std::holds_alternative<out::Commit>(effect)) break;
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) {
        while (!entries.empty() && entries.back().id.index >= cut->from) entries.pop_back();
      }
      if (const auto* more = std::get_if<out::Append>(&effect)) {
        entries.insert(entries.end(), more->entries.begin(), more->entries.end());
      }
    }
    return entries;
  }

  // State machine safety: nobody commits another entry at an index. And what the first one commits
  // is on the disks of a quorum.
  void check_commit(NodeId node, const out::Commit& commit, const std::vector<Effect>& effects) {
    const std::vector<Entry> entries = log_after(node, effects);
    Config config = options_.config;
    const auto& image = world_->nodes().at(node).log.snapshot();
    if (image.last.index > LogIndex{0}) config = image.config;
    bool is_first = false;
    for (const Entry& entry : entries) {
      if (entry.kind == EntryKind::config) config = consensus::decode_config(*entry.body).value();
      if (entry.id.index > commit.up_to) continue;
      const auto at = static_cast<std::size_t>(entry.id.index.value() - 1);
      if (at < committed_.size()) {
        BOOST_TEST((entry.id == committed_[at].id && *entry.body == *committed_[at].body));
      } else {
        BOOST_REQUIRE(at == committed_.size());
        committed_.push_back(entry);
        is_first = true;
      }
    }
    BOOST_REQUIRE(known_commit() >= commit.up_to);
    if (!is_first) return;
    const LogId last = committed_.back().id;
    BOOST_TEST(is_quorum(config, consensus::QuorumUse::commit, [&](NodeId id) {
      const auto& disk = world_->nodes().at(id).disk_log;
      return disk.epoch_of(last.index) == last.epoch || disk.snapshot().last.index >= last.index;
    }));
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
    for (const auto& [request, outcome] : fates_) {
      const auto asked = open_.find(request);
      if (asked == open_.end()) continue;  // No proposal.
      const std::size_t found = copies[fmt::format("r{}", request)];
      if (outcome.fate == Fate::committed) {
        BOOST_TEST(found == asked->second);
        const auto at = static_cast<std::size_t>(outcome.at.index.value() - 1);
        BOOST_TEST((committed_.at(at).id == outcome.at));
      } else if (outcome.fate != Fate::unknown) {
        BOOST_TEST(found == 0u);
      }
    }
  }

  Prng random_;
  Faults faults_;
  int voters_ = 0;
  StepWorld::Options options_;
  std::unique_ptr<StepWorld> world_;
  std::uint64_t requests_ = 0;
  std::vector<std::pair<NodeId, in::Receive>> received_;
  std::map<Epoch, NodeId> leaders_;
  std::vector<Entry> committed_;
  std::map<RequestId, std::size_t> open_;  // Entries asked for.
  std::set<RequestId> changes_;
  std::map<RequestId, LogIndex> reads_;  // What was committed when the read came.
  std::map<RequestId, out::Outcome> fates_;
  std::map<std::string, std::size_t> seen_;
};

// How often the walks from 200 seeds went where it matters.
std::map<std::string, std::size_t> walk_all(Faults faults, std::vector<std::string> places) {
  std::map<std::string, std::size_t> seen;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Walk walk(seed, faults);
      walk.run(3000);
      seen["commits"] += walk.commits();
      for (const std::string& place : places) seen[place] += walk.seen(place);
    }
  }
  return seen;
}

std::string proposals_that_were(Fate fate) {
  return "proposal " + std::to_string(static_cast<int>(fate));
}
std::string changes_that_were(Fate fate) {
  return "change " + std::to_string(static_cast<int>(fate));
}

BOOST_AUTO_TEST_SUITE(kraft_random_walks)

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_over_links_that_break) {
  const auto superseded = proposals_that_were(Fate::superseded);
  const auto unknown = proposals_that_were(Fate::unknown);
  auto seen = walk_all({}, {superseded, unknown, "TruncateToEndOffset", "TransitionToResigned"});
  BOOST_TEST(seen["commits"] > 10'000u);
  BOOST_TEST(seen[superseded] > 3u);
  BOOST_TEST(seen[unknown] > 10u);
  BOOST_TEST(seen["TruncateToEndOffset"] > 10u);
  BOOST_TEST(seen["TransitionToResigned"] > 10u);
}

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_when_messages_are_lost_and_come_again) {
  auto seen = walk_all({.loss = true, .replay = true},
                       {"DropFetchResponse", "DropFetch", "DropVoteResponse"});
  BOOST_TEST(seen["commits"] > 10'000u);
  BOOST_TEST(seen["DropFetchResponse"] > 100u);
  BOOST_TEST(seen["DropFetch"] > 100u);
  BOOST_TEST(seen["DropVoteResponse"] > 100u);
}

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_when_logs_are_forgotten_behind_images) {
  auto seen = walk_all({.loss = true, .replay = true, .images = true}, {"InstallSnapshot"});
  BOOST_TEST(seen["commits"] > 10'000u);
  BOOST_TEST(seen["InstallSnapshot"] > 100u);
}

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_while_voters_come_and_go) {
  const auto done = changes_that_were(Fate::committed);
  const auto unknown = changes_that_were(Fate::unknown);
  auto seen = walk_all({.loss = true, .replay = true, .changes = true, .images = true},
                       {done, unknown, "AppendVoters", "InstallSnapshot"});
  BOOST_TEST(seen["commits"] > 10'000u);
  BOOST_TEST(seen[done] > 100u);
  BOOST_TEST(seen[unknown] > 10u);
  BOOST_TEST(seen["AppendVoters"] > 200u);
  BOOST_TEST(seen["InstallSnapshot"] > 100u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft
