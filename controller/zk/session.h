#pragma once
// What the zk controller asks of its keeper: one session's calls, single and many at a time.
//
// A call that a broken connection leaves without an answer is made again for as long as the session
// lives: it may then find its own effect, and who calls looks for that. Held by shared pointer, for
// a call may outlast its owner.
//
// Thread: one shard. Source: Kafka 3.9, KafkaZkClient and ZooKeeperClient.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "keeper/client.h"
#include "runtime/async.h"

namespace qlab::controller {

using keeper::ClientReply;
using runtime::Task;
using KeeperRequest = wire::keeper::Request;

struct Znode {
  Bytes data;
  wire::keeper::Stat stat;
};

// What became of a request that was fenced by the controller's epoch.
struct FencedReply {
  wire::keeper::ErrorCode error = wire::keeper::ErrorCode::ok;
  std::int32_t version = 0;  // Of the znode that was set.
  std::int64_t czxid = 0;    // Likewise.
};

// Of calls that were answered. A list of children is a read, and a part of a multi a write or a
// check.
struct ZnodeTraffic {
  std::int64_t reads = 0;
  std::int64_t read_bytes = 0;     // Of answers to reads.
  std::int64_t writes = 0;         // Znodes that were to be created, set or deleted.
  std::int64_t written_bytes = 0;  // Their paths and values.
};

// Errors of every call: closed, the session is over; invalid, the request is larger than a znode
// may be (jute.maxbuffer), which no retry would change.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // jute.maxbuffer, of what is asked and of a list that is answered.
  static constexpr std::size_t jute_bytes_max = 0xfffff;

  // `in_flight`: how many of the requests of call_all() wait for answers at a time.
  Session(runtime::Runtime& runtime, keeper::ClientOptions options,
          keeper::Client::OnEvent on_event, std::size_t in_flight);

  void start() { client_.start(); }
  // Leaves the session to expire, unless `end` asks for its end.
  Task<void> stop(bool end);
  Task<Result<void>> connected() { return client_.connected(); }
  Task<void> over() { return client_.over(); }

  std::int64_t id() const { return client_.session(); }
  bool is_connected() const { return client_.is_connected(); }
  bool is_over() const { return stopping_ || client_.is_expired(); }

  // Since it was taken last.
  ZnodeTraffic take_traffic() { return std::exchange(traffic_, {}); }

  Task<Result<ClientReply>> call(KeeperRequest request);
  // Nothing when there is no such znode; with `watch` its creation is watched then.
  Task<Result<std::optional<Znode>>> get(std::string path, bool watch);
  // Names of the children. Errors also: those of decode_children.
  Task<Result<std::vector<std::string>>> children(std::string path, bool watch);

  // Makes the requests 0..count-1, at most `in_flight` at a time, and hands each answer over in the
  // order of arrival. Ends at the first error.
  using Make = std::function<KeeperRequest(std::size_t index)>;
  using Take = std::function<Result<void>(std::size_t index, const ClientReply& reply)>;
  Task<Result<void>> call_all(std::size_t count, Make make, Take take);

 private:
  struct Walk;
  Task<void> walk(std::shared_ptr<Walk> walk);
  void count(const KeeperRequest& request, const ClientReply& reply);

  runtime::Runtime& runtime_;
  keeper::Client client_;
  const std::size_t in_flight_;
  ZnodeTraffic traffic_;
  bool stopping_ = false;
  runtime::Gate gate_;
};

KeeperRequest get_request(std::string path, bool watch = false);
KeeperRequest children_request(std::string path, bool watch = false);
KeeperRequest create_request(std::string path, std::string_view data, bool ephemeral = false);
// A child with the next number in its name: PARENT/config_change_0000000007.
KeeperRequest notification_request(std::string_view parent, std::string_view data);
KeeperRequest set_request(std::string path, std::string_view data, std::int32_t version = -1);
KeeperRequest delete_request(std::string path);
KeeperRequest multi_request(std::vector<KeeperRequest> parts);

KeeperRequest check_request(std::string path, std::int32_t version);

// The request together with a check that /controller_epoch still has `epoch_version`, and with
// another check between the two, if there is one.
KeeperRequest fenced(std::int32_t epoch_version, KeeperRequest request,
                     std::optional<KeeperRequest> check = std::nullopt);
// Errors: not_leader, when the first check failed: there is another controller; fenced, when the
// other one did.
Result<FencedReply> decode_fenced(const ClientReply& reply);
// Of the parts of a multi, in order. Errors: corrupt.
Result<std::vector<FencedReply>> decode_multi(const ClientReply& reply);
// Of an answer to children_request; no such znode has none. Errors: invalid; out_of_range, for a
// list of more than jute_bytes_max.
Result<std::vector<std::string>> decode_children(const ClientReply& reply);
// Of an answer to get_request. Errors: corrupt.
Result<Znode> decode_znode(const ClientReply& reply);

}  // namespace qlab::controller
