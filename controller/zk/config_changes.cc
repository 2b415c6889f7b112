// Configs of topics and brokers: their znodes, and a notification for whoever watches.
//
// Source: Kafka 3.9, ZkConfigRepository, ZkNodeChangeNotificationListener (KIP-226, KIP-339).

#include <algorithm>
#include <set>

#include "controller/config_rules.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::KafkaError;
using wire::keeper::ErrorCode;

namespace {

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;
// Whoever watches has read a change long before, and who comes later reads all configs.
constexpr Duration change_lifetime = std::chrono::minutes(15);  // Kafka's changeExpirationMs.

std::vector<ConfigEdit> edits_of(const wire::AlterConfigsRequest::Resource& resource) {
  std::vector<ConfigEdit> edits;
  for (const auto& config : resource.configs) {
    edits.push_back({config.name, ConfigOperation::set, config.value});
  }
  return edits;
}
std::vector<ConfigEdit> edits_of(const wire::IncrementalAlterConfigsRequest::Resource& resource) {
  std::vector<ConfigEdit> edits;
  for (const auto& config : resource.configs) {
    edits.push_back(
        {config.name, static_cast<ConfigOperation>(config.config_operation), config.value});
  }
  return edits;
}

}  // namespace

// Where its configs stand, below /config. Errors: what the client is told.
tl::expected<std::string, Refusal> Reign::entity_of(std::int8_t type, const std::string& name) {
  if (type == topic_resource) {
    if (auto wrong = check_topic_name(name)) return tl::unexpected(*wrong);
    const ZkTopic* const topic = context_.topic(name);
    if (topic != nullptr && !topic->to_be_deleted) return "topics/" + name;
    return tl::unexpected(Refusal{KafkaError::unknown_topic_or_partition,
                                  fmt::format("topic '{}' does not exist", name)});
  }
  if (type != broker_resource) {
    return tl::unexpected(Refusal{KafkaError::invalid_request,
                                  fmt::format("resource type {} is not {} (topic) or {} (broker)",
                                              type, topic_resource, broker_resource)});
  }
  if (name.empty()) return fmt::format("brokers/{}", znodes::default_entity);
  return tl::unexpected(Refusal{
      KafkaError::invalid_config,
      fmt::format("broker '{}' alone has no dynamic configs; all brokers (name '') have", name)});
}

// One after the other: each is a read and a write.
Task<Result<std::optional<Refusal>>> Reign::alter_config(std::string entity,
                                                         std::vector<ConfigEdit> edits,
                                                         bool replaces_all, bool validate_only) {
  const bool is_topic = entity.starts_with("topics/");
  std::string path = "/config/" + entity;
  for (;;) {
    CO_TRY(const auto found, co_await session_->get(path, false));
    metadata::Configs before;
    if (found) {
      CO_TRY(before, znodes::decode_config(path, found->data));
    }
    const auto after = edited(replaces_all ? metadata::Configs{} : before, edits,
                              is_topic ? check_topic_config : check_broker_config);
    if (!after) co_return std::optional<Refusal>(after.error());
    if (validate_only) co_return std::optional<Refusal>();
    const std::string value = znodes::config_value(*after);
    KeeperRequest write =
        fence(found ? set_request(path, value, found->stat.version) : create_request(path, value));
    CO_TRY(const ClientReply reply, co_await session_->call(std::move(write)));
    CO_TRY(const FencedReply written, decode_fenced(reply));
    if (written.error != ErrorCode::ok) continue;  // Another write came first, or our own did.
    KeeperRequest tell =
        fence(notification_request(znodes::config_changes, znodes::config_change_value(entity)));
    CO_TRY_VOID(co_await session_->call(std::move(tell)));
    co_return std::optional<Refusal>();
  }
}

// The oldest first, until one is young.
Task<Result<void>> Reign::forget_old_changes() {
  std::string above(znodes::config_changes);
  CO_TRY(auto names, co_await session_->children(above, false));
  std::sort(names.begin(), names.end());
  std::vector<std::string> old;
  for (const std::string& name : names) {
    std::string path = fmt::format("{}/{}", above, name);
    CO_TRY(const auto found, co_await session_->get(path, false));
    if (!found) continue;
    const auto made = std::chrono::milliseconds(found->stat.ctime);
    if (runtime_.wall_now() - made < change_lifetime) break;
    old.push_back(std::move(path));
  }
  co_return co_await delete_all(std::move(old));
}

template <class Response, class Request>
Task<Result<Response>> Reign::alter_all_configs(Request request, bool replaces_all) {
  Response response;
  std::set<std::pair<std::int8_t, std::string>> seen;
  for (const auto& resource : request.resources) {
    typename Response::Resource answer;
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    std::optional<Refusal> wrong;
    const auto entity = entity_of(resource.resource_type, resource.resource_name);
    if (!seen.emplace(resource.resource_type, resource.resource_name).second) {
      wrong = Refusal{KafkaError::invalid_request,
                      fmt::format("resource '{}' is named twice", resource.resource_name)};
    } else if (!entity) {
      wrong = entity.error();
    } else {
      auto edits = edits_of(resource);
      CO_TRY(wrong,
             co_await alter_config(*entity, std::move(edits), replaces_all, request.validate_only));
    }
    if (wrong) {
      answer.error_code = wrong->error;
      answer.error_message = std::move(wrong->message);
    }
    response.responses.push_back(std::move(answer));
  }
  if (!request.validate_only) CO_TRY_VOID(co_await forget_old_changes());
  co_return response;
}

Task<Result<wire::AlterConfigsResponse>> Reign::alter_configs(wire::AlterConfigsRequest request) {
  return alter_all_configs<wire::AlterConfigsResponse>(std::move(request), true);
}

Task<Result<wire::IncrementalAlterConfigsResponse>> Reign::alter_configs(
    wire::IncrementalAlterConfigsRequest request) {
  return alter_all_configs<wire::IncrementalAlterConfigsResponse>(std::move(request), false);
}

}  // namespace qlab::controller
