#include "wire/kafka/produce.h"

#include "broker/handlers/handlers.h"
#include "common/logging.h"
#include "common/record_batch.h"
#include "storage/topic_options.h"

namespace qlab::broker {
namespace {

using replication::Acks;
using wire::KafkaError;
using wire::ProduceRequest;
using wire::ProduceResponse;

constexpr std::int16_t transactional_bit = 1 << 4;
constexpr std::int16_t control_bit = 1 << 5;
constexpr std::int16_t zstd_version_min = 7;

struct Refusal {
  KafkaError error;
  std::string words;
};

std::optional<Refusal> check_header(const BatchHeader& header, std::int16_t version) {
  const bool is_known = header.codec() <= Codec::zstd;
  if (!is_known || (header.codec() == Codec::zstd && version < zstd_version_min)) {
    return Refusal{KafkaError::unsupported_compression_type,
                   fmt::format("codec {} is not allowed in version {}",
                               static_cast<int>(header.codec()), version)};
  }
  if (header.record_count < 1 || header.last_offset_delta != header.record_count - 1) {
    return Refusal{KafkaError::invalid_record,
                   fmt::format("a batch of {} records whose last offset delta is {}",
                               header.record_count, header.last_offset_delta)};
  }
  if ((header.attributes & (transactional_bit | control_bit)) != 0) {
    return Refusal{KafkaError::invalid_record, "transactional and control batches are not taken"};
  }
  return std::nullopt;
}

// Why the records of one partition may not be appended. Their checksum is looked at here and
// nowhere else on the way to the log.
std::optional<Refusal> check_records(const Services& services, std::optional<ByteView> records,
                                     std::int16_t version) {
  if (!records || records->empty()) {
    return Refusal{KafkaError::invalid_record, "a partition without records"};
  }
  const auto headers = check_batches(*records);
  if (!headers) return Refusal{KafkaError::corrupt_message, headers.error().context};
  if (headers->size() != 1) {
    return Refusal{KafkaError::invalid_record,
                   fmt::format("{} batches for one partition; allowed: 1", headers->size())};
  }
  const std::size_t bytes_max = services.config.server.message_bytes_max;
  if (records->size() > bytes_max) {
    return Refusal{KafkaError::message_too_large,
                   fmt::format("a batch of {} bytes is larger than message.max.bytes={}",
                               records->size(), bytes_max)};
  }
  return check_header(headers->front(), version);
}

// Compaction could never take away a record without a key.
std::optional<Refusal> check_keys(const Services& services, const metadata::Topic& topic,
                                  ByteView records) {
  storage::LogOptions options = services.config.replication.log;
  const auto own = topic.configs.find("cleanup.policy");
  if (own != topic.configs.end()) {
    [[maybe_unused]] const Result<void> set =
        storage::set_topic_option(options, own->first, own->second);
  }
  if (!storage::compacts(options.cleanup_policy)) return std::nullopt;
  const Result<std::vector<Record>> decoded = decode_records(records);
  if (!decoded) return Refusal{KafkaError::corrupt_message, decoded.error().context};
  for (const Record& record : *decoded) {
    if (!record.key) {
      return Refusal{KafkaError::invalid_record, "a compacted topic takes no record without a key"};
    }
  }
  return std::nullopt;
}

// A gap or an old epoch ends an idempotent producer for good, so only a leader that is sure of
// itself says so. One that was frozen past its session may have a successor who has taken batches
// that it never saw; it sends the client away to look for the leader again.
KafkaError produce_error(const Services& services, Errc code) {
  const bool is_final = code == Errc::out_of_sequence || code == Errc::stale_producer;
  if (is_final && !services.lifecycle.is_in_session(services.config.controller.session_timeout)) {
    return KafkaError::not_leader_or_follower;
  }
  if (code == Errc::not_found) return KafkaError::not_leader_or_follower;
  return wire::kafka_error_of(code);
}

struct Appended {
  storage::AppendResult at;
  Offset log_start;
};

Task<Result<Appended>> append_here(Partitions::ReplicaPtr replica, Bytes records, Acks acks,
                                   Time deadline) {
  if (replica == nullptr) {
    co_return fail(Errc::not_leader, "this broker has no replica of the partition");
  }
  Appended appended;
  CO_TRY(appended.at, co_await replica->append(std::move(records), acks, deadline));
  appended.log_start = replica->log().start();
  co_return appended;
}

struct Order {
  PartitionKey key;
  Bytes records;
  Acks acks = Acks::all;
  Time deadline;
  ProduceResponse::Partition* answer = nullptr;  // Outlives the append.
};

// A full disk is for whoever runs the node, too; every refused batch is not.
void report_no_space(Services& services, const Error& error) {
  constexpr Duration pause = std::chrono::seconds(10);
  const Time now = services.runtime.now();
  if (services.no_space_said_at != Time{} && now < services.no_space_said_at + pause) return;
  services.no_space_said_at = now;
  log(LogLevel::error, "broker", "log.dir={}: no space left ({}); refusing what does not fit",
      services.config.log_dir, error.context);
}

Task<void> append(Services& services, std::shared_ptr<Order> order) {
  const auto work = [order](Partitions::ReplicaPtr replica) {
    return append_here(std::move(replica), std::move(order->records), order->acks, order->deadline);
  };
  const auto appended =
      co_await services.partitions.with_replica<Result<Appended>>(order->key, work);
  ProduceResponse::Partition& answer = *order->answer;
  if (appended) {
    answer.base_offset = appended->at.base;
    answer.log_start_offset = appended->log_start;
    co_return;
  }
  if (appended.error().code == Errc::no_space) report_no_space(services, appended.error());
  answer.error_code = produce_error(services, appended.error().code);
  answer.error_message = appended.error().message();
}

void refuse(ProduceResponse::Partition& answer, Refusal refusal) {
  answer.base_offset = Offset{-1};
  answer.error_code = refusal.error;
  answer.error_message = std::move(refusal.words);
}

std::optional<Refusal> check_request(const ProduceRequest& message) {
  if (message.transactional_id) {
    return Refusal{KafkaError::transactional_id_authorization_failed,
                   "this cluster has no transactions"};
  }
  if (message.acks < -1 || message.acks > 1) {
    return Refusal{KafkaError::invalid_required_acks,
                   fmt::format("acks is {}; allowed: -1, 0, 1", message.acks)};
  }
  return std::nullopt;
}

// What to append for one partition of the request; nothing when it was refused.
std::shared_ptr<Order> prepare(const Services& services, const std::string& topic,
                               const ProduceRequest::Partition& wanted, std::int16_t version,
                               ProduceResponse::Partition& answer) {
  answer.base_offset = Offset{-1};
  auto key = find_partition(services, topic, wanted.index);
  if (!key) {
    refuse(answer, {KafkaError::unknown_topic_or_partition, key.error().context});
    return nullptr;
  }
  if (auto refusal = check_records(services, wanted.records, version)) {
    refuse(answer, std::move(*refusal));
    return nullptr;
  }
  const metadata::TopicPtr found = services.cluster.image()->topic(key->topic_id);
  if (found != nullptr) {
    if (auto refusal = check_keys(services, *found, *wanted.records)) {
      refuse(answer, std::move(*refusal));
      return nullptr;
    }
  }
  auto order = std::make_shared<Order>();
  order->key = std::move(*key);
  order->records.assign(wanted.records->begin(), wanted.records->end());
  order->answer = &answer;
  return order;
}

// An answer for every partition, in the order of the request.
ProduceResponse skeleton(const ProduceRequest& message) {
  ProduceResponse response;
  for (const auto& topic : message.topics) {
    auto& answers = response.topics.emplace_back();
    answers.name = topic.name;
    for (const auto& partition : topic.partitions) {
      answers.partitions.emplace_back().index = partition.index;
    }
  }
  return response;
}

std::optional<std::string> first_error(const ProduceResponse& response) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code == KafkaError::none) continue;
      return fmt::format("{}-{}: {}", topic.name, partition.index, name_of(partition.error_code));
    }
  }
  return std::nullopt;
}

}  // namespace

Task<Result<Bytes>> handle_produce(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<ProduceRequest>(request));
  const auto refusal = check_request(message);
  ProduceResponse response = skeleton(message);
  const Time deadline = client_deadline(services, message.timeout_ms);

  // All appends begin before this request waits for the first one, so that requests behind it
  // cannot get in front of them.
  runtime::Gate appends(services.runtime);
  for (std::size_t t = 0; t < message.topics.size(); ++t) {
    const auto& topic = message.topics[t];
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      auto& answer = response.topics[t].partitions[p];
      if (refusal) {
        refuse(answer, *refusal);
        continue;
      }
      const auto order =
          prepare(services, topic.name, topic.partitions[p], request.header.api_version, answer);
      if (order == nullptr) continue;
      order->acks = static_cast<Acks>(message.acks);
      order->deadline = deadline;
      appends.start([&services, order] { return append(services, order); });
    }
  }
  co_await appends.close();

  if (message.acks != 0) co_return encode_answer(request, response);
  // There is no answer to put an error into; a closed connection makes the client look again.
  if (const auto error = first_error(response)) {
    co_return fail(Errc::invalid, "a produce request without acks failed ({})", *error);
  }
  co_return Bytes{};
}

}  // namespace qlab::broker
