#pragma once
// One node: everything between a config and a served request, on any world.
//
// The real process and the simulator build the same Node; they differ in the Shards they hand in.

#include <functional>
#include <memory>
#include <optional>

#include "broker/cluster_view.h"
#include "broker/config.h"
#include "broker/connection.h"
#include "broker/dispatch.h"
#include "broker/isr_proposals.h"
#include "broker/lifecycle.h"
#include "broker/modules.h"
#include "broker/partitions.h"
#include "broker/peer_routes.h"
#include "broker/producer_ids.h"
#include "runtime/shards.h"

namespace qlab::broker {

struct NodeEvents {
  std::function<void()> on_ready;       // It serves; called once.
  std::function<void(Error)> on_fatal;  // It cannot go on and is to be stopped; called once.
};

// Thread: the home shard.
class Node {
 public:
  // Requires: `shards` outlives the node and has config.shards shards.
  Node(runtime::Shards& shards, NodeConfig config, NodeEvents events);
  ~Node();

  // Opens the data, binds the ports and begins to take part in the cluster. A broker is ready
  // later: once it is registered and unfenced and has opened its partitions. Errors: invalid, for a
  // port in use or a directory of another node, naming the key; corrupt; io.
  Task<Result<void>> start();
  // Ends all that runs; `controlled`: after having handed over what it leads. Also after a failed
  // start(). Requires: called once, before destruction.
  Task<void> stop(bool controlled);

  // As bound. Of a node that is no broker the first is nothing. Requires: start() succeeded.
  const std::optional<runtime::Endpoint>& kafka_endpoint() const { return kafka_endpoint_; }
  runtime::Endpoint peer_endpoint() const { return home_.transport().bound(); }

  // What it knows and does, for those who watch it from outside, as the simulator's invariants do.
  metadata::ImagePtr image() const { return publisher_.image(); }
  metadata::ImagePtr replica_image() const { return replica_publisher_.image(); }
  const ControlPlane* control_plane() const { return plane_.get(); }  // Null before it is open.
  const Partitions& partitions() const { return partitions_; }

 private:
  Task<Result<void>> open();
  Task<Result<void>> join_peers();
  void start_broker(DirectoryId directory, BrokerEpoch previous);
  Task<void> announce();
  Task<Result<std::string>> answer_call(std::string method, std::string request);
  Task<Result<IsrProposals::Outcomes>> alter_isrs(std::vector<replication::IsrProposal> proposals);
  bool is_let_in() const;
  // In the trace: newer metadata has come.
  void tell_of(const metadata::Image& image, const metadata::Delta& delta) const;
  void become_ready();
  void leave_in_order();
  void give_up(Error error);

  runtime::Shards& shards_;
  runtime::Runtime& home_;
  const NodeConfig config_;
  NodeEvents events_;
  bool ready_ = false;
  bool is_announcing_ = false;  // From the first time that it is let in on.
  bool stopping_ = false;
  bool fatal_ = false;
  bool transport_started_ = false;

  std::optional<runtime::Endpoint> kafka_endpoint_;
  std::unique_ptr<runtime::Listener> listener_;  // Until the node is ready.
  std::unique_ptr<storage::Engine> metadata_engine_;
  metadata::Publisher publisher_;          // What clients may be told of.
  metadata::Publisher replica_publisher_;  // What replicas here are to do.
  ClusterView cluster_;
  IsrProposals isr_proposals_;
  Partitions partitions_;
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<PeerRoutes> peer_routes_;

  // Of a broker:
  std::unique_ptr<Lifecycle> lifecycle_;
  std::unique_ptr<ProducerIds> producer_ids_;
  std::unique_ptr<replication::FetchSessions> fetch_sessions_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<Dispatch> dispatch_;
  std::unique_ptr<ConnectionServer> server_;
  runtime::Gate gate_;
};

}  // namespace qlab::broker
