#pragma once
// What a broker reads from the config znodes: those of a topic when it gets its first replica of
// it, and whatever a notification in /config/changes names.
//
// Thread: one shard. Source: Kafka 3.9, ZkConfigManager and ZkNodeChangeNotificationListener.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/zk/metadata_cache.h"
#include "controller/zk/options.h"
#include "controller/zk/session.h"

namespace qlab::controller {

class ConfigFollower {
 public:
  // Requires: `cache` outlives this.
  ConfigFollower(runtime::Runtime& runtime, ZkOptions options, MetadataCache& cache)
      : runtime_(runtime),
        options_(std::move(options)),
        cache_(cache),
        changed_(runtime),
        gate_(runtime) {}

  void start() {
    gate_.start([this] { return run(); });
  }
  Task<void> stop();

  // Returns once the cache has the configs of these topics; one that was made anew is another. When
  // there is no session with the keeper, they come with the next one.
  Task<void> follow(std::vector<wire::LeaderAndIsrRequest::TopicState> topics);

 private:
  Task<void> run();
  Task<Result<void>> follow_changes(std::shared_ptr<Session> session);
  Task<Result<void>> take_changes(std::shared_ptr<Session> session);
  // `entity`: topics/NAME or brokers/NAME, as a path below /config.
  Task<Result<void>> read(std::shared_ptr<Session> session, std::vector<std::string> entities);
  Result<void> take(const std::string& entity, const ClientReply& reply);

  runtime::Runtime& runtime_;
  const ZkOptions options_;
  MetadataCache& cache_;
  std::shared_ptr<Session> session_;      // Null before the first.
  std::map<std::string, TopicId> known_;  // Topics whose configs the cache has, or is to have.
  std::string last_change_;               // Of /config/changes; what comes before it was taken.
  bool has_news_ = false;                 // In /config/changes.
  bool stopping_ = false;
  runtime::Event changed_;  // A notification came, the session is over, or we stop.
  runtime::Gate gate_;
};

}  // namespace qlab::controller
