#pragma once
// One producer: a thread that sends at intended times and a thread that takes the answers.

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "common/result.h"
#include "experiments/load/kafka_client.h"
#include "experiments/load/recorder.h"
#include "experiments/load/schedule.h"

namespace qlab::experiments {

class Producer {
 public:
  // Connects. `process` is its number in the history. Errors: as make_client.
  static Result<std::unique_ptr<Producer>> make(const LoadOptions& options, int process,
                                                Recorder& recorder);
  ~Producer();

  rd_kafka_t* client() { return client_.get(); }

  // Starts sending at `schedule`; numbers come from `numbers`, which all producers share.
  void start(Schedule schedule, std::int32_t partitions, std::atomic<std::int64_t>& numbers);
  // Sends nothing more. Returns when the sending thread has ended.
  void stop_sending();
  // Ends the answering thread; what has no answer by now stays open in the recorder.
  void stop();

 private:
  Producer(const LoadOptions& options, int process, Recorder& recorder);

  void send_all(Schedule schedule, std::int32_t partitions, std::atomic<std::int64_t>& numbers);
  void send(const Operation& operation, Prng& keys);
  static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* self);

  const LoadOptions& options_;
  const int process_;
  Recorder& recorder_;
  Client client_;
  std::atomic<bool> sending_ = true;
  std::atomic<bool> answering_ = true;
  std::thread sender_;
  std::thread answerer_;
};

}  // namespace qlab::experiments
