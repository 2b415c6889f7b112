#include "experiments/load/kafka_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "experiments/load/schedule.h"

namespace qlab::experiments {
namespace {

using Conf = Owned<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using AdminOptions = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using NewTopic = Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;

using Words = std::array<char, 512>;

// Process-wide, because librdkafka's callback may come before rd_kafka_new has returned anything to
// hang it on.
std::FILE* client_log = stderr;

void on_log(const rd_kafka_t* client, int level, const char* facility, const char* words) {
  std::fprintf(client_log, "%lld %d %s %s: %s\n", static_cast<long long>(monotonic_ns()), level,
               client != nullptr ? rd_kafka_name(client) : "-", facility, words);
}

Properties standard_properties(const LoadOptions& options) {
  return {
      {"bootstrap.servers", options.bootstrap},
      {"client.id", "qlab-load"},
      {"socket.timeout.ms",
       std::to_string(std::max<std::int64_t>(options.request_timeout_ms, 110))},
      {"socket.nagle.disable", "true"},
      {"reconnect.backoff.ms", "10"},
      {"reconnect.backoff.max.ms", "100"},
      {"retry.backoff.ms", "10"},
      {"topic.metadata.refresh.fast.interval.ms", "20"},
      {"topic.metadata.refresh.sparse", "true"},
      {"log.connection.close", "true"},
  };
}

// One metadata request. Negative: no answer, or not all partitions have leaders; 0: the topic is
// unknown.
std::int32_t partitions_now(rd_kafka_t* client, const LoadOptions& options) {
  const Topic topic(rd_kafka_topic_new(client, options.topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  if (rd_kafka_metadata(client, 0, topic.get(), &raw, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return -1;
  const Owned<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> metadata(raw);
  if (metadata->topic_cnt != 1) return -1;
  const rd_kafka_metadata_topic_t& found = metadata->topics[0];
  if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return 0;
  if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR || found.partition_cnt == 0) return -1;
  for (int i = 0; i < found.partition_cnt; ++i) {
    if (found.partitions[i].leader < 0) return -1;
  }
  return found.partition_cnt;
}

// Waits for the answer; a topic that somebody else has created meanwhile is there as well.
Result<void> create_and_wait(rd_kafka_t* client, const LoadOptions& options) {
  const Queue answers(rd_kafka_queue_new(client));
  create_topic(client, options, options.topic, answers.get(), nullptr);
  const Event answer(
      rd_kafka_queue_poll(answers.get(), static_cast<int>(options.request_timeout_ms) + 1000));
  if (!answer) return fail(Errc::timed_out, "no answer to the creation of {}", options.topic);
  const rd_kafka_resp_err_t error = created(answer.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return fail(Errc::io, "topic {} was not created: {}", options.topic, rd_kafka_err2str(error));
  }
  return {};
}

}  // namespace

Result<void> log_clients_to(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return fail(errno_error(errno, path.string()));
  std::setvbuf(file, nullptr, _IOLBF, 0);
  client_log = file;
  return {};
}

Result<Client> make_client(rd_kafka_type_t type, const LoadOptions& options,
                           const Properties& properties, DeliveryCallback on_delivery,
                           void* opaque) {
  Conf conf(rd_kafka_conf_new());
  Words words{};
  const Properties standard = standard_properties(options);
  for (const Properties* list : {&standard, &properties, &options.client}) {
    for (const auto& [name, value] : *list) {
      if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), words.data(), words.size()) !=
          RD_KAFKA_CONF_OK) {
        return fail(Errc::invalid, "client property {}={}: {}", name, value, words.data());
      }
    }
  }
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  rd_kafka_conf_set_opaque(conf.get(), opaque);
  if (on_delivery != nullptr) rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
  Client client(rd_kafka_new(type, conf.get(), words.data(), words.size()));
  if (!client) return fail(Errc::invalid, "client: {}", words.data());
  static_cast<void>(conf.release());  // The client owns it now.
  return client;
}

Result<std::int32_t> wait_for_topic(rd_kafka_t* client, const LoadOptions& options) {
  const std::int64_t deadline_ns = monotonic_ns() + options.connect_timeout_ms * 1'000'000;
  bool asked = false;
  bool unknown = false;
  while (monotonic_ns() < deadline_ns) {
    const std::int32_t found = partitions_now(client, options);
    if (found > 0) return found;
    unknown = found == 0;
    if (unknown && !options.create) break;
    if (unknown && !asked) {
      TRY_VOID(create_and_wait(client, options));
      asked = true;
    }
    rd_kafka_poll(client, 20);
  }
  if (unknown) return fail(Errc::not_found, "topic {} is unknown to the cluster", options.topic);
  return fail(Errc::timed_out, "no leader for every partition of {} from {} within {} ms",
              options.topic, options.bootstrap, options.connect_timeout_ms);
}

void create_topic(rd_kafka_t* client, const LoadOptions& options, const std::string& name,
                  rd_kafka_queue_t* answers, void* opaque) {
  Words words{};
  const NewTopic topic(rd_kafka_NewTopic_new(
      name.c_str(), static_cast<int>(std::max<std::int64_t>(1, options.partitions)),
      static_cast<int>(options.replication_factor), words.data(), words.size()));
  if (options.min_insync > 1) {
    rd_kafka_NewTopic_set_config(topic.get(), "min.insync.replicas",
                                 std::to_string(options.min_insync).c_str());
  }
  const AdminOptions admin(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS));
  const auto timeout_ms = static_cast<int>(options.request_timeout_ms);
  rd_kafka_AdminOptions_set_request_timeout(admin.get(), timeout_ms, words.data(), words.size());
  rd_kafka_AdminOptions_set_operation_timeout(admin.get(), timeout_ms, words.data(), words.size());
  rd_kafka_AdminOptions_set_opaque(admin.get(), opaque);
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client, topics, 1, admin.get(), answers);
}

rd_kafka_resp_err_t created(const rd_kafka_event_t* answer) {
  // The event's accessors are not const in librdkafka's header, though they change nothing.
  auto* event = const_cast<rd_kafka_event_t*>(answer);
  if (const rd_kafka_resp_err_t error = rd_kafka_event_error(event)) return error;
  std::size_t count = 0;
  const rd_kafka_topic_result_t** topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  return count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
}

Outcome outcome_of(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Outcome::ok;
  if (status != RD_KAFKA_MSG_STATUS_NOT_PERSISTED) return Outcome::info;
  if (error < 0) return Outcome::fail;  // The client's own: it never left.
  switch (error) {                      // A broker says these before it appends, or never appends.
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return Outcome::fail;
    default:
      return Outcome::info;
  }
}

}  // namespace qlab::experiments
