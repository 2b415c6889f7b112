#pragma once
// Reads along while a run produces, in the same process and on the same clock, for end-to-end
// latency.

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "common/result.h"
#include "experiments/load/kafka_client.h"
#include "experiments/load/recorder.h"

namespace qlab::experiments {

// A client that reads a set of partitions from given offsets; without a group.
class PartitionReader {
 public:
  // Errors: as make_client.
  static Result<PartitionReader> make(const LoadOptions& options, const Properties& properties);
  PartitionReader(PartitionReader&&) = default;
  ~PartitionReader();

  // The ends of a partition as its leader knows them: first offset, and high watermark.
  // Errors: timed_out.
  Result<std::pair<std::int64_t, std::int64_t>> ends_of(std::int32_t partition);
  // The high watermarks of the first so many partitions, asked for together.
  // Errors: timed_out.
  Result<std::vector<std::int64_t>> ends_of_all(std::int32_t partitions);
  // Errors: io.
  Result<void> read_from(std::int32_t partition, std::int64_t offset);
  // The next message (or error in place of one), or null after `wait`.
  Message next(std::chrono::milliseconds wait);

  rd_kafka_t* client() { return client_.get(); }

 private:
  PartitionReader(const LoadOptions& options, Client client);

  const LoadOptions* options_;
  Client client_;
  Topic topic_;
  Queue queue_;
  std::vector<std::int32_t> started_;
};

// What a message says, checked; its `number` is -1 when its value is not one of ours.
Delivery delivery_of(const rd_kafka_message_t& message, std::int64_t read_ns);

class Consumer {
 public:
  // Starts to read all of `partitions` partitions from their present ends. Errors: timed_out, io.
  static Result<std::unique_ptr<Consumer>> start(const LoadOptions& options,
                                                 std::int32_t partitions, Recorder& recorder);
  ~Consumer();

  // Whether each partition has been read up to its offset in `ends`.
  bool has_read(const std::vector<std::pair<std::int32_t, std::int64_t>>& ends) const;
  void stop();

 private:
  Consumer(PartitionReader reader, std::size_t partitions, Recorder& recorder);
  void read_all();

  PartitionReader reader_;
  Recorder& recorder_;
  std::vector<std::atomic<std::int64_t>> read_;  // By partition: one past the last offset read.
  std::atomic<bool> running_ = true;
  std::thread thread_;
};

}  // namespace qlab::experiments
