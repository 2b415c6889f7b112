#pragma once
// What a driver did, as events of the trace; docs/trace.md lists them with their fields.
//
// Two sorts. Actions (elections, votes, roles, configurations, images) are few, and told whenever
// somebody listens. Details (every message and write, and the way of sampled entries) are asked for
// by TraceOptions; a simulated world keeps them out of its digest, so that a run with them is the
// run without.
//
// Cost: none but the branch on on(), unless somebody listens.

#include <functional>
#include <map>
#include <string>

#include "consensus/module.h"
#include "runtime/runtime.h"
#include "runtime/trace.h"
#include "runtime/transport.h"

namespace qlab::consensus {

struct TraceOptions {
  bool details = false;  // Messages, links, writes, commits.
  // Entries whose index is a multiple of it are followed from append to apply; 0: none.
  std::uint32_t entries_every = 0;
  // A message in words, first its kind's name: `append_request epoch=2 ...`. Not given: a number.
  std::function<std::string(const Message&)> describe = nullptr;
};

// Thread: the driver's shard. Requires: nothing but on() is called unless on().
class DriverTrace {
 public:
  static constexpr std::size_t followed_max = 10'000;  // Entries at a time; more are not sampled.

  DriverTrace(runtime::Runtime& runtime, NodeId self, TraceOptions options);

  bool on() const { return on_; }

  void started(const Status& status, const Config& config, LogIndex applied);
  void input(const Input& input);
  void effect(const Effect& effect);
  // After all effects of a step. Calls status() when the role may be another.
  void stepped(const Module& module);

  void refused(NodeId from, std::string_view why);
  void sent(NodeId to, runtime::LinkEpoch link, const Message& message);
  void not_sent(NodeId to, const Message& message, std::string_view why);
  void durable(WriteSeq up_to);
  void committed(LogIndex up_to);
  void applied(LogIndex up_to);
  void image_taken(const SnapshotMeta& image);
  void image_restored(const SnapshotMeta& image);

 private:
  struct Followed {
    Epoch epoch;
    WriteSeq write;
    bool proposed = false;  // Appended by a leader; else by one who was sent it.
    Time appended;
    Time durable;    // Time{}: not yet; so the others.
    Time committed;  // Known to be, and the driver may apply it.
    Time applied;
  };

  void take(const in::Receive& input);
  void take(const in::LinkUp& input);
  void take(const in::LinkDown& input);
  void take(const auto&) {}

  void tell(const out::Append& effect);
  void tell(const out::Truncate& effect);
  void tell(const out::SaveHardState& effect);
  void tell(const out::StoreSnapshot& effect);
  void tell(const out::InstallSnapshot& effect);
  void tell(const out::CloseLink& effect);
  void tell(const out::Outcome& effect);
  void tell(const out::ElectionStarted& effect);
  void tell(const out::LeaderKnown& effect);
  void tell(const out::Activate& effect);
  void tell(const out::ConfigActive& effect);
  void tell(const out::Deactivate& effect);
  void tell(const out::Fatal& effect);
  void tell(const out::Trace& effect);
  void tell(const auto&) {}

  void tell_message(std::string_view event, NodeId peer, std::uint32_t link,
                    const Message& message);
  void tell_entry(LogIndex index, const Followed& entry);
  runtime::TraceSink& sink() { return runtime_.trace(); }

  runtime::Runtime& runtime_;
  const NodeId self_;
  const TraceOptions options_;
  const bool on_;
  std::map<NodeId, Time> heard_;  // When a message of that peer came last.
  std::map<NodeId, std::uint32_t> links_;
  NodeId leader_ = no_node;  // The last one known; also when it is known no more.
  bool leads_ = false;
  bool may_have_moved_ = false;
  std::string_view role_;
  Epoch epoch_;
  std::map<LogIndex, Followed> followed_;  // At most followed_max.
};

}  // namespace qlab::consensus
