// Fetch sessions of a client (KIP-227): a request names what has changed since the one before, and
// the answer what is new.

#include "sim/cluster_client.h"

namespace qlab::sim {

using runtime::Task;
using wire::KafkaError;

namespace {

constexpr Duration patience = std::chrono::milliseconds(2500);
constexpr std::size_t partitions_max = 20;  // Of one session.

// Where `partition` is to be named.
template <class Topic>
auto& room_for(std::vector<Topic>& topics, const TopicPartition& partition) {
  if (topics.empty() || topics.back().topic != partition.topic) {
    topics.emplace_back().topic = partition.topic;
  }
  return topics.back().partitions;
}

}  // namespace

wire::FetchRequest ClusterClient::session_request(NodeId broker, const TopicPartition& about,
                                                  Session& session) {
  wire::FetchRequest request;
  request.max_bytes = 1 << 20;
  request.session_id = session.id;
  request.session_epoch = session.epoch;
  std::map<TopicPartition, std::pair<Offset, LeaderEpoch>> wanted;
  wanted[about] = {positions_[about], known(about).epoch};
  for (const auto& [topic, fate] : history_.topics) {
    for (std::int32_t p = 0; p < fate.partitions && wanted.size() < partitions_max; ++p) {
      const TopicPartition partition{topic, PartitionIndex{p}};
      const Known& now = known(partition);
      if (now.leader == broker) wanted[partition] = {positions_[partition], now.epoch};
    }
  }
  for (const auto& [partition, told] : session.told) {
    if (wanted.contains(partition)) continue;
    room_for(request.forgotten_topics, partition).push_back(partition.partition);
  }
  for (const auto& [partition, now] : wanted) {
    const auto told = session.told.find(partition);
    if (told != session.told.end() && told->second == now) continue;
    auto& one = room_for(request.topics, partition).emplace_back();
    one.partition = partition.partition;
    one.fetch_offset = now.first;
    one.current_leader_epoch = now.second;
    one.partition_max_bytes = 100'000;
  }
  session.told = std::move(wanted);
  return request;
}

Task<Result<void>> ClusterClient::fetch_in_session(TopicPartition about) {
  const NodeId broker = known(about).leader;
  if (broker == no_node) co_return fail(Errc::not_leader, "no leader is known");
  Session& session = sessions_[broker];  // Of this client, which does one thing at a time.
  wire::FetchRequest request = session_request(broker, about, session);
  std::map<TopicPartition, Offset> watermarks;
  for (const auto& [partition, told] : session.told) {
    watermarks[partition] = history_.watermark(partition, told.second);
  }
  const auto answer = co_await connections_.ask(broker, std::move(request), 12, patience);
  const std::string where = fmt::format("session with {}", broker);
  if (!answer) {
    session = {};
    tell("client_fetch", where, "no answer");
    co_return fail(answer.error());
  }
  const KafkaError error = answer->message.error_code;
  tell("client_fetch", where, wire::name_of(error));
  if (error != KafkaError::none) {
    session = {};
    co_return fail(Errc::not_leader, "{}", wire::name_of(error));
  }
  co_return take_session(answer->message, session, watermarks);
}

Result<void> ClusterClient::take_session(const wire::FetchResponse& answer, Session& session,
                                         const std::map<TopicPartition, Offset>& watermarks) {
  if (session.id != 0) ++history_.reached.session_fetches;
  session.id = answer.session_id;
  session.epoch = session.id == 0 ? 0 : session.epoch + 1;
  Result<void> result;
  for (const auto& topic : answer.topics) {
    for (const auto& partition : topic.partitions) {
      const TopicPartition key{topic.topic, partition.partition_index};
      const auto told = session.told.find(key);
      if (told == session.told.end())
        return fail(Errc::corrupt, "{} is not in the session", key.name());
      ClusterFresh::Consumed consumed;
      consumed.partition = key;
      consumed.epoch = told->second.second;
      consumed.watermark_before = watermarks.at(key);
      const auto fetched = take_fetched(key, partition, std::move(consumed), told->second.first);
      if (fetched) {
        positions_[key] = fetched->next;
      } else {
        result = fail(fetched.error());
      }
    }
  }
  if (session.id == 0) session.told.clear();
  return result;
}

}  // namespace qlab::sim
