#include "replication/fetcher.h"

#include <algorithm>

#include "common/logging.h"
#include "runtime/stream_io.h"
#include "wire/kafka/frame.h"

namespace qlab::replication {
namespace {

constexpr std::int16_t fetch_version = 12;  // The one with truncation on fetch.
constexpr Duration connect_timeout = std::chrono::milliseconds(1000);
constexpr Duration answer_patience = std::chrono::seconds(30);  // replica.socket.timeout.ms
constexpr std::int32_t response_bytes_max = 10 << 20;           // replica.fetch.response.max.bytes
constexpr std::size_t frame_bytes_max = 256u << 20;  // Far above what one response may hold.

}  // namespace

// The partitions of one response, worked on side by side so that their syncs overlap.
struct Fetcher::Batch {
  explicit Batch(runtime::Runtime& runtime) : done(runtime) {}
  std::size_t left = 0;
  runtime::Event done;
};

Fetcher::Fetcher(runtime::Runtime& runtime, NodeId self, NodeId leader,
                 const ReplicationOptions& options, Candidates candidates)
    : runtime_(runtime),
      self_(self),
      leader_(leader),
      options_(options),
      candidates_(std::move(candidates)),
      woken_(runtime),
      gate_(runtime) {}

void Fetcher::start() {
  gate_.start([this] { return run(); });
}

void Fetcher::set_endpoint(runtime::Endpoint endpoint) {
  if (endpoint == endpoint_) return;
  endpoint_ = std::move(endpoint);
  if (stream_) stream_->close();
  woken_.notify_all();
}

Task<void> Fetcher::stop() {
  stopped_ = true;
  if (stream_) stream_->close();
  woken_.notify_all();
  co_await gate_.close();
}

Task<void> Fetcher::run() {
  while (!stopped_) {
    AskedMap asked;
    wire::FetchRequest request = make_request(asked);
    if (asked.empty()) {
      // Nothing to fetch, or all of it paused.
      const bool waiting = !paused_.empty();
      if (waiting) co_await woken_.wait_until(runtime_.now() + options_.fetch_backoff);
      if (!waiting) co_await woken_.wait();
      continue;
    }
    const auto fetched = co_await fetch_once(std::move(asked), std::move(request));
    if (fetched || stopped_) continue;
    log(LogLevel::debug, "fetcher", "from broker {} at {}: {}, retrying", leader_,
        endpoint_.to_string(), fetched.error().message());
    stream_.reset();
    co_await woken_.wait_until(runtime_.now() + options_.fetch_backoff);
  }
}

wire::FetchRequest Fetcher::make_request(AskedMap& asked) {
  wire::FetchRequest request;
  request.replica_id = self_;
  request.max_wait_ms = static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.fetch_wait_max).count());
  request.min_bytes = 1;
  request.max_bytes = response_bytes_max;
  std::erase_if(paused_, [&](const auto& paused) { return paused.second <= runtime_.now(); });
  for (Replica& replica : candidates_()) {
    const auto position = replica->position(leader_);
    if (!position || paused_.contains(replica->partition())) continue;
    wire::FetchRequest::Partition partition;
    partition.partition = replica->partition().partition;
    partition.current_leader_epoch = position->leader_epoch;
    partition.fetch_offset = position->offset;
    partition.last_fetched_epoch = position->last_epoch;
    partition.log_start_offset = position->log_start;
    partition.partition_max_bytes = static_cast<std::int32_t>(options_.fetch_bytes_max);
    // Candidates come sorted by topic, so a topic's partitions are adjacent.
    if (request.topics.empty() || request.topics.back().topic != replica->partition().topic) {
      request.topics.emplace_back();
      request.topics.back().topic = replica->partition().topic;
    }
    request.topics.back().partitions.push_back(partition);
    const TopicPartition name = replica->partition();
    asked.emplace(name, Asked{std::move(replica), position->leader_epoch});
  }
  return request;
}

Task<Result<void>> Fetcher::fetch_once(AskedMap asked, wire::FetchRequest request) {
  if (!stream_) {
    CO_TRY(stream_, co_await runtime_.network().connect(endpoint_, connect_timeout));
    if (stopped_) co_return fail(Errc::closed, "stopped");
  }
  BytesWriter frame;
  const wire::RequestHeader header{wire::ApiKey::fetch, fetch_version, ++correlation_id_,
                                   fmt::format("broker-{}-fetcher", self_)};
  CO_TRY_VOID(wire::encode_request_frame(frame, header, request));
  CO_TRY(const Bytes answer, co_await exchange(frame.take()));
  BytesReader in(answer);
  CO_TRY(const std::int32_t correlation_id,
         wire::decode_response_header(in, wire::ApiKey::fetch, fetch_version));
  if (correlation_id != correlation_id_) {
    co_return fail(Errc::corrupt, "a response carries correlation id {}, not {}", correlation_id,
                   correlation_id_);
  }
  CO_TRY(wire::FetchResponse response, wire::decode<wire::FetchResponse>(in, fetch_version));
  if (response.error_code != wire::KafkaError::none) {
    co_return fail(Errc::io, "the leader answers {}", wire::name_of(response.error_code));
  }
  // `answer` holds the records' bytes until all partitions are done.
  co_await take_all(std::move(asked), std::move(response));
  co_return Result<void>{};
}

// A leader that was cut off and died meanwhile ends no connection: nothing would ever come.
Task<Result<Bytes>> Fetcher::exchange(Bytes frame) {
  const Time due = runtime_.now() + options_.fetch_wait_max + answer_patience;
  const runtime::TimerId timer = runtime_.call_at(due, [this] { stream_->close(); });
  auto answer = co_await ask(std::move(frame));
  runtime_.cancel(timer);
  co_return answer;
}

Task<Result<Bytes>> Fetcher::ask(Bytes frame) {
  std::vector<ByteView> pieces(1, frame);
  CO_TRY_VOID(co_await stream_->write(std::move(pieces)));
  Bytes length(wire::frame_length_bytes);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream_, length));
  CO_TRY(const std::size_t bytes, wire::decode_frame_length(length, frame_bytes_max));
  Bytes body(bytes);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream_, body));
  co_return body;
}

Task<void> Fetcher::take_all(AskedMap asked, wire::FetchResponse response) {
  if (stopped_) co_return;
  auto batch = std::make_shared<Batch>(runtime_);
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      const auto at = asked.find(TopicPartition{topic.topic, partition.partition_index});
      if (at == asked.end())
        continue;  // Not asked for: a broken leader; there is nothing to do with it.
      ++batch->left;
      gate_.start([this, batch, one = at->second, answer = std::move(partition)] {
        return take_one(batch, one, answer);
      });
    }
  }
  while (batch->left > 0) co_await batch->done.wait();
}

Task<void> Fetcher::take_one(std::shared_ptr<Batch> batch, Asked asked,
                             wire::FetchResponse::Partition answer) {
  const TopicPartition name = asked.replica->partition();
  const auto taken = co_await act_on(std::move(asked), std::move(answer));
  if (!taken) {
    paused_[name] = runtime_.now() + options_.fetch_backoff;
    log(LogLevel::debug, "fetcher", "{} from broker {}: {}, retrying", name.name(), leader_,
        taken.error().message());
  }
  if (--batch->left == 0) batch->done.notify_all();
}

Task<Result<void>> Fetcher::act_on(Asked asked, wire::FetchResponse::Partition answer) {
  if (answer.error_code == wire::KafkaError::offset_out_of_range) {
    // Without an epoch to compare, only a log that begins after our end explains it.
    const auto position = asked.replica->position(leader_);
    if (position && answer.log_start_offset > position->offset) {
      co_return co_await asked.replica->begin_anew(asked.leader_epoch, answer.log_start_offset);
    }
    co_return co_await asked.replica->truncate(asked.leader_epoch,
                                               {no_leader_epoch, answer.log_start_offset});
  }
  if (answer.error_code != wire::KafkaError::none) {
    co_return fail(Errc::io, "the leader answers {}", wire::name_of(answer.error_code));
  }
  if (answer.diverging_epoch.end_offset.value() >= 0) {
    co_return co_await asked.replica->truncate(
        asked.leader_epoch, {answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset});
  }
  const ByteView records = answer.records.value_or(ByteView{});
  IsrReplicator::Answer news{Bytes(records.begin(), records.end()), answer.high_watermark,
                             answer.log_start_offset};
  co_return co_await asked.replica->take(asked.leader_epoch, std::move(news));
}

}  // namespace qlab::replication
