// CreateTopics and DeleteTopics: znodes that the watches of the active controller then tell of.
//
// Source: Kafka 3.9, ZkAdminManager and AdminZkClient. Kafka writes topic after topic; here as many
// are on their way as the session lets through.

#include <algorithm>
#include <set>

#include "controller/placement.h"
#include "controller/topic_rules.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::KafkaError;
using wire::keeper::ErrorCode;

// One topic of a request, as far as it is checked.
struct Reign::TopicPlan {
  TopicOutcome outcome;
  std::string value;   // Of the topic's znode.
  std::string config;  // Of its config's.
  bool is_written = false;
};

namespace {

constexpr std::size_t request_overhead = 1024;  // Beside path and value, generously.

metadata::Configs configs_of(const NewTopic& topic) {
  metadata::Configs configs;
  for (const auto& [key, value] : topic.configs) configs[key] = value.value_or("");
  return configs;
}

}  // namespace

std::optional<Refusal> Reign::check_topic(const NewTopic& topic, const Asked& asked) const {
  if (auto wrong = check_topic_name(topic.name)) return wrong;
  if (asked.names.contains(topic.name)) {
    return Refusal{KafkaError::invalid_request,
                   fmt::format("topic '{}' is named twice in one request", topic.name)};
  }
  if (context_.topics().contains(topic.name)) {
    return Refusal{KafkaError::topic_already_exists, fmt::format("topic '{}' exists", topic.name)};
  }
  if (topic.assignment.empty() && (topic.partitions == 0 || topic.partitions < -1)) {
    return Refusal{KafkaError::invalid_partitions,
                   fmt::format("number of partitions {} is less than 1", topic.partitions)};
  }
  const std::int64_t wanted = topic.assignment.empty()
                                  ? topic.partitions
                                  : static_cast<std::int64_t>(topic.assignment.size());
  if (asked.partitions + wanted > partitions_per_request_max) {
    return Refusal{KafkaError::policy_violation,
                   fmt::format("with {} partitions more the request makes more than it may, {}",
                               wanted, partitions_per_request_max)};
  }
  for (const auto& [key, value] : topic.configs) {
    if (auto wrong = check_topic_config(key, value)) return wrong;
  }
  const std::size_t list_bytes =
      context_.names_bytes() + names_coming_ + sizeof(std::int32_t) + topic.name.size();
  if (list_bytes + request_overhead > Session::jute_bytes_max) {
    return Refusal{KafkaError::policy_violation,
                   fmt::format("the list of all topics would take {} bytes, more than "
                               "jute.maxbuffer={} lets any controller read",
                               list_bytes, Session::jute_bytes_max)};
  }
  return std::nullopt;
}

std::optional<Refusal> Reign::plan_topic(const NewTopic& topic, TopicPlan& plan) {
  znodes::TopicValue value;
  if (!topic.assignment.empty()) {
    auto wrong =
        check_assignment(topic.assignment, [&](NodeId id) { return context_.is_live(id); });
    if (wrong) return wrong;
    value.replicas = topic.assignment;
  } else {
    PlacementRequest placement;
    placement.brokers = eligible_brokers();
    placement.partitions =
        topic.partitions == -1 ? options_.controller.num_partitions : topic.partitions;
    placement.replication_factor = topic.replication_factor == -1
                                       ? options_.controller.default_replication_factor
                                       : topic.replication_factor;
    placement.start = runtime_.random().next() % 1024;
    auto placed = place(placement);
    if (!placed) {
      return Refusal{KafkaError::invalid_replication_factor, placed.error().context};
    }
    value.replicas = std::move(*placed);
  }
  const std::uint64_t high = runtime_.random().next();
  value.id = TopicId::from_random(high, runtime_.random().next());
  plan.outcome.id = value.id;
  plan.outcome.partitions = static_cast<std::int32_t>(value.replicas.size());
  plan.outcome.replication_factor = static_cast<std::int16_t>(value.replicas.front().size());
  plan.value = znodes::topic_value(value);
  plan.config = znodes::config_value(configs_of(topic));
  return check_size(topic.name, std::max(plan.value.size(), plan.config.size()));
}

std::optional<Refusal> Reign::check_size(const std::string& topic, std::size_t value_bytes) const {
  const std::size_t bytes = value_bytes + request_overhead;
  if (bytes <= Session::jute_bytes_max) return std::nullopt;
  return Refusal{KafkaError::policy_violation,
                 fmt::format("the znode of topic '{}' would take {} bytes, more than "
                             "jute.maxbuffer={}",
                             topic, bytes, Session::jute_bytes_max)};
}

std::vector<NodeId> Reign::eligible_brokers() const {
  std::vector<NodeId> brokers = context_.live_brokers();
  std::erase_if(brokers, [&](NodeId id) { return !context_.is_eligible(id); });
  return brokers;
}

Task<Result<std::vector<TopicOutcome>>> Reign::create_topics(std::vector<NewTopic> topics,
                                                             bool validate_only, Time deadline) {
  Asked asked;
  std::vector<TopicPlan> plans;
  std::size_t names = 0;
  for (const NewTopic& topic : topics) {
    TopicPlan plan;
    plan.outcome.name = topic.name;
    auto wrong = check_topic(topic, asked);
    if (!wrong) wrong = plan_topic(topic, plan);
    asked.names.insert(topic.name);
    if (wrong) {
      plan.outcome.error = wrong->error;
      plan.outcome.message = std::move(wrong->message);
      plan.outcome.id = {};
    } else {
      asked.partitions += plan.outcome.partitions;
      names += sizeof(std::int32_t) + topic.name.size();
      names_coming_ += sizeof(std::int32_t) + topic.name.size();
    }
    plans.push_back(std::move(plan));
    co_await runtime::yield(runtime_);  // Topics may be large, and many.
  }
  Result<void> done;
  if (!validate_only) done = co_await write_topics(plans);
  names_coming_ -= names;
  if (done && !validate_only) done = co_await until_settled(plans, deadline);
  if (!done) {
    const bool is_begun =
        std::any_of(plans.begin(), plans.end(), [](const auto& plan) { return plan.is_written; });
    if (is_begun && done.error().code != Errc::timed_out) {
      co_return fail(Errc::unknown_outcome, "{}", done.error().context);
    }
    co_return fail(done.error());
  }
  std::vector<TopicOutcome> outcomes;
  for (TopicPlan& plan : plans) outcomes.push_back(std::move(plan.outcome));
  co_return outcomes;
}

Task<Result<void>> Reign::write_topics(std::vector<TopicPlan>& plans) {
  std::vector<TopicPlan*> good;
  for (TopicPlan& plan : plans) {
    if (plan.outcome.error == KafkaError::none) good.push_back(&plan);
  }
  // A config may be left from a topic that never came to be.
  std::vector<TopicPlan*> left;
  const Session::Make make_config = [&](std::size_t i) {
    return fence(create_request(znodes::topic_config(good[i]->outcome.name), good[i]->config));
  };
  const Session::Take take_config = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const FencedReply made, decode_fenced(reply));
    if (made.error == ErrorCode::node_exists) left.push_back(good[i]);
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(good.size(), make_config, take_config));
  // Unless it is the config of one that another request has made meanwhile.
  std::erase_if(
      left, [&](const TopicPlan* plan) { return context_.topics().contains(plan->outcome.name); });
  const Session::Make make_over = [&](std::size_t i) {
    return fence(set_request(znodes::topic_config(left[i]->outcome.name), left[i]->config));
  };
  const Session::Take take_over = [](std::size_t, const ClientReply& reply) -> Result<void> {
    TRY_VOID(decode_fenced(reply));
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(left.size(), make_over, take_over));

  const Session::Make make_topic = [&](std::size_t i) {
    good[i]->is_written = true;
    return fence(create_request(znodes::topic(good[i]->outcome.name), good[i]->value));
  };
  std::vector<TopicPlan*> doubtful;
  const Session::Take take_topic = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const FencedReply made, decode_fenced(reply));
    if (made.error == ErrorCode::node_exists) {
      doubtful.push_back(good[i]);
    } else if (made.error != ErrorCode::ok) {
      good[i]->outcome.error = KafkaError::unknown_server_error;
      good[i]->outcome.message = wire::keeper::name_of(made.error);
    }
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(good.size(), make_topic, take_topic));
  co_return co_await settle_doubts(std::move(doubtful));
}

// A znode that is there may be our own, from a request whose answer was lost.
Task<Result<void>> Reign::settle_doubts(std::vector<TopicPlan*> plans) {
  for (TopicPlan* plan : plans) {
    std::string path = znodes::topic(plan->outcome.name);
    CO_TRY(const auto found, co_await session_->get(path, false));
    const bool is_ours = found && as_text(found->data) == plan->value;
    if (is_ours) continue;
    plan->outcome.error = KafkaError::topic_already_exists;
    plan->outcome.message = fmt::format("topic '{}' exists", plan->outcome.name);
    plan->outcome.id = {};
  }
  co_return Result<void>{};
}

Task<Result<void>> Reign::until_settled(const std::vector<TopicPlan>& plans, Time deadline) {
  for (const TopicPlan& plan : plans) {
    while (plan.outcome.error == KafkaError::none) {
      if (is_over_) co_return fail(Errc::closed, "the controller's reign has ended");
      const ZkTopic* const topic = context_.topic(plan.outcome.id);
      if (topic != nullptr && topic->is_settled) break;
      if (runtime_.now() >= deadline) {
        co_return fail(Errc::timed_out, "topic '{}' is written and has no leaders yet",
                       plan.outcome.name);
      }
      const std::shared_ptr<runtime::Event> decided = decided_;
      co_await decided->wait_until(deadline);
    }
  }
  co_return Result<void>{};
}

Task<Result<std::vector<TopicOutcome>>> Reign::delete_topics(std::vector<std::string> names,
                                                             Time deadline) {
  std::vector<TopicOutcome> outcomes;
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    TopicOutcome outcome;
    outcome.name = name;
    const ZkTopic* const topic = context_.topic(name);
    if (topic == nullptr) {
      outcome.error = KafkaError::unknown_topic_or_partition;
      outcome.message = fmt::format("topic '{}' is unknown", name);
    } else {
      outcome.id = topic->id;
      if (!topic->to_be_deleted) paths.push_back(znodes::deletion(name));
    }
    outcomes.push_back(std::move(outcome));
  }
  const Session::Make make = [&](std::size_t i) { return fence(create_request(paths[i], "")); };
  const Session::Take take = [](std::size_t, const ClientReply& reply) -> Result<void> {
    TRY_VOID(decode_fenced(reply));  // It may have been asked for before.
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(paths.size(), make, take));
  for (const TopicOutcome& outcome : outcomes) {
    while (outcome.error == KafkaError::none) {
      if (is_over_) co_return fail(Errc::unknown_outcome, "the controller's reign has ended");
      const ZkTopic* const topic = context_.topic(outcome.id);
      if (topic == nullptr || topic->to_be_deleted) break;
      if (runtime_.now() >= deadline) {
        co_return fail(Errc::timed_out, "the deletion of topic '{}' is asked for", outcome.name);
      }
      const std::shared_ptr<runtime::Event> decided = decided_;
      co_await decided->wait_until(deadline);
    }
  }
  co_return outcomes;
}

}  // namespace qlab::controller
