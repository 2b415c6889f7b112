#pragma once
// What a broker reads from the config znodes: those of a topic when it gets its first replica of
// it, whatever a notification in /config/changes names, and what it is asked for.
//
// It has no session of its own: the node's controller shares the one that there is.
//
// Thread: one shard. Source: Kafka 3.9, ZkConfigManager, ZkNodeChangeNotificationListener and
// ZkConfigRepository.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/zk/metadata_cache.h"
#include "controller/zk/session.h"

namespace qlab::controller {

class ConfigFollower {
 public:
  using TopicConfigs = std::map<std::string, metadata::Configs>;

  // Requires: `cache` outlives this.
  ConfigFollower(runtime::Runtime& runtime, MetadataCache& cache)
      : runtime_(runtime), cache_(cache), changed_(runtime), gate_(runtime) {}

  void start() {
    gate_.start([this] { return run(); });
  }
  // Requires: the last session has been stopped.
  Task<void> stop();

  // From now on that is the session.
  void on_session(std::shared_ptr<Session> session);
  // A watch on /config/changes has fired.
  void on_news();

  // Returns once the cache has the configs of these topics; one that was made anew is another. When
  // there is no session with the keeper, they come with the next one.
  Task<void> follow(std::vector<wire::LeaderAndIsrRequest::TopicState> topics);

  // What stands in the topics' znodes now. Errors: timed_out; closed; corrupt.
  Task<Result<TopicConfigs>> read_topics(std::vector<std::string> topics, Time deadline);

 private:
  using Slot = std::shared_ptr<std::optional<Result<TopicConfigs>>>;

  Task<void> run();
  Task<Result<void>> follow_changes(std::shared_ptr<Session> session);
  Task<Result<void>> take_changes(std::shared_ptr<Session> session);
  // `entity`: topics/NAME or brokers/NAME, as a path below /config.
  Task<Result<void>> read(std::shared_ptr<Session> session, std::vector<std::string> entities);
  Result<void> take(const std::string& entity, const ClientReply& reply);
  Task<void> read_into(std::shared_ptr<Session> session, std::vector<std::string> topics,
                       Slot slot);
  bool is_present(const std::shared_ptr<Session>& session) const {
    return session != nullptr && session == session_ && !session->is_over();
  }

  runtime::Runtime& runtime_;
  MetadataCache& cache_;
  std::shared_ptr<Session> session_;      // Null before the first.
  std::map<std::string, TopicId> known_;  // Topics whose configs the cache has, or is to have.
  std::string last_change_;               // Of /config/changes; what comes before it was taken.
  bool has_news_ = false;                 // In /config/changes.
  bool stopping_ = false;
  runtime::Event changed_;  // A notification came, a session began, a read is done, or we stop.
  runtime::Gate gate_;
};

}  // namespace qlab::controller
