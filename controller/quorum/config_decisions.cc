#include <charconv>
#include <set>

#include "controller/config_rules.h"
#include "controller/quorum/admin_decisions.h"

namespace qlab::controller {
namespace {

using metadata::Configs;
using metadata::Image;
using wire::KafkaError;

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;

// Whose configs a resource names.
struct Owner {
  metadata::TopicPtr topic;  // Null: brokers.
  NodeId broker = no_node;   // no_node: all of them.
};

tl::unexpected<Refusal> refuse(KafkaError error, std::string words) {
  return tl::unexpected(Refusal{error, std::move(words)});
}

tl::expected<Owner, Refusal> owner_of(const Image& image, std::int8_t type,
                                      const std::string& name) {
  if (type == topic_resource) {
    if (auto wrong = check_topic_name(name)) return tl::unexpected(*wrong);
    Owner owner{image.topic(name)};
    if (owner.topic != nullptr) return owner;
    return refuse(KafkaError::unknown_topic_or_partition,
                  fmt::format("topic '{}' does not exist", name));
  }
  if (type != broker_resource) {
    return refuse(KafkaError::invalid_request,
                  fmt::format("resource type {} is not {} (topic) or {} (broker)", type,
                              topic_resource, broker_resource));
  }
  if (name.empty()) return Owner{};
  std::int32_t id = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
  const bool is_number = parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size();
  if (!is_number || image.broker(NodeId{id}) == nullptr) {
    return refuse(KafkaError::invalid_request, fmt::format("there is no broker '{}'", name));
  }
  return refuse(
      KafkaError::invalid_config,
      fmt::format("broker {} alone has no dynamic configs; all brokers (name '') have", id));
}

void put_changes(const Owner& owner, const Configs& before, const Configs& after,
                 metadata::Records& records) {
  const auto put = [&](const std::string& key, std::optional<std::string> value) {
    metadata::ConfigRecord record;
    if (owner.topic != nullptr) record.topic_id = owner.topic->id;
    record.broker_id = owner.broker;
    record.key = key;
    record.value = std::move(value);
    records.emplace_back(std::move(record));
  };
  for (const auto& [key, value] : after) {
    const auto had = before.find(key);
    if (had == before.end() || had->second != value) put(key, value);
  }
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) put(key, std::nullopt);
  }
}

void empty_elrs(const metadata::Topic& topic, metadata::Records& records) {
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    Partition after = *topic.partitions[p];
    after.elr.clear();
    auto change = metadata::change_between(topic.id, PartitionIndex{static_cast<std::int32_t>(p)},
                                           *topic.partitions[p], after);
    if (change) records.emplace_back(std::move(*change));
  }
}

bool same_bound(const Configs& before, const Configs& after) {
  const auto value = [](const Configs& configs) {
    const auto at = configs.find(std::string(min_insync_key));
    return at == configs.end() ? std::string() : at->second;
  };
  return value(before) == value(after);
}

// Decides on one resource after the other.
class ConfigDecider {
 public:
  explicit ConfigDecider(const Image& image) : image_(image) {}

  Refusal decide(std::int8_t type, const std::string& name, const std::vector<ConfigEdit>& edits,
                 bool replaces_all) {
    if (!seen_.emplace(type, name).second) {
      return {KafkaError::invalid_request, fmt::format("resource '{}' is named twice", name)};
    }
    const auto owner = owner_of(image_, type, name);
    if (!owner) return owner.error();
    const bool is_topic = owner->topic != nullptr;
    const Configs& before = is_topic ? owner->topic->configs : image_.broker_configs(owner->broker);
    const auto after = edited(replaces_all ? Configs{} : before, edits,
                              is_topic ? check_topic_config : check_broker_config);
    if (!after) return after.error();
    if (records.size() + edits.size() > records_per_request_max) {
      return {KafkaError::policy_violation, "the request changes too many configs"};
    }
    // The ELRs first: under a lower bound records are committed that their members lack, and the
    // controller may be lost between two entries of this.
    if (!same_bound(before, *after)) empty_elrs_of(*owner);
    put_changes(*owner, before, *after, records);
    return {};
  }

  metadata::Records records;

 private:
  void empty_elrs_of(const Owner& owner) {
    if (owner.topic != nullptr) return empty_elrs(*owner.topic, records);
    image_.topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
      if (!topic->configs.contains(std::string(min_insync_key))) empty_elrs(*topic, records);
    });
  }

  const Image& image_;
  std::set<std::pair<std::int8_t, std::string>> seen_;
};

template <class Response, class Request, class EditsOf>
Decision<Response> decide_all(const Image& image, const Request& request, bool replaces_all,
                              EditsOf edits_of) {
  Decision<Response> decision;
  ConfigDecider decider(image);
  for (const auto& resource : request.resources) {
    typename Response::Resource answer;
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    Refusal wrong = decider.decide(resource.resource_type, resource.resource_name,
                                   edits_of(resource), replaces_all);
    answer.error_code = wrong.error;
    if (wrong.error != KafkaError::none) answer.error_message = std::move(wrong.message);
    decision.answer.responses.push_back(std::move(answer));
  }
  if (!request.validate_only) decision.records = std::move(decider.records);
  return decision;
}

}  // namespace

Decision<wire::AlterConfigsResponse> decide_configs(const Image& image,
                                                    const wire::AlterConfigsRequest& request) {
  return decide_all<wire::AlterConfigsResponse>(
      image, request, true, [](const wire::AlterConfigsRequest::Resource& resource) {
        std::vector<ConfigEdit> edits;
        for (const auto& config : resource.configs) {
          edits.push_back({config.name, ConfigOperation::set, config.value});
        }
        return edits;
      });
}

Decision<wire::IncrementalAlterConfigsResponse> decide_configs(
    const Image& image, const wire::IncrementalAlterConfigsRequest& request) {
  return decide_all<wire::IncrementalAlterConfigsResponse>(
      image, request, false, [](const wire::IncrementalAlterConfigsRequest::Resource& resource) {
        std::vector<ConfigEdit> edits;
        for (const auto& config : resource.configs) {
          edits.push_back(
              {config.name, static_cast<ConfigOperation>(config.config_operation), config.value});
        }
        return edits;
      });
}

}  // namespace qlab::controller
