#pragma once
// The program of a simulated node: one replica of a consensus group with an append register on it.

#include <map>
#include <memory>
#include <vector>

#include "consensus/model/model.h"
#include "runtime/async.h"
#include "runtime/simulated/world.h"
#include "sim/append_register.h"
#include "sim/mutants.h"

namespace qlab::sim {

// What happens to messages where links are no streams. Each chance is in [0, 1).
struct Datagrams {
  double lost = 0;
  double doubled = 0;
  double late = 0;  // Overtaken by what was sent later.
  Duration late_max{};
};

// One group's, for all of its replicas.
struct ReplicaOptions {
  consensus::ModuleFactory module;
  Mutant mutant = Mutant::none;
  std::shared_ptr<consensus::model::Model> model;  // Of the group; null: none.
  std::string engine = "buffered";
  consensus::Config config;
  consensus::Tuning tuning;
  std::map<NodeId, consensus::Tuning> uneven;  // Of those that differ.
  std::vector<NodeId> nodes;                   // Also those that are no members yet.
  Duration linger{};
  std::uint64_t snapshot_interval_bytes = 0;
  std::uint64_t snapshot_keep_entries = 1000;
  std::uint64_t log_file_bytes = 64u << 20;
  std::size_t image_padding = 0;
  Datagrams datagrams;
  consensus::TraceOptions trace = {};
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
  void reconfigure(consensus::Config target);
  void transfer(std::optional<NodeId> to);
  void resign();

  NodeId id() const { return node_.id(); }
  bool is_ready() const { return driver_ != nullptr; }
  // Requires: ready.
  consensus::Status status() const { return driver_->status(); }
  bool leads() const { return is_ready() && status().leader == node_.id(); }
  const consensus::Config& config() const { return driver_->config(); }
  LogIndex applied() const { return register_.applied(); }
  std::uint64_t digest() const { return driver_->digest(); }

 private:
  runtime::Task<void> come_up();
  runtime::Task<void> propose_now(std::uint64_t first_value, std::vector<Bytes> bodies);
  runtime::Task<void> read_now();
  runtime::Task<void> reconfigure_now(consensus::Config target);
  runtime::Task<void> transfer_now(std::optional<NodeId> to);
  void refuse(std::string_view where, const Error& why);
  consensus::DriverOptions driver_options() const;

  runtime::SimulatedNode& node_;
  History& history_;
  const ReplicaOptions& options_;
  Prng random_;  // Of what happens to datagrams.
  AppendRegister register_;
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<consensus::Driver> driver_;
  runtime::Gate gate_;
};

}  // namespace qlab::sim
