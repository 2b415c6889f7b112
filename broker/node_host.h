#pragma once
// The process: its nodes, the signals that end it, and the calls that end or start one of them.
//
// A cluster larger than the machine has room for processes is a few processes of many nodes each.

#include <iosfwd>
#include <map>
#include <memory>

#include "broker/hosted_node.h"

namespace qlab::broker {

// Refuses nodes that cannot live side by side. Errors: invalid, naming the key, its value and both
// nodes: the same node.id, log.dir, trace.file or port, or another log.level.
Result<void> check_side_by_side(const std::vector<NodeConfig>& configs);

struct HostOptions {
  std::vector<NodeConfig> configs;           // At least one; as check_side_by_side() wants them.
  std::vector<Setting> overrides;            // For configs that a call names.
  std::optional<runtime::Endpoint> control;  // Where calls are taken; nothing: nowhere.
};

// Thread: the main one, but for what is said to be a node's.
class NodeHost {
 public:
  // `out` gets a line for each start, readiness and end of a node.
  // Requires: `out` outlives this.
  NodeHost(HostOptions options, std::ostream& out);
  ~NodeHost();

  // Carries the nodes until SIGTERM or SIGINT, or, where no calls are taken, until all have ended.
  // Returns the status to exit with: that of the first node that did not end in order.
  int run();

 private:
  struct Hosted {
    NodeConfig config;
    std::unique_ptr<HostedNode> node;  // Null once it has ended.
    int life = 0;                      // Counts its starts.
    int status = exit_done;            // Of its last life.
  };

  Task<void> live();
  Task<Result<void>> take_calls();
  Task<Result<std::string>> answer(std::string method, std::string request);
  Result<void> start_from(const std::string& config_file);
  Task<Result<std::string>> end(NodeId id, Ending how);
  Result<void> start(NodeConfig config);
  void on_ended(NodeId id, int status, const std::optional<Error>& refusal);
  void end_all();
  bool is_empty() const;
  void say(const std::string& words);

  const HostOptions options_;
  std::ostream& out_;
  std::unique_ptr<runtime::TransportHandler> nobody_;
  std::unique_ptr<runtime::RealShards> shards_;
  std::unique_ptr<runtime::Event> changed_;  // A node has ended, or the process is to.
  std::map<NodeId, Hosted> nodes_;           // Those that ended, too.
  bool stopping_ = false;
  int status_ = exit_done;
};

// Reads a properties file and makes a config of it. Errors: io; as make_config().
Result<NodeConfig> read_config(const std::string& file, const std::vector<Setting>& overrides);

}  // namespace qlab::broker
