#pragma once
// librdkafka's C API with owners, our settings, and errors as Results.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "common/result.h"
#include "experiments/load/measurements.h"
#include "experiments/load/options.h"

namespace qlab::experiments {

template <class T, void (*release)(T*)>
struct Releases {
  void operator()(T* held) const { release(held); }
};
template <class T, void (*release)(T*)>
using Owned = std::unique_ptr<T, Releases<T, release>>;

using Client = Owned<rd_kafka_t, rd_kafka_destroy>;
using Topic = Owned<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Message = Owned<rd_kafka_message_t, rd_kafka_message_destroy>;
using Partitions = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;

using Properties = std::vector<std::pair<std::string, std::string>>;
using DeliveryCallback = void (*)(rd_kafka_t*, const rd_kafka_message_t*, void*);

// What librdkafka itself says (connections lost, requests timed out) goes to this file, stamped
// with monotonic time, and not to the terminal. Called once, before the first client.
Result<void> log_clients_to(const std::filesystem::path& path);

// A client with settings that find a new leader within tens of milliseconds, so that what is
// measured is the cluster and not the client's back-off; then `properties`, then the user's
// --client properties.
//
// Errors: invalid, with librdkafka's words about the property.
Result<Client> make_client(rd_kafka_type_t type, const LoadOptions& options,
                           const Properties& properties, DeliveryCallback on_delivery = nullptr,
                           void* opaque = nullptr);

// Asks until the topic is known and all its partitions have leaders, and returns how many it has.
// With options.create an unknown topic is created.
//
// Errors: timed_out after options.connect_timeout_ms; not_found for an unknown topic without
// options.create.
Result<std::int32_t> wait_for_topic(rd_kafka_t* client, const LoadOptions& options);

// One CreateTopics request for one topic; the answer arrives on `answers` with `opaque`.
void create_topic(rd_kafka_t* client, const LoadOptions& options, const std::string& name,
                  rd_kafka_queue_t* answers, void* opaque);

// The error of such an answer; NO_ERROR when the topic was created.
rd_kafka_resp_err_t created(const rd_kafka_event_t* answer);

// What is certain about a record (or a topic) after `error`. `status` is librdkafka's own opinion
// of a record.
//
// An error that a broker may return after it appended leaves the fate unknown, whatever the client
// thinks.
Outcome outcome_of(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status);

}  // namespace qlab::experiments
