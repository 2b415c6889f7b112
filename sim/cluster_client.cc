#include "sim/cluster_client.h"

#include <fmt/format.h>

#include "common/record_batch.h"
#include "runtime/trace.h"
#include "wire/kafka/create_topics.h"
#include "wire/kafka/delete_topics.h"
#include "wire/kafka/init_producer_id.h"
#include "wire/kafka/produce.h"

namespace qlab::sim {
namespace {

using runtime::Task;
using std::chrono::milliseconds;
using wire::KafkaError;

constexpr Duration patience = milliseconds(2500);
constexpr std::int32_t timeout_ms = 2000;

Result<std::vector<SeenRecord>> records_of(ByteView batches) {
  std::vector<SeenRecord> seen;
  while (!batches.empty()) {
    TRY(const BatchHeader header, check_batch(batches));
    TRY(const auto records, decode_records(batches.first(header.total_bytes())));
    for (const Record& record : records) {
      if (!record.value || record.value->size() < sizeof(std::uint64_t)) {
        return fail(Errc::corrupt, "a record that no client has produced");
      }
      seen.push_back({header.base_offset.plus(record.offset_delta),
                      load_big<std::uint64_t>(record.value->data())});
    }
    batches = batches.subspan(header.total_bytes());
  }
  return seen;
}

Error refusal(KafkaError error) {
  return {Errc::not_leader, wire::name_of(error)};
}

}  // namespace

ClusterClient::ClusterClient(runtime::Runtime& runtime, ClusterHistory& history,
                             ClientOptions options)
    : runtime_(runtime),
      history_(history),
      options_(std::move(options)),
      random_(runtime.random().fork()),
      connections_(runtime),
      last_value_(static_cast<std::uint64_t>(options_.number) * values_per_client),
      gate_(runtime) {
  gate_.start([this] { return run(); });
}

void ClusterClient::tell(std::string_view what, const std::string& where,
                         std::string_view outcome) {
  ++history_.operations;
  if (outcome == "NONE") ++history_.answered;
  runtime_.trace().emit(what, {{"at", std::string_view(where)}, {"outcome", outcome}});
}

Task<void> ClusterClient::run() {
  while (true) {
    const Duration pause(random_.between(1, 2 * options_.interval.count()));
    co_await runtime::sleep_for(runtime_, pause);
    if (resting_) co_return;
    busy_ = true;
    co_await operate();
    busy_ = false;
  }
}

Task<void> ClusterClient::operate() {
  if (random_.chance(options_.topic_chance) || history_.topics.empty()) {
    if (on_change) on_change();
    std::vector<std::string> churn(1, fmt::format("churn-{}", random_.below(churn_names)));
    if (random_.chance(0.3)) churn.push_back(fmt::format("churn-{}", random_.below(churn_names)));
    const auto partition = any_partition();
    switch (random_.below(8)) {
      case 0:
      case 1:
        co_return co_await create_topic();
      case 2:
        if (partition) churn.push_back(partition->topic);
        [[fallthrough]];
      case 3:
      case 4:
        co_return co_await delete_topics(std::move(churn));
      default:
        co_return co_await create_churn();
    }
  }
  if (random_.chance(options_.admin_chance)) {
    if (on_change) on_change();
    co_return co_await administer();
  }
  if (random_.chance(0.6)) co_return co_await produce_somewhere();
  co_await fetch_somewhere();
}

NodeId ClusterClient::any_broker() {
  return options_.brokers[random_.below(options_.brokers.size())];
}

std::optional<TopicPartition> ClusterClient::any_partition() {
  if (history_.topics.empty()) return std::nullopt;
  auto topic = history_.topics.begin();
  std::advance(topic, static_cast<std::ptrdiff_t>(random_.below(history_.topics.size())));
  const auto index = random_.between(0, topic->second.partitions - 1);
  return TopicPartition{topic->first, PartitionIndex{static_cast<std::int32_t>(index)}};
}

Task<Result<KafkaError>> ClusterClient::create(std::string name, std::int32_t partitions,
                                               std::int16_t replicas) {
  wire::CreateTopicsRequest request;
  request.timeout_ms = timeout_ms;
  auto& wanted = request.topics.emplace_back();
  wanted.name = name;
  wanted.num_partitions = partitions;
  wanted.replication_factor = replicas;
  const NodeId broker = any_broker();
  auto answer = co_await connections_.ask(broker, std::move(request), 7, patience);
  if (!answer || answer->message.topics.empty()) {
    tell("client_create", name, "no answer");
    co_return fail(Errc::closed, "no answer");
  }
  const KafkaError error = answer->message.topics[0].error_code;
  tell("client_create", name, wire::name_of(error));
  if (error == KafkaError::none) ++history_.topics_made;
  co_return error;
}

Task<void> ClusterClient::create_topic() {
  const std::string name = fmt::format("data-{}-{}", options_.number, ++last_topic_);
  TopicFate fate;
  fate.partitions = static_cast<std::int32_t>(random_.between(1, options_.partitions_max));
  fate.replicas = static_cast<std::int16_t>(random_.chance(0.8) ? options_.replicas_max : 1);
  const auto created = co_await create(name, fate.partitions, fate.replicas);
  fate.is_created = created && *created == KafkaError::none;
  // One that was refused is not there; another answer leaves it open.
  const bool is_open = !created || *created == KafkaError::request_timed_out ||
                       *created == KafkaError::not_controller;
  if (fate.is_created || is_open) history_.topics.emplace(name, fate);
}

Task<void> ClusterClient::create_churn() {
  const std::string name = fmt::format("churn-{}", random_.below(churn_names));
  const auto partitions =
      static_cast<std::int32_t>(random_.between(1, options_.churn_partitions_max));
  const auto replicas = static_cast<std::int16_t>(random_.between(1, options_.replicas_max));
  const auto created = co_await create(name, partitions, replicas);
  static_cast<void>(created);
}

Task<void> ClusterClient::delete_topics(std::vector<std::string> names) {
  wire::DeleteTopicsRequest request;
  request.timeout_ms = timeout_ms;
  for (const std::string& name : names) {
    if (TopicFate* const fate = fate_of(name)) fate->is_deletion_asked = true;
    request.topics.emplace_back().name = name;
  }
  const NodeId broker = any_broker();
  const auto answer = co_await connections_.ask(broker, std::move(request), 6, patience);
  if (!answer || answer->message.responses.size() != names.size())
    co_return tell("client_delete", names.back(), "no answer");
  for (std::size_t n = 0; n < names.size(); ++n) {
    const auto& outcome = answer->message.responses[n];
    tell("client_delete", names[n], wire::name_of(outcome.error_code));
    if (outcome.error_code != KafkaError::none) continue;
    ++history_.topics_deleted;
    if (!outcome.topic_id.is_zero()) history_.deleted.insert(outcome.topic_id);
    history_.topics.erase(names[n]);
  }
}

TopicFate* ClusterClient::fate_of(const std::string& topic) {
  const auto at = history_.topics.find(topic);
  return at == history_.topics.end() ? nullptr : &at->second;
}

Task<Result<void>> ClusterClient::refresh() {
  const NodeId broker = any_broker();
  wire::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  auto answer = co_await connections_.ask(broker, std::move(request), 12, patience);
  if (!answer) co_return fail(answer.error());
  for (const auto& topic : answer->message.topics) {
    for (const auto& partition : topic.partitions) {
      Known& now = known(TopicPartition{topic.name.value_or(""), partition.partition_index});
      if (partition.leader_epoch < now.epoch) continue;
      now = Known{partition.leader_id, partition.leader_epoch};
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> ClusterClient::begin_producer() {
  if (!options_.is_idempotent || producer_.has_id()) co_return Result<void>{};
  const NodeId broker = any_broker();
  wire::InitProducerIdRequest request;
  CO_TRY(const auto answer, co_await connections_.ask(broker, std::move(request), 4, patience));
  if (answer.message.error_code != KafkaError::none)
    co_return fail(refusal(answer.message.error_code));
  producer_.begin(answer.message.producer_id, answer.message.producer_epoch);
  co_return Result<void>{};
}

// Returns where the next record comes. An idempotent producer sends first what has no answer yet.
Task<Result<Offset>> ClusterClient::produce(TopicPartition partition) {
  CO_TRY_VOID(co_await begin_producer());
  const NodeId leader = known(partition).leader;
  if (leader == no_node) co_return fail(Errc::not_leader, "no leader is known");
  const auto count = static_cast<std::uint64_t>(random_.between(1, 3));
  const ClusterProducer::Batch batch =
      producer_.next(partition, last_value_ + 1, count, runtime_.wall_now(), random_.below(200));
  if (!batch.is_sent_again) last_value_ += count;
  wire::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = timeout_ms;
  request.topics.emplace_back().name = partition.topic;
  auto& wanted = request.topics[0].partitions.emplace_back();
  wanted.index = partition.partition;
  wanted.records = ByteView(*batch.bytes);
  const auto answer = co_await connections_.ask(leader, std::move(request), 8, patience);
  if (!answer) {
    tell("client_produce", partition.name(), "no answer");
    co_return fail(answer.error());
  }
  const auto& outcome = answer->message.topics.at(0).partitions.at(0);
  const KafkaError error = outcome.error_code;
  tell("client_produce", partition.name(), wire::name_of(error));
  const bool is_out_of_turn = error == KafkaError::out_of_order_sequence_number ||
                              error == KafkaError::invalid_producer_epoch;
  // Where records are lost, so is what the log says of their producer.
  if (is_out_of_turn && !history_.promises.records_stay) producer_.begin_anew();
  if (error != KafkaError::none) co_return fail(refusal(error));
  producer_.take_answer(partition, batch);
  if (batch.is_sent_again) ++history_.reached.batches_resent;
  const SeenRecord first{outcome.base_offset, batch.first_value};
  history_.fresh.acknowledged.push_back({partition, first, batch.count});
  co_return outcome.base_offset.plus(static_cast<std::int64_t>(batch.count));
}

Task<void> ClusterClient::produce_somewhere() {
  const auto partition = any_partition();
  if (!partition) co_return;
  const auto produced = co_await produce(*partition);
  if (produced) co_return;
  const auto refreshed = co_await refresh();
  static_cast<void>(refreshed);
}

Task<Result<ClusterClient::Fetched>> ClusterClient::fetch(TopicPartition partition, Offset offset) {
  const Known now = known(partition);
  if (now.leader == no_node) co_return fail(Errc::not_leader, "no leader is known");
  wire::FetchRequest request;
  request.max_wait_ms = 0;
  request.max_bytes = 1 << 20;
  request.topics.emplace_back().topic = partition.topic;
  auto& wanted = request.topics[0].partitions.emplace_back();
  wanted.partition = partition.partition;
  wanted.fetch_offset = offset;
  wanted.current_leader_epoch = now.epoch;
  wanted.partition_max_bytes = static_cast<std::int32_t>(random_.between(100, 100'000));
  ClusterFresh::Consumed consumed;
  consumed.partition = partition;
  consumed.epoch = now.epoch;
  consumed.watermark_before = history_.watermark(partition, now.epoch);
  auto answer = co_await connections_.ask(now.leader, std::move(request), 12, patience);
  if (!answer) {
    tell("client_fetch", partition.name(), "no answer");
    co_return fail(answer.error());
  }
  const auto& outcome = answer->message.topics.at(0).partitions.at(0);
  tell("client_fetch", partition.name(), wire::name_of(outcome.error_code));
  co_return take_fetched(partition, outcome, std::move(consumed), offset);
}

Result<ClusterClient::Fetched> ClusterClient::take_fetched(
    const TopicPartition& partition, const wire::FetchResponse::Partition& answer,
    ClusterFresh::Consumed consumed, Offset asked) {
  if (answer.error_code == KafkaError::offset_out_of_range) {
    history_.fresh.out_of_range.push_back({partition, asked});
    positions_.erase(partition);
  }
  if (answer.error_code != KafkaError::none) return fail(refusal(answer.error_code));
  Fetched fetched{asked, answer.high_watermark};
  TRY(auto records, records_of(answer.records.value_or(ByteView{})));
  for (const SeenRecord& record : records) {
    if (record.offset < asked) continue;  // The batch begins before what was asked for.
    if (record.offset != fetched.next) {
      return fail(Errc::corrupt, "offset {} follows {}", record.offset, fetched.next);
    }
    consumed.records.push_back(record);
    fetched.next = record.offset.next();
  }
  consumed.watermark = answer.high_watermark;
  history_.fresh.consumed.push_back(std::move(consumed));
  return fetched;
}

Task<void> ClusterClient::fetch_somewhere() {
  const auto partition = any_partition();
  if (!partition) co_return;
  if (options_.has_sessions && random_.chance(0.8)) {
    const auto fetched = co_await fetch_in_session(*partition);
    if (fetched) co_return;
    const auto refreshed = co_await refresh();
    co_return static_cast<void>(refreshed);
  }
  Offset from = positions_[*partition];
  if (random_.chance(0.1)) from = Offset{random_.between(0, from.value())};
  const auto fetched = co_await fetch(*partition, from);
  if (fetched) {
    positions_[*partition] = fetched->next;
    co_return;
  }
  const auto refreshed = co_await refresh();
  static_cast<void>(refreshed);
}

}  // namespace qlab::sim
