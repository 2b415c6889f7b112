#include "replication/fetcher.h"

#include <algorithm>
#include <limits>

#include "common/logging.h"
#include "runtime/stream_io.h"
#include "wire/kafka/frame.h"

namespace qlab::replication {
namespace {

constexpr std::int16_t fetch_version = 15;  // The one that tells the follower's epoch.
constexpr Duration connect_timeout = std::chrono::milliseconds(1000);
constexpr Duration answer_patience = std::chrono::seconds(30);  // replica.socket.timeout.ms
constexpr std::int32_t response_bytes_max = 10 << 20;           // replica.fetch.response.max.bytes
constexpr std::size_t frame_bytes_max = 256u << 20;  // Far above what one response may hold.
constexpr BrokerEpoch unknown_epoch{-1};

constexpr std::int32_t no_session_epoch = -1;
constexpr std::int32_t hurry_correlation_id = 0;  // That of no other request.

Result<Bytes> frame_of(NodeId self, std::int32_t correlation_id,
                       const wire::FetchRequest& request) {
  BytesWriter frame;
  const wire::RequestHeader header{wire::ApiKey::fetch, fetch_version, correlation_id,
                                   fmt::format("broker-{}-fetcher", self)};
  TRY_VOID(wire::encode_request_frame(frame, header, request));
  return frame.take();
}

template <class Topics>
auto& topic_of(Topics& topics, TopicId id) {
  // A request's partitions come in the order of their topics.
  if (topics.empty() || topics.back().topic_id != id) topics.emplace_back().topic_id = id;
  return topics.back();
}

bool is_session_error(wire::KafkaError error) {
  return error == wire::KafkaError::fetch_session_id_not_found ||
         error == wire::KafkaError::invalid_fetch_session_epoch ||
         error == wire::KafkaError::fetch_session_topic_id_error;
}

}  // namespace

// A partition that follows the leader, or did when it was last looked at.
struct Fetcher::Followed final : ChangeListener {
  Followed(Fetcher& fetcher, const Id& name, Replica follower)
      : owner(fetcher), id(name), replica(std::move(follower)) {}
  void on_change() override {
    if (!std::exchange(is_changed, true)) owner.changed_.push_back(id);
  }

  Fetcher& owner;
  const Id id;
  Replica replica;
  bool is_changed = false;                      // It is in changed_.
  std::optional<IsrReplicator::Position> told;  // In the session; nothing: it is not.
};

// The partitions of one response, worked on side by side so that their syncs overlap.
struct Fetcher::Batch {
  explicit Batch(runtime::Runtime& runtime) : done(runtime) {}
  std::size_t left = 0;
  runtime::Event done;
};

Fetcher::Fetcher(runtime::Runtime& runtime, NodeId leader, const ReplicasContext& context)
    : runtime_(runtime),
      leader_(leader),
      context_(context),
      options_(context.options),
      woken_(runtime),
      hurried_(runtime),
      gate_(runtime) {}

Fetcher::~Fetcher() = default;

void Fetcher::start() {
  if (!std::exchange(started_, true)) gate_.start([this] { return run(); });
}

void Fetcher::set_endpoint(runtime::Endpoint endpoint) {
  if (endpoint == endpoint_) return;
  endpoint_ = std::move(endpoint);
  if (stream_) stream_->close();
  woken_.notify_all();
}

void Fetcher::follow(Replica replica) {
  const Id id{replica->state().topic_id, replica->partition().partition};
  const auto [at, is_new] = followed_.try_emplace(id, *this, id, replica);
  Followed& followed = at->second;
  // A topic may have been lost and found again under its id.
  if (!is_new && followed.replica != replica) followed.replica = replica;
  replica->changed().tell(followed);
  followed.on_change();
  woken_.notify_all();
}

void Fetcher::wake() {
  woken_.notify_all();
  if (asking_ != Asking::answer_due || !is_more_to_ask()) return;
  asking_ = Asking::hurrying;
  gate_.start([this] { return hurry(); });
}

bool Fetcher::is_more_to_ask() const {
  return std::ranges::any_of(changed_, [this](const Id& id) {
    const Followed& followed = followed_.at(id);
    return !paused_.contains(id) && followed.replica->position(leader_) != followed.told;
  });
}

Task<void> Fetcher::stop() {
  stopped_ = true;
  if (stream_) stream_->close();
  woken_.notify_all();
  co_await gate_.close();
}

BrokerEpoch Fetcher::broker_epoch() const {
  return context_.broker_epoch ? context_.broker_epoch() : unknown_epoch;
}

Task<void> Fetcher::run() {
  while (!stopped_) {
    wire::FetchRequest request = make_request();
    const bool is_known = !context_.broker_epoch || broker_epoch() != unknown_epoch;
    if (followed_.size() == paused_.size() || !is_known) {
      // Nothing to fetch, all of it paused, or nobody would know who asks.
      if (session_epoch_ != 0) begin_session_anew();
      const bool waiting = !paused_.empty() || !is_known;
      if (waiting) co_await woken_.wait_until(runtime_.now() + options_.fetch_backoff);
      if (!waiting) co_await woken_.wait();
      continue;
    }
    const auto fetched = co_await fetch_once(std::move(request));
    if (fetched || stopped_) continue;
    log(LogLevel::debug, "fetcher", "from broker {} at {}: {}, retrying", leader_,
        endpoint_.to_string(), fetched.error().message());
    stream_.reset();
    begin_session_anew();
    co_await woken_.wait_until(runtime_.now() + options_.fetch_backoff);
  }
}

// What the leader has heard may be lost: it is told everything again.
void Fetcher::begin_session_anew() {
  session_epoch_ = 0;
}

wire::FetchRequest Fetcher::make_request() {
  wire::FetchRequest request;
  request.replica_state = {context_.self, broker_epoch()};
  resume_paused();
  const Duration wait = paused_.empty() ? options_.fetch_wait_max : options_.fetch_backoff;
  request.max_wait_ms = static_cast<std::int32_t>(to_millis(wait));
  request.min_bytes = 1;
  request.max_bytes = response_bytes_max;
  request.session_id = session_id_;
  request.session_epoch = session_epoch_;
  ask_for_changed(request);
  return request;
}

void Fetcher::resume_paused() {
  for (auto at = paused_.begin(); at != paused_.end();) {
    if (at->second > runtime_.now()) {
      ++at;
      continue;
    }
    const auto followed = followed_.find(at->first);
    if (followed != followed_.end()) followed->second.on_change();
    at = paused_.erase(at);
  }
}

// Also lets go of replicas that do not follow this leader any more.
void Fetcher::ask_for_changed(wire::FetchRequest& request) {
  std::vector<Id> changed = std::exchange(changed_, {});
  std::sort(changed.begin(), changed.end());
  for (const Id& id : changed) {
    const auto at = followed_.find(id);
    Followed& followed = at->second;
    followed.is_changed = false;
    if (add(request, id, followed)) continue;
    if (std::exchange(followed.told, std::nullopt)) {
      topic_of(request.forgotten_topics, id.first).partitions.push_back(id.second);
    }
    if (followed.replica->position(leader_)) continue;  // Paused.
    paused_.erase(id);
    followed_.erase(at);
  }
}

void Fetcher::ask_for_all(wire::FetchRequest& request) {
  request.topics.clear();
  request.forgotten_topics.clear();
  for (auto& [id, followed] : followed_) {
    followed.told.reset();
    add(request, id, followed);
  }
}

// Asks for what comes next of a partition, unless the leader knows. False when nothing is to be
// asked for it.
bool Fetcher::add(wire::FetchRequest& request, const Id& id, Followed& followed) {
  ++looks_;
  const auto position = followed.replica->position(leader_);
  if (!position || paused_.contains(id)) return false;
  if (followed.told == position) return true;
  auto& partition = topic_of(request.topics, id.first).partitions.emplace_back();
  partition.partition = id.second;
  partition.current_leader_epoch = position->leader_epoch;
  partition.fetch_offset = position->offset;
  partition.last_fetched_epoch = position->last_epoch;
  partition.log_start_offset = position->log_start;
  partition.partition_max_bytes = static_cast<std::int32_t>(options_.fetch_bytes_max);
  followed.told = position;
  return true;
}

Task<Result<void>> Fetcher::fetch_once(wire::FetchRequest request) {
  if (!stream_) {
    CO_TRY(stream_, co_await runtime_.network().connect(endpoint_, connect_timeout));
    if (stopped_) co_return fail(Errc::closed, "stopped");
  }
  // Not before there is a connection: a leader that died may have led tens of thousands, and all
  // that is told of it meanwhile is a reason to try again.
  if (session_epoch_ == 0) ask_for_all(request);
  CO_TRY(Bytes frame, frame_of(context_.self, ++correlation_id_, request));
  CO_TRY(const Bytes answer, co_await exchange(std::move(frame)));
  BytesReader in(answer);
  CO_TRY(const std::int32_t correlation_id,
         wire::decode_response_header(in, wire::ApiKey::fetch, fetch_version));
  if (correlation_id != correlation_id_) {
    co_return fail(Errc::corrupt, "a response carries correlation id {}, not {}", correlation_id,
                   correlation_id_);
  }
  CO_TRY(wire::FetchResponse response, wire::decode<wire::FetchResponse>(in, fetch_version));
  CO_TRY_VOID(go_on(response));
  // `answer` holds the records' bytes until all partitions are done.
  co_await take_all(std::move(response));
  co_return Result<void>{};
}

// The session after a response.
Result<void> Fetcher::go_on(const wire::FetchResponse& response) {
  if (is_session_error(response.error_code)) {
    begin_session_anew();
    session_id_ = 0;
    return {};
  }
  if (response.error_code != wire::KafkaError::none) {
    return fail(Errc::io, "the leader answers {}", wire::name_of(response.error_code));
  }
  session_id_ = response.session_id;
  constexpr std::int32_t last = std::numeric_limits<std::int32_t>::max();
  session_epoch_ = session_id_ == 0 ? 0 : session_epoch_ == last ? 1 : session_epoch_ + 1;
  return {};
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
  asking_ = Asking::answer_due;
  auto answer = co_await read_answer();
  while (asking_ == Asking::hurrying) co_await hurried_.wait();
  const bool is_hurried = std::exchange(asking_, Asking::nothing) == Asking::hurried;
  // What hurried it asked for nothing, and its answer comes behind.
  if (is_hurried && answer) {
    CO_TRY_VOID(co_await read_answer());
  }
  co_return answer;
}

Task<void> Fetcher::hurry() {
  wire::FetchRequest nothing;
  nothing.replica_state = {context_.self, broker_epoch()};
  nothing.session_epoch = no_session_epoch;
  const auto frame = frame_of(context_.self, hurry_correlation_id, nothing);
  if (frame) {
    std::vector<ByteView> pieces(1, *frame);
    const auto written = co_await stream_->write(std::move(pieces));
    if (!written) stream_->close();  // Whoever reads the answers finds out.
  }
  asking_ = frame ? Asking::hurried : Asking::answer_due;
  hurried_.notify_all();
}

Task<Result<Bytes>> Fetcher::read_answer() {
  Bytes length(wire::frame_length_bytes);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream_, length));
  CO_TRY(const std::size_t bytes, wire::decode_frame_length(length, frame_bytes_max));
  Bytes body(bytes);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream_, body));
  co_return body;
}

Task<void> Fetcher::take_all(wire::FetchResponse response) {
  if (stopped_) co_return;
  auto batch = std::make_shared<Batch>(runtime_);
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      const Id id{topic.topic_id, partition.partition_index};
      const auto at = followed_.find(id);
      // Not asked for: a broken leader; there is nothing to do with it.
      if (at == followed_.end() || !at->second.told) continue;
      const LeaderEpoch leader_epoch = at->second.told->leader_epoch;
      const bool is_idle = partition.error_code == wire::KafkaError::none &&
                           partition.diverging_epoch.end_offset.value() < 0 &&
                           partition.records.value_or(ByteView{}).empty();
      if (is_idle && at->second.replica->take_watermark(leader_epoch, partition.high_watermark,
                                                        partition.log_start_offset)) {
        continue;
      }
      ++batch->left;
      gate_.start([this, batch, id, replica = at->second.replica, leader_epoch,
                   answer = std::move(partition)] {
        return take_one(batch, id, replica, leader_epoch, answer);
      });
    }
  }
  while (batch->left > 0) co_await batch->done.wait();
}

Task<void> Fetcher::take_one(std::shared_ptr<Batch> batch, Id id, Replica replica,
                             LeaderEpoch leader_epoch, wire::FetchResponse::Partition answer) {
  const auto taken = co_await act_on(replica, leader_epoch, std::move(answer));
  if (!taken) {
    pause(id);
    log(LogLevel::debug, "fetcher", "{} from broker {}: {}, retrying", replica->partition().name(),
        leader_, taken.error().message());
  }
  if (--batch->left == 0) batch->done.notify_all();
}

void Fetcher::pause(const Id& id) {
  const auto at = followed_.find(id);
  if (at == followed_.end()) return;
  paused_[id] = runtime_.now() + options_.fetch_backoff;
  at->second.on_change();
}

Task<Result<void>> Fetcher::act_on(Replica replica, LeaderEpoch leader_epoch,
                                   wire::FetchResponse::Partition answer) {
  if (answer.error_code == wire::KafkaError::offset_out_of_range) {
    // Our log is not one that the leader's could go on from, and there is no epoch to compare.
    co_return co_await replica->begin_anew(leader_epoch, answer.log_start_offset);
  }
  if (answer.error_code != wire::KafkaError::none) {
    co_return fail(Errc::io, "the leader answers {}", wire::name_of(answer.error_code));
  }
  if (answer.diverging_epoch.end_offset.value() >= 0) {
    co_return co_await replica->truncate(
        leader_epoch, {answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset});
  }
  const ByteView records = answer.records.value_or(ByteView{});
  IsrReplicator::Answer news{Bytes(records.begin(), records.end()), answer.high_watermark,
                             answer.log_start_offset};
  co_return co_await replica->take(leader_epoch, std::move(news));
}

}  // namespace qlab::replication
