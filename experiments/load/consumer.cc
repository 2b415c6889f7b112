#include "experiments/load/consumer.h"

#include <algorithm>

#include "experiments/load/record_value.h"
#include "experiments/load/schedule.h"

namespace qlab::experiments {

PartitionReader::PartitionReader(const LoadOptions& options, Client client)
    : options_(&options),
      client_(std::move(client)),
      topic_(rd_kafka_topic_new(client_.get(), options.topic.c_str(), nullptr)),
      queue_(rd_kafka_queue_new(client_.get())) {}

Result<PartitionReader> PartitionReader::make(const LoadOptions& options,
                                              const Properties& properties) {
  TRY(Client client, make_client(RD_KAFKA_CONSUMER, options, properties));
  return PartitionReader(options, std::move(client));
}

PartitionReader::~PartitionReader() {
  for (const std::int32_t partition : started_) rd_kafka_consume_stop(topic_.get(), partition);
}

Result<std::pair<std::int64_t, std::int64_t>> PartitionReader::ends_of(std::int32_t partition) {
  std::pair<std::int64_t, std::int64_t> ends;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      client_.get(), options_->topic.c_str(), partition, &ends.first, &ends.second,
      static_cast<int>(options_->connect_timeout_ms));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(Errc::timed_out, "the ends of {}-{} are unknown: {}", options_->topic, partition,
                rd_kafka_err2str(error));
  }
  return ends;
}

Result<std::vector<std::int64_t>> PartitionReader::ends_of_all(std::int32_t partitions) {
  const Partitions asked(rd_kafka_topic_partition_list_new(partitions));
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    auto* entry =
        rd_kafka_topic_partition_list_add(asked.get(), options_->topic.c_str(), partition);
    entry->offset = RD_KAFKA_OFFSET_END;  // In place of a time.
  }
  const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(
      client_.get(), asked.get(), static_cast<int>(options_->connect_timeout_ms));
  std::vector<std::int64_t> ends(static_cast<std::size_t>(partitions));
  for (int i = 0; i < asked->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = asked->elems[i];
    const rd_kafka_resp_err_t wrong = error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : entry.err;
    if (wrong != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return fail(Errc::timed_out, "the end of {}-{} is unknown: {}", options_->topic,
                  entry.partition, rd_kafka_err2str(wrong));
    }
    ends[static_cast<std::size_t>(entry.partition)] = entry.offset;
  }
  return ends;
}

Result<void> PartitionReader::read_from(std::int32_t partition, std::int64_t offset) {
  if (rd_kafka_consume_start_queue(topic_.get(), partition, offset, queue_.get()) != 0) {
    return fail(Errc::io, "{}-{} cannot be read: {}", options_->topic, partition,
                rd_kafka_err2str(rd_kafka_last_error()));
  }
  started_.push_back(partition);
  return {};
}

Message PartitionReader::next(std::chrono::milliseconds wait) {
  return Message(rd_kafka_consume_queue(queue_.get(), static_cast<int>(wait.count())));
}

Delivery delivery_of(const rd_kafka_message_t& message, std::int64_t read_ns) {
  Delivery delivery{message.partition, message.offset, -1, 0, read_ns};
  const auto value =
      decode_value(ByteView(static_cast<const std::byte*>(message.payload), message.len));
  if (value) {
    delivery.number = value->number;
    delivery.intended_ns = value->intended_ns;
  }
  return delivery;
}

Consumer::Consumer(PartitionReader reader, std::size_t partitions, Recorder& recorder)
    : reader_(std::move(reader)), recorder_(recorder), read_(partitions) {}

Result<std::unique_ptr<Consumer>> Consumer::start(const LoadOptions& options,
                                                  std::int32_t partitions, Recorder& recorder) {
  TRY(PartitionReader reader, PartitionReader::make(options, {{"fetch.wait.max.ms", "100"},
                                                              {"fetch.error.backoff.ms", "10"},
                                                              {"queued.min.messages", "10000"}}));
  std::unique_ptr<Consumer> self(
      new Consumer(std::move(reader), static_cast<std::size_t>(partitions), recorder));
  TRY(const std::vector<std::int64_t> ends, self->reader_.ends_of_all(partitions));
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    const std::int64_t end = ends[static_cast<std::size_t>(partition)];
    self->read_[static_cast<std::size_t>(partition)] = end;
    TRY_VOID(self->reader_.read_from(partition, end));
  }
  self->thread_ = std::thread([raw = self.get()] { raw->read_all(); });
  return self;
}

void Consumer::read_all() {
  constexpr std::size_t kBatchMax = 1000;
  std::vector<Delivery> batch;
  while (running_) {
    const Message message = reader_.next(std::chrono::milliseconds(batch.empty() ? 50 : 0));
    if (message && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      recorder_.consumer_error(rd_kafka_err2name(message->err));
      continue;
    }
    if (message) batch.push_back(delivery_of(*message, monotonic_ns()));
    if (batch.empty() || (message && batch.size() < kBatchMax)) continue;
    recorder_.deliver(batch);
    for (const Delivery& d : batch) read_[static_cast<std::size_t>(d.partition)] = d.offset + 1;
    batch.clear();
  }
}

bool Consumer::has_read(const std::vector<std::pair<std::int32_t, std::int64_t>>& ends) const {
  return std::all_of(ends.begin(), ends.end(), [&](const auto& end) {
    return end.first < 0 || read_[static_cast<std::size_t>(end.first)] >= end.second;
  });
}

void Consumer::stop() {
  running_ = false;
  if (thread_.joinable()) thread_.join();
}

Consumer::~Consumer() {
  stop();
}

}  // namespace qlab::experiments
