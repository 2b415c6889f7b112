// Groups that are driven at random, and what must hold after every step whatever happens.
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/quorum.h"
#include "consensus/step_world.h"
#include "zab/model/zab_model.h"
#include "zab/zab.h"

namespace qlab::zab {
namespace {

using consensus::Config;
using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::EntryLog;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::Member;
using consensus::MemberRole;
using consensus::RequestId;
using consensus::StepWorld;

struct Counts {
  std::size_t commits = 0;
  std::size_t epochs = 0;
  std::size_t images = 0;   // Installed.
  std::size_t configs = 0;  // Committed.
  std::size_t cuts = 0;
  std::size_t without_one = 0;  // Healed with a node missing.
  std::map<Fate, std::size_t> fates;
};

// One group under random inputs from one seed.
class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed) {
    options_.seed = random_.next();
    count_ = random_.chance(0.6) ? 4 : 6;  // One of them observes.
    const bool grouped = count_ == 6 && random_.chance(0.4);
    for (int i = 1; i <= count_; ++i) {
      Member member{NodeId{i}, i < count_ ? MemberRole::voter : MemberRole::observer};
      if (grouped) member.group = static_cast<std::uint32_t>(i % 3);
      if (grouped) member.weight = static_cast<std::uint32_t>(i == 4 ? 0 : 1);
      options_.config.members.push_back(member);
    }
    options_.tuning.inflight_messages_max = 1 + random_.below(4);
    options_.tuning.batch_bytes_max = random_.below(40);
    options_.tuning.uncommitted_bytes_max = 40;
    options_.tuning.election_timeout = std::chrono::seconds(2);
    options_.tuning.snapshot_chunk_bytes = 4;
    takes_images_ = random_.chance(0.5);
    reconfigures_ = random_.chance(0.4);
    const ZabOptions zab{.counter_max = random_.chance(0.3) ? 10u : 1000u};
    const auto make = [zab](consensus::ModuleContext context) {
      return std::make_unique<Zab>(std::move(context), zab);
    };
    world_ = std::make_unique<StepWorld>(
        consensus::model::watch(make, model::make_zab_model(zab.counter_max),
                                [](const auto& refusal) { BOOST_ERROR(refusal.words()); }),
        options_);
    world_->observe([this](NodeId node, const Input& input, const std::vector<Effect>& effects) {
      check_step(node, input, effects);
    });
    for (const auto& member : options_.config.members) world_->add(member.id);
  }

  void run(int steps, Counts& counts) {
    for (int i = 0; i < steps; ++i) act();
    heal();
    check_fates();
    counts.commits += committed_.size();
    counts.epochs += leaders_.size();
    counts.images += images_;
    counts.cuts += cuts_;
    counts.without_one += without_one_;
    for (const Entry& entry : committed_) counts.configs += entry.kind == EntryKind::config;
    for (const auto& [request, fate] : fates_) ++counts.fates[fate];
  }

 private:
  NodeId any_node() {
    return NodeId{static_cast<std::int32_t>(1 + random_.below(static_cast<std::uint64_t>(count_)))};
  }

  void act() {
    const NodeId a = any_node();
    const NodeId b = any_node();
    const double what = random_.unit();
    if (!world_->is_up(a)) {
      if (random_.chance(0.2)) world_->restart(a);
    } else if (what < 0.005) {
      world_->crash(a);
    } else if (what < 0.012 && a != b) {
      world_->disconnect(a, b);
    } else if (what < 0.04 && a != b) {
      world_->connect(a, b);
    } else if (what < 0.06) {
      world_->advance(std::chrono::milliseconds(random_.below(200)));
    } else if (what < 0.15) {
      propose(a);
    } else if (what < 0.17) {
      world_->step(a, in::Read{RequestId{++requests_}});
    } else if (what < 0.175) {
      world_->step(a, in::Resign{world_->nodes().at(a).module->status().epoch});
    } else if (what < 0.18 && takes_images_) {
      world_->take_snapshot(a, random_.below(3));
    } else if (what < 0.19 && reconfigures_) {
      reconfigure(a);
    } else if (what < 0.5) {
      world_->write(a, 1 + random_.below(2));  // So that a crash comes between any two.
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

  void reconfigure(NodeId node) {
    Config target;
    for (int i = 1; i <= count_; ++i) {
      if (random_.chance(0.2)) continue;
      target.members.push_back(
          {NodeId{i}, random_.chance(0.7) ? MemberRole::voter : MemberRole::observer});
    }
    world_->step(node, in::Reconfigure{RequestId{++requests_}, target});
  }

  void check_step(NodeId node, const Input& input, const std::vector<Effect>& effects) {
    if (const auto* read = std::get_if<in::Read>(&input)) reads_[read->request] = known_commit();
    EntryLog log = world_->nodes().at(node).log;
    for (const Effect& effect : effects) {
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) {
        ++cuts_;
        log.truncate(cut->from);
      } else if (const auto* install = std::get_if<out::InstallSnapshot>(&effect)) {
        ++images_;
        log.install(install->meta);
      } else if (const auto* append = std::get_if<out::Append>(&effect)) {
        for (const Entry& entry : append->entries) {
          log.append(entry);
          if (entry.kind != EntryKind::config) continue;
          const Config config = consensus::decode_config(*entry.body).value();
          if (config.outgoing.empty()) decided_.insert(config.members);
        }
      } else if (const auto* save = std::get_if<out::SaveHardState>(&effect)) {
        check_current_epoch(node, save->state, log);
      } else if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) {
        check_leader(*known);
      } else if (const auto* active = std::get_if<out::Activate>(&effect)) {
        // A primary has all that was committed in earlier epochs.
        BOOST_TEST((active->ready_at >= known_commit()));
      } else if (const auto* commit = std::get_if<out::Commit>(&effect)) {
        check_commit(*commit, log);
      } else if (const auto* outcome = std::get_if<out::Outcome>(&effect)) {
        BOOST_TEST(fates_.emplace(outcome->request, outcome->fate).second);  // Told once.
        ids_[outcome->request] = outcome->at;
      } else if (const auto* ready = std::get_if<out::ReadReady>(&effect)) {
        BOOST_TEST((ready->wait_applied >= reads_.at(ready->request)));  // No stale read.
      }
    }
  }

  // At most one leader is established in an epoch.
  void check_leader(const out::LeaderKnown& known) {
    if (!known.leader) return;
    const auto [at, added] = leaders_.try_emplace(known.epoch, *known.leader);
    BOOST_TEST((at->second == *known.leader));
  }

  // Who enters an epoch begins it with the history that all others begin it with: the initial
  // history of Zab, invariant 1. From TRUNC to NEWLEADER a history is that of a later epoch
  // already.
  void check_current_epoch(NodeId node, const consensus::HardState& state, const EntryLog& log) {
    const consensus::HardState& before = world_->nodes().at(node).disk_hard_state;
    if (state.synced_epoch == Epoch{0} || state.synced_epoch == before.synced_epoch) return;
    const auto [at, added] = histories_.try_emplace(state.synced_epoch, log.last());
    if (!added) BOOST_TEST((log.last().index >= at->second.index));
    if (!added && log.first() <= at->second.index) {
      BOOST_TEST((log.epoch_of(at->second.index) == at->second.epoch));
    }
  }

  // Nobody commits another entry at an index. And what the first one commits is on the disks of a
  // quorum.
  void check_commit(const out::Commit& commit, const EntryLog& log) {
    BOOST_REQUIRE((commit.up_to <= log.last().index));
    for (const Entry& entry : log.read(log.first(), SIZE_MAX)) {
      if (entry.id.index > commit.up_to) break;
      const auto at = static_cast<std::size_t>(entry.id.index.value() - 1);
      if (at < committed_.size()) {
        BOOST_TEST((entry.id == committed_[at].id && *entry.body == *committed_[at].body));
        continue;
      }
      BOOST_REQUIRE(at == committed_.size());
      committed_.push_back(entry);
      BOOST_TEST(is_on_quorum(log, entry.id),
                 fmt::format("{}/{} is on no quorum of disks", entry.id.epoch, entry.id.index));
    }
  }

  // Of both halves of a change, or of the new one when that is decided.
  bool is_on_quorum(const EntryLog& log, LogId entry) const {
    Config config = config_of(log);
    const auto has = [&](NodeId id) { return keeps(id, entry); };
    if (consensus::is_quorum(config, consensus::QuorumUse::commit, has)) return true;
    config.outgoing.clear();
    return decided_.contains(config.members) &&
           consensus::is_quorum(config, consensus::QuorumUse::commit, has);
  }

  bool keeps(NodeId id, LogId entry) const {
    const EntryLog& disk = world_->nodes().at(id).disk_log;
    return disk.epoch_of(entry.index) == entry.epoch || disk.snapshot().last.index >= entry.index;
  }

  Config config_of(const EntryLog& log) const {
    Config config =
        log.snapshot().last.index > LogIndex{0} ? log.snapshot().config : options_.config;
    for (const Entry& entry : log.read(log.first(), SIZE_MAX)) {
      if (entry.kind != EntryKind::config || entry.id.index <= log.snapshot().last.index) continue;
      config = consensus::decode_config(*entry.body).value();
    }
    return config;
  }

  LogIndex known_commit() const { return LogIndex{static_cast<std::int64_t>(committed_.size())}; }

  // Liveness: with all up and connected, or with one missing that is not needed, a leader commits,
  // and in the end all have heard of it.
  void heal() {
    const NodeId missing = random_.chance(0.4) ? any_node() : no_node;
    if (missing != no_node && world_->is_up(missing)) world_->crash(missing);
    for (const auto& member : options_.config.members) {
      if (member.id != missing && !world_->is_up(member.id)) world_->restart(member.id);
    }
    for (const auto& member : options_.config.members) {
      for (const auto& other : options_.config.members) {
        if (member.id != other.id) world_->connect(member.id, other.id);
      }
    }
    if (missing != no_node) {
      if (can_do_without(missing)) {
        ++without_one_;
        BOOST_TEST_CONTEXT("without node " << missing) {
          commit_again();
        }
      }
      world_->restart(missing);
    }
    commit_again();
    for (const auto& [id, node] : world_->nodes()) {
      BOOST_TEST((node.commit == known_commit()), fmt::format("node {}", id));
      BOOST_TEST((node.disk_log.last().index == known_commit()), fmt::format("node {}", id));
    }
  }

  // The others are a quorum of every configuration that is in a log of theirs.
  bool can_do_without(NodeId missing) const {
    const auto is_there = [missing](NodeId id) { return id != missing; };
    const auto suffice = [&](const Config& config) {
      return consensus::is_quorum(config, consensus::QuorumUse::commit, is_there);
    };
    for (const auto& [id, node] : world_->nodes()) {
      if (id == missing) continue;
      if (!suffice(node.log.snapshot().last.index > LogIndex{0} ? node.log.snapshot().config
                                                                : options_.config)) {
        return false;
      }
      for (const Entry& entry : node.log.read(node.log.first(), SIZE_MAX)) {
        if (entry.kind != EntryKind::config) continue;
        if (!suffice(consensus::decode_config(*entry.body).value())) return false;
      }
    }
    return true;
  }

  void commit_again() {
    world_->advance(std::chrono::seconds(30), true);
    const std::size_t before = committed_.size();
    for (int tries = 0; tries < 3 && committed_.size() == before; ++tries) {
      for (const auto& [id, node] : world_->nodes()) {
        if (node.active) propose(id);  // The counter may be at its end: then another epoch comes.
      }
      world_->advance(std::chrono::seconds(5), true);
    }
    BOOST_TEST(committed_.size() > before);
  }

  // What a proposal's maker was told is what happened.
  void check_fates() {
    std::map<std::string, std::size_t> copies;
    for (const Entry& entry : committed_) ++copies[std::string(as_text(*entry.body))];
    for (const auto& [request, fate] : fates_) {
      const auto asked = open_.find(request);
      if (asked == open_.end()) continue;  // A read or a change.
      const std::size_t found = copies[fmt::format("r{}", request)];
      if (fate == Fate::committed) {
        BOOST_TEST(found == asked->second);
        const auto at = static_cast<std::size_t>(ids_.at(request).index.value() - 1);
        BOOST_TEST((committed_.at(at).id == ids_.at(request)));
      } else if (fate != Fate::unknown) {
        BOOST_TEST(found == 0u);
      }
    }
  }

  Prng random_;
  int count_ = 0;
  bool takes_images_ = false;
  bool reconfigures_ = false;
  StepWorld::Options options_;
  std::unique_ptr<StepWorld> world_;
  std::uint64_t requests_ = 0;
  std::size_t images_ = 0;
  std::size_t cuts_ = 0;
  std::size_t without_one_ = 0;
  std::map<Epoch, NodeId> leaders_;
  std::set<std::vector<Member>> decided_;  // Configurations whose first half was committed.
  std::map<Epoch, LogId> histories_;
  std::vector<Entry> committed_;
  std::map<RequestId, std::size_t> open_;
  std::map<RequestId, LogIndex> reads_;  // What was committed when the read came.
  std::map<RequestId, Fate> fates_;
  std::map<RequestId, LogId> ids_;
};

BOOST_AUTO_TEST_SUITE(zab_random_walks)

BOOST_AUTO_TEST_CASE(safety_and_liveness_hold_with_crashes_between_any_two_writes) {
  Counts counts;
  // QLAB_SEEDS=first:last, to see one of them again, or many.
  std::uint64_t first = 1;
  std::uint64_t last = 1200;
  if (const char* asked = std::getenv("QLAB_SEEDS")) {
    char* colon = nullptr;
    first = std::strtoull(asked, &colon, 10);
    last = *colon == ':' ? std::strtoull(colon + 1, nullptr, 10) : first;
  }
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Walk(seed).run(3000, counts);
    }
  }
  BOOST_TEST_MESSAGE("commits " << counts.commits << " epochs " << counts.epochs << " images "
                                << counts.images << " configs " << counts.configs << " cuts "
                                << counts.cuts << " without one " << counts.without_one
                                << " superseded " << counts.fates[Fate::superseded] << " unknown "
                                << counts.fates[Fate::unknown]);
  if (last - first < 399) return;
  // The walks go where it matters.
  BOOST_TEST(counts.commits > 1000u);
  BOOST_TEST(counts.epochs > 500u);
  BOOST_TEST(counts.images > 20u);
  BOOST_TEST(counts.configs > 20u);
  BOOST_TEST(counts.cuts > 5u);
  BOOST_TEST(counts.without_one > 50u);
  BOOST_TEST(counts.fates[Fate::superseded] > 2u);
  BOOST_TEST(counts.fates[Fate::unknown] > 10u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
