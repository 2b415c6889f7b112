// Topics come, grow and go, as the watches on their znodes tell.
//
// Source: Kafka 3.9, KafkaController.processTopicChange, processPartitionModifications.

#include <set>

#include "common/logging.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

Task<Result<void>> Reign::on_topics_changed() {
  std::string path(znodes::topics);
  CO_TRY(const auto names, co_await session_->children(path, true));
  const std::set<std::string> present(names.begin(), names.end());
  std::vector<std::string> gone;
  for (const auto& [name, topic] : context_.topics()) {
    // Whoever completes a deletion forgets the topic as the last act.
    if (!present.contains(name) && !topic.to_be_deleted) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    log(LogLevel::warn, "controller", "topic '{}' was removed from outside", name);
    context_.remove_topic(name);
  }
  std::vector<std::string> fresh;
  for (const std::string& name : present) {
    if (context_.topic(name) == nullptr) fresh.push_back(name);
  }
  CO_TRY_VOID(co_await read_topics(fresh));
  Partitions partitions;
  for (const std::string& name : fresh) {
    ZkTopic* const topic = context_.topic(name);
    if (topic == nullptr) continue;
    const Partitions all = context_.partitions_of(*topic);
    partitions.insert(partitions.end(), all.begin(), all.end());
  }
  co_return co_await on_new_partitions(std::move(partitions));
}

Task<Result<void>> Reign::on_topic_modified(std::string name) {
  std::string path = znodes::topic(name);
  if (context_.topic(name) == nullptr) co_return Result<void>{};
  CO_TRY(const auto found, co_await session_->get(path, true));
  ZkTopic* const topic = context_.topic(name);
  if (!found || topic == nullptr || topic->to_be_deleted) co_return Result<void>{};
  CO_TRY(const auto value, znodes::decode_topic(path, found->data));
  if (value.id != topic->id || value.replicas.size() < topic->partitions.size()) {
    co_return fail(Errc::corrupt, "znode {} has another id or fewer partitions than before", path);
  }
  Partitions added = context_.extend(*topic, value, found->stat.version);
  co_return co_await on_new_partitions(std::move(added));
}

Task<Result<void>> Reign::on_new_partitions(Partitions partitions) {
  if (partitions.empty()) co_return Result<void>{};
  Replicas replicas;
  for (const PartitionRef ref : partitions) {
    for (const ReplicaRef& replica : context_.replicas_of(ref)) replicas.push_back(replica);
  }
  to_new(partitions);
  to_new(replicas);
  CO_TRY_VOID(co_await to_online(partitions, Election::offline));
  to_online(replicas);
  for (const PartitionRef ref : partitions) ref.topic->is_settled = true;
  decided_->notify_all();
  co_return Result<void>{};
}

}  // namespace qlab::controller
