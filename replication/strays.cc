#include "replication/strays.h"

#include <algorithm>

#include "common/logging.h"
#include "replication/replicas.h"
#include "storage/kafka_files.h"

namespace qlab::replication {
namespace {

// The topic of the partition with that name, if the broker is among its replicas.
std::optional<TopicId> tenant_of(const metadata::Image& image, NodeId broker,
                                 std::string_view name) {
  const auto partition = storage::partition_named(name);
  if (!partition) return std::nullopt;
  const metadata::TopicPtr topic = image.topic(partition->topic);
  if (topic == nullptr) return std::nullopt;
  const auto index = static_cast<std::size_t>(partition->partition.value());
  if (index >= topic->partitions.size()) return std::nullopt;
  const auto& replicas = topic->partitions[index]->replicas;
  if (std::find(replicas.begin(), replicas.end(), broker) == replicas.end()) return std::nullopt;
  return topic->id;
}

}  // namespace

Task<Result<std::vector<storage::LogName>>> find_strays(storage::Layout& layout,
                                                        metadata::ImagePtr image, LogOwner owner) {
  storage::Tenants tenants = [image, broker = owner.broker](std::string_view name) {
    return tenant_of(*image, broker, name);
  };
  CO_TRY(std::vector<storage::LogName> strays, co_await layout.find_strays(std::move(tenants)));
  std::erase_if(strays, [&owner](const storage::LogName& name) {
    const PartitionIndex index = storage::partition_named(name.partition)->partition;
    return shard_of(name.topic, index, owner.shard_count) != owner.shard;
  });
  co_return std::move(strays);
}

Task<void> drop_strays(storage::Layout& layout, metadata::ImagePtr image, LogOwner owner) {
  auto strays = co_await find_strays(layout, std::move(image), owner);
  if (!strays) {
    log(LogLevel::warn, "replicas", "looking for stray logs: {}, ignoring",
        strays.error().message());
    co_return;
  }
  if (strays->empty()) co_return;
  log(LogLevel::info, "replicas",
      "{} logs are no replicas of this broker any more, as {}; deleting them", strays->size(),
      strays->front().partition);
  const auto removed = co_await layout.remove(std::move(*strays));
  if (removed) co_return;
  log(LogLevel::warn, "replicas", "deleting stray logs: {}, ignoring", removed.error().message());
}

}  // namespace qlab::replication
