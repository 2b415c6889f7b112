#include "metadata/snapshot.h"

#include <algorithm>

namespace qlab::metadata {
namespace {

constexpr std::size_t records_per_entry = 500;
constexpr std::uint32_t entry_bytes_max = 64u << 20;  // More is no length.

Records configs_of(TopicId topic, NodeId broker, const Configs& configs) {
  Records records;
  for (const auto& [key, value] : configs) {
    ConfigRecord record;
    record.topic_id = topic;
    record.broker_id = broker;
    record.key = key;
    record.value = value;
    records.emplace_back(record);
  }
  return records;
}

RegisterBrokerRecord record_of(const Broker& broker) {
  RegisterBrokerRecord record;
  record.broker_id = broker.id;
  record.broker_epoch = broker.epoch;
  record.incarnation = broker.incarnation;
  record.directory = broker.directory;
  record.host = broker.host;
  record.port = broker.port;
  record.rack = broker.rack;
  record.registered_at = broker.registered_at;
  record.unfenced = !broker.fenced;
  record.shutting_down = broker.shutting_down;
  return record;
}

}  // namespace

SnapshotWriter::SnapshotWriter(ImagePtr image)
    : image_(std::move(image)), topics_(image_->topics()), forming_(image_->forming().begin()) {}

Bytes SnapshotWriter::next(std::size_t bytes_max) {
  while (part_ != Part::done && out_.size() < bytes_max) {
    switch (part_) {
      case Part::brokers:
        put_brokers();
        part_ = Part::topics;
        break;
      case Part::topics:
        if (!put_topics()) part_ = Part::forming;
        break;
      case Part::forming:
        if (!put_topics()) part_ = Part::end;
        break;
      case Part::end:
        out_.put<std::uint32_t>(0);
        part_ = Part::done;
        break;
      case Part::done:
        break;
    }
  }
  Bytes piece = out_.take();
  out_ = {};
  return piece;
}

void SnapshotWriter::put(const Records& records) {
  if (records.empty()) return;
  const Bytes entry = encode_entry(records);
  out_.put(static_cast<std::uint32_t>(entry.size()));
  out_.put_bytes(entry);
}

void SnapshotWriter::put_brokers() {
  // By epoch, for epochs rise from registration to registration.
  std::map<BrokerEpoch, const Broker*> by_epoch;
  for (const auto& [id, broker] : image_->brokers()) by_epoch[broker.epoch] = &broker;
  Records records;
  for (const auto& [epoch, broker] : by_epoch) {
    records.emplace_back(record_of(*broker));
    for (Record& config : configs_of({}, broker->id, image_->broker_configs(broker->id))) {
      records.push_back(std::move(config));
    }
  }
  for (Record& config : configs_of({}, no_node, image_->broker_configs(no_node))) {
    records.push_back(std::move(config));
  }
  if (image_->next_producer_id().value() > 0) {
    ProducerIdsRecord ids;
    ids.next_producer_id = image_->next_producer_id();
    records.emplace_back(ids);
  }
  put(records);
}

bool SnapshotWriter::put_topics() {
  Records records;
  while (records.size() < records_per_entry) {
    if (topic_ == nullptr) {
      if (part_ == Part::topics) {
        const TopicPtr* next = topics_.next().second;
        if (next != nullptr) topic_ = *next;
      } else if (forming_ != image_->forming().end()) {
        topic_ = (forming_++)->second;
      }
      if (topic_ == nullptr) break;
      TopicRecord record;
      record.name = topic_->name;
      record.topic_id = topic_->id;
      const auto size = static_cast<std::int32_t>(topic_->partitions.size());
      record.partitions = part_ == Part::topics ? size : topic_->partitions_wanted;
      records.emplace_back(record);
      for (Record& config : configs_of(topic_->id, no_node, topic_->configs)) {
        records.push_back(std::move(config));
      }
      partition_ = 0;
    }
    while (partition_ < topic_->partitions.size() && records.size() < records_per_entry) {
      const PartitionIndex index{static_cast<std::int32_t>(partition_)};
      records.emplace_back(record_of(topic_->id, index, *topic_->partitions[partition_++]));
    }
    if (partition_ == topic_->partitions.size()) topic_ = nullptr;
  }
  put(records);
  return !records.empty();
}

Result<void> SnapshotReader::add(ByteView piece) {
  left_.insert(left_.end(), piece.begin(), piece.end());
  std::size_t at = 0;
  while (left_.size() - at >= sizeof(std::uint32_t)) {
    if (ended_) return fail(Errc::corrupt, "a metadata image goes on behind its end");
    const auto length = load_big<std::uint32_t>(left_.data() + at);
    if (length > entry_bytes_max) {
      return fail(Errc::corrupt, "an entry of {} bytes in a metadata image", length);
    }
    const std::size_t begin = at + sizeof length;
    if (left_.size() - begin < length) break;
    at = begin + length;
    if (length == 0) {
      ended_ = true;
      continue;
    }
    TRY(const Records records, decode_entry(ByteView(left_).subspan(begin, length)));
    image_ = image_.replay(records, LogIndex{0}, delta_);
  }
  left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

Result<Image> SnapshotReader::finish(LogIndex at, Delta& delta) {
  if (!ended_ || !left_.empty()) return fail(Errc::corrupt, "a metadata image without its end");
  delta = std::move(delta_);
  return image_.replay({}, at, delta);
}

}  // namespace qlab::metadata
