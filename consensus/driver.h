#pragma once
// Carries out a module's effects: one driver for all modules, over the real and the simulated
// runtime.
//
// Order of work for a step: log and hard state writes are queued, messages and commits that wait
// for a write are held, one group commit runs at a time, and its completion releases them (the
// durability rule of module.h).
//
// Thread: one shard. A failed write or sync is fatal: `on_fatal` is called once and the driver does
// nothing more.

#include <functional>
#include <memory>
#include <string>

#include "consensus/driver_trace.h"
#include "consensus/module.h"
#include "consensus/state_machine.h"
#include "runtime/async.h"
#include "runtime/transport.h"
#include "storage/engine.h"

namespace qlab::consensus {

using runtime::Task;
using ModuleFactory = std::function<std::unique_ptr<Module>(ModuleContext)>;

struct DriverOptions {
  ReplicaKey self;
  // Voters, and observers known from the start; others who connect become observers.
  Config config;
  Tuning tuning;
  std::string directory;  // Of log and hard state, below the disk's root.
  runtime::Channel channel = runtime::Channel::metadata_consensus;
  // An image is made when that many bytes of entries were applied since the last one; 0: never.
  std::uint64_t snapshot_interval_bytes = 0;
  // And not before as many as the last image has: so all images that a growing state ever takes are
  // together about as large as its log. What a start reads at most doubles with it.
  bool snapshots_grow = false;
  // Entries kept before the newest image, for followers that lag a little.
  std::uint64_t snapshot_keep_entries = 1000;
  std::uint64_t log_file_bytes = 64u << 20;  // See LogStoreOptions.
  Duration linger{};  // How long proposals wait for company before one Propose is made of them.
  TraceOptions trace = {};
};

struct ProposeResult {
  Fate fate = Fate::unknown;
  LogId at;                    // Of the last entry, when committed.
  std::optional<NodeId> hint;  // The leader, when rejected and known.
};

class Driver {
 public:
  // Opens log and hard state, recovers, and makes the module.
  // Errors: corrupt, also when the log has lost entries that it had when the hard state was saved;
  // io; invalid, when the hard state is another replica's, or it and the log are not of one life:
  // one of them is missing, or the log has entries of a later epoch. (An earlier one is no error:
  // whoever votes may die before the first entry comes.)
  static Task<Result<std::unique_ptr<Driver>>> open(runtime::Runtime& runtime,
                                                    storage::Engine& engine, StateMachine& machine,
                                                    ModuleFactory factory, DriverOptions options);
  virtual ~Driver() = default;

  // Begins to step. Requires: the transport delivers our channel's messages to receive() and tells
  // of its links, also of those that came up before.
  virtual void start(std::function<void(Error)> on_fatal) = 0;
  // Returns when nothing of it runs any more; who waits has been told (closed; of proposals
  // unknown).
  virtual Task<void> stop() = 0;

  virtual void receive(NodeId from, runtime::LinkEpoch link,
                       Bytes payload) = 0;  // Garbage is counted and dropped.
  virtual void link_up(NodeId peer, runtime::LinkEpoch link) = 0;
  virtual void link_down(NodeId peer, runtime::LinkEpoch link) = 0;

  // Adjacent entries. Resolves when their fate is known and, if committed, they are applied here.
  virtual Task<ProposeResult> propose(std::vector<Bytes> bodies,
                                      std::optional<Epoch> expect_epoch) = 0;
  // Returns once every entry committed before the call is applied here, or an error (not_leader).
  virtual Task<Result<void>> read_barrier() = 0;
  // Makes `target` the configuration. Errors: not_leader, with the leader if known; invalid, when
  // the module refuses it or it is no configuration; overloaded, when another change is under way;
  // unknown outcomes are closed.
  virtual Task<Result<void>> reconfigure(Config target) = 0;
  // Hands leadership to `to`, or to whoever is best, which leads when it returns. Errors:
  // not_leader, naming who leads: we did not, or another than `to` came first; invalid, with the
  // module's reason (not_a_voter, timed_out, ...), and we lead on or again; unknown_outcome, when
  // nobody leads.
  virtual Task<Result<void>> transfer(std::optional<NodeId> to) = 0;
  virtual void resign(Epoch epoch) = 0;

  virtual Status status() const = 0;
  virtual LogIndex applied() const = 0;
  virtual const Config& config() const = 0;          // In force, committed or not.
  virtual const SnapshotMeta& snapshot() const = 0;  // The newest image here.
  virtual std::uint64_t digest() const = 0;
};

}  // namespace qlab::consensus
