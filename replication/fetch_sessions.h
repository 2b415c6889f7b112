#pragma once
// The fetch sessions that a broker keeps, a bounded number of them.
//
// Source: KIP-227; Kafka 3.9, FetchSessionCache and FetchManager.

#include <map>
#include <memory>

#include "replication/fetch_session.h"
#include "wire/kafka/errors.h"

namespace qlab::replication {

struct SessionLimits {
  std::size_t slots_max = 1000;
  // A session that was idle for so long gives way to any; one that is older, to a larger one.
  Duration settled_after = std::chrono::seconds(120);
};

// Thread: the home shard.
class FetchSessions {
 public:
  // Requires: the shards outlive it; the first is the home shard.
  FetchSessions(std::vector<runtime::Runtime*> shards, SessionLimits limits);

  // What one request works with.
  struct Use {
    std::shared_ptr<FetchSession> session;
    std::int32_t id = 0;       // 0: it ends with the request.
    bool is_full = true;       // The reader is to be told of all partitions.
    std::uint64_t number = 0;  // Of the request.
  };
  // Finds or makes the session of a request, and takes in what that says; `by_id`: it names topics
  // so. A request that closes a session, and one for which there is no room, get one of their own.
  // Errors, for the reader: fetch_session_id_not_found; invalid_fetch_session_epoch, also while
  // another request of the session is at work; fetch_session_topic_id_error.
  tl::expected<Use, wire::KafkaError> begin(const wire::FetchRequest& request, bool by_id,
                                            Time now);
  // Requires: once for each begin() that succeeded.
  void end(const Use& use);

  // Wakes all that wait; is_closed() from here on.
  void close();
  bool is_closed() const { return closed_; }
  std::size_t kept() const { return sessions_.size(); }

 private:
  struct Kept {
    std::shared_ptr<FetchSession> session;
    bool is_follower = false;
    bool by_id = false;
    bool is_busy = false;
    std::int32_t next_epoch = 1;
    Time made_at;
    Time used_at;
  };
  using Map = std::map<std::int32_t, Kept>;

  tl::expected<Use, wire::KafkaError> go_on(const wire::FetchRequest& request, bool by_id,
                                            Time now);
  bool make_room(bool is_follower, std::size_t size, Time now);
  std::int32_t new_id();
  Use in_use(Use use);

  const std::vector<runtime::Runtime*> shards_;
  const SessionLimits limits_;
  Map sessions_;                                 // By id; at most slots_max.
  std::map<std::uint64_t, FetchSession*> used_;  // By requests at work, by their numbers.
  std::uint64_t last_number_ = 0;
  bool closed_ = false;
};

}  // namespace qlab::replication
