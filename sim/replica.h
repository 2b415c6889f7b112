#pragma once
// The program of a simulated node: one replica of a consensus group with an append register on it.

#include <memory>
#include <vector>

#include "runtime/async.h"
#include "runtime/simulated/world.h"
#include "sim/history.h"
#include "sim/mutants.h"

namespace qlab::sim {

struct ReplicaOptions {
  consensus::ModuleFactory module;
  Mutant mutant = Mutant::none;
  std::string engine = "buffered";
  consensus::Config config;
  consensus::Tuning tuning;
  Duration linger{};
};

// Its state is the chain of all values appended. Tells the history what it applies.
class AppendRegister final : public consensus::StateMachine {
 public:
  AppendRegister(const runtime::SimulatedNode& node, History& history)
      : node_(node), history_(history) {}
  void apply(const std::vector<consensus::Entry>& entries) override;
  void activate(Epoch epoch) override;
  void deactivate(Epoch epoch) override;
  void on_leader_known(Epoch epoch, std::optional<NodeId> leader) override;

  const ChainedEntry& last() const { return last_; }
  static Bytes body_of(std::uint64_t value, std::size_t padding);

 private:
  const runtime::SimulatedNode& node_;
  History& history_;
  ChainedEntry last_;  // Applied.
  Epoch epoch_;        // That the node is in.
  std::optional<Epoch> active_;
};

class Replica final : public runtime::TransportHandler {
 public:
  // Begins to come up. Requires: `history` and `options` outlive the world.
  Replica(runtime::SimulatedNode& node, History& history, const ReplicaOptions& options);

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override;
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override;
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override;

  // In the background; the history hears of the answers.
  void propose(std::uint64_t first_value, std::vector<Bytes> bodies);
  void read();
  void resign();

  bool is_ready() const { return driver_ != nullptr; }
  // Requires: ready.
  consensus::Status status() const { return driver_->status(); }
  bool leads() const { return is_ready() && status().leader == node_.id(); }
  const ChainedEntry& applied() const { return register_.last(); }
  std::uint64_t digest() const { return driver_->digest(); }

  static DirectoryId directory_of(NodeId node);

 private:
  runtime::Task<void> come_up();
  runtime::Task<void> propose_now(std::uint64_t first_value, std::vector<Bytes> bodies);
  runtime::Task<void> read_now();
  void refuse(std::string_view where, const Error& why);

  runtime::SimulatedNode& node_;
  History& history_;
  const ReplicaOptions& options_;
  AppendRegister register_;
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<consensus::Driver> driver_;
  runtime::Gate gate_;
};

}  // namespace qlab::sim
