// Topics come, grow and go, as the watches on their znodes tell.
//
// Source: Kafka 3.9, KafkaController.processTopicChange, processPartitionModifications.

#include <algorithm>
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

// Some at a time, from their znodes to the requests that tell of them and the brokers' answers: so
// nobody waits behind a million in one go, and brokers that have more to open than the keeper to
// write are not told of more than they can open beside what their clients want of them. All are new
// from the first, as Kafka has them: what an error leaves so is elected with whatever else waits.
Task<Result<void>> Reign::on_new_partitions(Partitions partitions) {
  to_new(partitions);
  for (std::size_t at = 0; at < partitions.size();) {
    const std::size_t end = std::min(partitions.size(), at + options_.partitions_born_at_once);
    Partitions some(partitions.begin() + static_cast<std::ptrdiff_t>(at),
                    partitions.begin() + static_cast<std::ptrdiff_t>(end));
    const auto copies = static_cast<std::int64_t>(context_.replicas(some.front().get()).size());
    const Time began = runtime_.now();
    CO_TRY_VOID(co_await bring_to_life(std::move(some)));
    for (; at < end; ++at) {
      const bool is_last =
          at + 1 == partitions.size() || partitions[at + 1].topic != partitions[at].topic;
      if (is_last) partitions[at].topic->is_settled = true;
    }
    decided_->notify_all();
    if (at == partitions.size()) break;
    const Time now = runtime_.now();
    co_await channels_.until_drained(now + (now - began) * (copies - 1));
    if (is_over_) co_return fail(Errc::closed, "the reign has ended");
  }
  co_return Result<void>{};
}

Task<Result<void>> Reign::bring_to_life(Partitions partitions) {
  Replicas replicas;
  for (const PartitionRef ref : partitions) {
    for (const ReplicaRef& replica : context_.replicas_of(ref)) replicas.push_back(replica);
  }
  to_new(replicas);
  CO_TRY_VOID(co_await to_online(partitions, Election::offline));
  to_online(replicas);
  co_return Result<void>{};
}

}  // namespace qlab::controller
