#include "wire/kafka/delete_records.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::DeleteRecordsRequest;
using wire::DeleteRecordsResponse;
using wire::KafkaError;

Task<Result<Offset>> delete_here(Partitions::ReplicaPtr replica, Offset before, Time deadline) {
  if (replica == nullptr) {
    co_return fail(Errc::not_leader, "this broker has no replica of the partition");
  }
  co_return co_await replica->delete_records(before, deadline);
}

KafkaError delete_error(Errc code) {
  return code == Errc::unsupported ? KafkaError::policy_violation : wire::kafka_error_of(code);
}

// One partition of the request; its answer outlives the work.
struct Order {
  PartitionKey key;
  Offset before;
  Time deadline;
  DeleteRecordsResponse::Partition* answer = nullptr;
};

Task<void> delete_one(Services& services, std::shared_ptr<Order> order) {
  const auto work = [order](Partitions::ReplicaPtr replica) {
    return delete_here(std::move(replica), order->before, order->deadline);
  };
  const auto low = co_await services.partitions.with_replica<Result<Offset>>(order->key, work);
  if (low) order->answer->low_watermark = *low;
  if (!low) order->answer->error_code = delete_error(low.error().code);
}

}  // namespace

// Deletes all records below an offset, on all replicas (KIP-107).
Task<Result<Bytes>> handle_delete_records(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<DeleteRecordsRequest>(request));
  DeleteRecordsResponse response;
  for (const auto& topic : message.topics) {
    auto& answers = response.topics.emplace_back();
    answers.name = topic.name;
    for (const auto& partition : topic.partitions) {
      answers.partitions.emplace_back().partition_index = partition.partition_index;
    }
  }
  const Time deadline = client_deadline(services, message.timeout_ms);
  runtime::Gate deletions(services.runtime);
  for (std::size_t t = 0; t < message.topics.size(); ++t) {
    const auto& topic = message.topics[t];
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      auto& answer = response.topics[t].partitions[p];
      auto key = find_partition(services, topic.name, topic.partitions[p].partition_index);
      if (!key) {
        answer.error_code = KafkaError::unknown_topic_or_partition;
        continue;
      }
      auto order = std::make_shared<Order>();
      order->key = std::move(*key);
      order->before = topic.partitions[p].offset;
      order->deadline = deadline;
      order->answer = &answer;
      deletions.start([&services, order] { return delete_one(services, order); });
    }
  }
  co_await deletions.close();
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
