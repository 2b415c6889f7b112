#include "controller/zk/znodes.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace qlab::controller::znodes {
namespace {

using Json = nlohmann::json;

std::string under(std::string_view parent, std::string_view name) {
  return fmt::format("{}/{}", parent, name);
}

std::string list_of(const std::vector<NodeId>& nodes) {
  return fmt::format("[{}]", fmt::join(nodes, ","));
}

Result<Json> parse_object(std::string_view path, ByteView value) {
  Json json = Json::parse(as_text(value), nullptr, false);
  if (!json.is_object()) {
    return fail(Errc::corrupt, "znode {}: '{}' is no JSON object", path,
                as_text(value).substr(0, 100));
  }
  return json;
}

tl::unexpected<Error> wrong_field(std::string_view path, std::string_view key) {
  return fail(Errc::corrupt, "znode {}: field '{}' is missing or of another type", path, key);
}

template <class T>
Result<T> number_in(std::string_view path, const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end() || !at->is_number_integer()) return wrong_field(path, key);
  const auto number = at->get<std::int64_t>();
  if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
    return wrong_field(path, key);
  }
  return static_cast<T>(number);
}

Result<std::string> text_in(std::string_view path, const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end() || !at->is_string()) return wrong_field(path, key);
  return at->get<std::string>();
}

Result<std::vector<NodeId>> nodes_of(std::string_view path, std::string_view key,
                                     const Json& json) {
  if (!json.is_array()) return wrong_field(path, key);
  std::vector<NodeId> nodes;
  nodes.reserve(json.size());
  for (const Json& one : json) {
    if (!one.is_number_integer()) return wrong_field(path, key);
    const auto number = one.get<std::int64_t>();
    if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
      return wrong_field(path, key);
    }
    nodes.emplace_back(static_cast<std::int32_t>(number));
  }
  return nodes;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// What `key` says about each partition: {"0":[1,2],...}.
Result<std::map<std::int32_t, std::vector<NodeId>>> lists_in(std::string_view path,
                                                             const Json& json, const char* key) {
  std::map<std::int32_t, std::vector<NodeId>> lists;
  const auto at = json.find(key);
  if (at == json.end()) return lists;
  if (!at->is_object()) return wrong_field(path, key);
  for (const auto& [name, list] : at->items()) {
    const auto index = parse_number(name);
    if (!index || *index < 0 || *index > std::numeric_limits<std::int32_t>::max()) {
      return wrong_field(path, key);
    }
    TRY(lists[static_cast<std::int32_t>(*index)], nodes_of(path, key, list));
  }
  return lists;
}

std::string moves_of(const std::vector<TopicValue::Move>& moves,
                     std::vector<NodeId> TopicValue::Move::*which) {
  std::string text;
  for (const TopicValue::Move& move : moves) {
    if ((move.*which).empty()) continue;
    text +=
        fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", move.partition, list_of(move.*which));
  }
  return text;
}

}  // namespace

const std::vector<std::string>& top_level() {
  static const std::vector<std::string> paths{"/brokers",
                                              "/brokers/ids",
                                              "/brokers/topics",
                                              "/config",
                                              "/config/topics",
                                              "/config/brokers",
                                              "/config/changes",
                                              "/config/clients",
                                              "/config/users",
                                              "/admin",
                                              "/admin/delete_topics",
                                              "/brokers/seqid",
                                              "/cluster",
                                              "/log_dir_event_notification"};
  return paths;
}

std::string broker(NodeId id) {
  return fmt::format("{}/{}", broker_ids, id);
}
std::string topic(std::string_view name) {
  return under(topics, name);
}
std::string partitions(std::string_view topic_name) {
  return fmt::format("{}/{}/partitions", topics, topic_name);
}
std::string partition(std::string_view topic_name, PartitionIndex index) {
  return fmt::format("{}/{}/partitions/{}", topics, topic_name, index);
}
std::string state(std::string_view topic_name, PartitionIndex index) {
  return fmt::format("{}/{}/partitions/{}/state", topics, topic_name, index);
}
std::string deletion(std::string_view topic_name) {
  return under(deletions, topic_name);
}
std::string topic_config(std::string_view name) {
  return under(topic_configs, name);
}

std::string controller_value(NodeId id, WallMillis now) {
  return fmt::format(R"({{"version":2,"brokerid":{},"timestamp":"{}","kraftControllerEpoch":-1}})",
                     id, now.count());
}
Result<NodeId> decode_controller(ByteView value) {
  TRY(const Json json, parse_object(controller, value));
  TRY(const auto id, number_in<std::int32_t>(controller, json, "brokerid"));
  return NodeId{id};
}

Result<std::int32_t> decode_number(std::string_view path, ByteView value) {
  const auto number = parse_number(as_text(value));
  if (!number || *number < 0 || *number > std::numeric_limits<std::int32_t>::max()) {
    return fail(Errc::corrupt, "znode {}: '{}' is no number", path, as_text(value).substr(0, 100));
  }
  return static_cast<std::int32_t>(*number);
}

std::string broker_value(const BrokerValue& broker, WallMillis now) {
  const Json host = broker.host;  // Quoted as JSON wants it.
  const Json endpoint = fmt::format("PLAINTEXT://{}:{}", broker.host, broker.port);
  std::string rack;
  if (!broker.rack.empty()) {
    // A name may have any bytes, and what is no UTF-8 in it no JSON takes.
    const auto replace = Json::error_handler_t::replace;
    rack = fmt::format(R"("rack":{},)", Json(broker.rack).dump(-1, ' ', false, replace));
  }
  return fmt::format(
      R"({{"features":{{}},"listener_security_protocol_map":{{"PLAINTEXT":"PLAINTEXT"}},{})"
      R"("endpoints":[{}],"jmx_port":-1,"port":{},"host":{},"version":5,"timestamp":"{}"}})",
      rack, endpoint.dump(), broker.port, host.dump(), now.count());
}
Result<BrokerValue> decode_broker(std::string_view path, ByteView value) {
  TRY(const Json json, parse_object(path, value));
  BrokerValue broker;
  TRY(broker.host, text_in(path, json, "host"));
  TRY(broker.port, number_in<std::uint16_t>(path, json, "port"));
  const auto rack = json.find("rack");
  if (rack != json.end() && !rack->is_null()) {
    TRY(broker.rack, text_in(path, json, "rack"));
  }
  return broker;
}

std::string topic_value(const TopicValue& topic) {
  std::string text = R"({"removing_replicas":{)";
  text += moves_of(topic.moves, &TopicValue::Move::removing);
  text += R"(},"partitions":{)";
  for (std::size_t p = 0; p < topic.replicas.size(); ++p) {
    text += fmt::format("{}\"{}\":{}", p == 0 ? "" : ",", p, list_of(topic.replicas[p]));
  }
  text += fmt::format(R"(}},"topic_id":"{}","adding_replicas":{{)", topic.id.to_string());
  text += moves_of(topic.moves, &TopicValue::Move::adding);
  return text + R"(},"version":3})";
}
Result<TopicValue> decode_topic(std::string_view path, ByteView value) {
  TRY(const Json json, parse_object(path, value));
  TopicValue topic;
  TRY(const std::string id, text_in(path, json, "topic_id"));
  TRY(topic.id, Uuid::parse(id));
  TRY(auto lists, lists_in(path, json, "partitions"));
  for (auto& [index, replicas] : lists) {
    if (static_cast<std::size_t>(index) != topic.replicas.size() || replicas.empty()) {
      return fail(Errc::corrupt, "znode {}: partition {} has no replicas or has a gap before it",
                  path, index);
    }
    topic.replicas.push_back(std::move(replicas));
  }
  if (topic.replicas.empty()) return wrong_field(path, "partitions");
  TRY(auto adding, lists_in(path, json, "adding_replicas"));
  TRY(auto removing, lists_in(path, json, "removing_replicas"));
  for (const auto& [index, nodes] : removing) adding.try_emplace(index);
  for (auto& [index, nodes] : adding) {
    topic.moves.push_back({PartitionIndex{index}, std::move(nodes), std::move(removing[index])});
  }
  return topic;
}

std::string state_value(const StateValue& state) {
  return fmt::format(
      R"({{"controller_epoch":{},"leader":{},"version":1,"leader_epoch":{},"isr":[{}]{}}})",
      state.controller_epoch, state.leader, state.leader_epoch, fmt::join(state.isr, ","),
      state.recovering ? R"(,"leader_recovery_state":1)" : "");
}
Result<StateValue> decode_state(std::string_view path, ByteView value) {
  TRY(const Json json, parse_object(path, value));
  StateValue state;
  TRY(const auto leader, number_in<std::int32_t>(path, json, "leader"));
  TRY(const auto epoch, number_in<std::int32_t>(path, json, "leader_epoch"));
  TRY(state.controller_epoch, number_in<std::int32_t>(path, json, "controller_epoch"));
  state.leader = NodeId{leader};
  state.leader_epoch = LeaderEpoch{epoch};
  const auto isr = json.find("isr");
  if (isr == json.end()) return wrong_field(path, "isr");
  TRY(state.isr, nodes_of(path, "isr", *isr));
  const auto recovery = json.find("leader_recovery_state");
  state.recovering = recovery != json.end() && *recovery == 1;
  return state;
}

std::string config_value(const metadata::Configs& configs) {
  const Json json = configs;
  return fmt::format(R"({{"version":1,"config":{}}})", json.is_null() ? "{}" : json.dump());
}
Result<metadata::Configs> decode_config(std::string_view path, ByteView value) {
  TRY(const Json json, parse_object(path, value));
  const auto at = json.find("config");
  if (at == json.end() || !at->is_object()) return wrong_field(path, "config");
  metadata::Configs configs;
  for (const auto& [key, text] : at->items()) {
    if (!text.is_string()) return wrong_field(path, "config");
    configs[key] = text.get<std::string>();
  }
  return configs;
}

std::string config_change_value(std::string_view entity) {
  const Json path = std::string(entity);
  return fmt::format(R"({{"version":2,"entity_path":{}}})", path.dump());
}
Result<std::string> decode_config_change(ByteView value) {
  TRY(const Json json, parse_object(config_changes, value));
  return text_in(config_changes, json, "entity_path");
}

std::string producer_ids_value(const ProducerIdsValue& block) {
  return fmt::format(R"({{"version":1,"broker":{},"block_start":"{}","block_end":"{}"}})",
                     block.broker, block.first, block.last);
}
Result<ProducerIdsValue> decode_producer_ids(ByteView value) {
  TRY(const Json json, parse_object(producer_ids, value));
  ProducerIdsValue block;
  TRY(const auto broker, number_in<std::int32_t>(producer_ids, json, "broker"));
  TRY(const std::string first, text_in(producer_ids, json, "block_start"));
  TRY(const std::string last, text_in(producer_ids, json, "block_end"));
  const auto first_number = parse_number(first);
  const auto last_number = parse_number(last);
  if (!first_number || !last_number) return wrong_field(producer_ids, "block_end");
  block.broker = NodeId{broker};
  block.first = *first_number;
  block.last = *last_number;
  return block;
}

}  // namespace qlab::controller::znodes
