#include "controller/zk/config_follower.h"

#include <algorithm>

#include "common/logging.h"
#include "controller/zk/znodes.h"

namespace qlab::controller {
namespace {

// Before another try, and between two looks for a session.
constexpr Duration pause = std::chrono::milliseconds(100);
// Between two looks at whether the session lives; news come by a watch.
constexpr Duration look_interval = std::chrono::seconds(1);
constexpr std::string_view topics_prefix = "topics/";
constexpr std::string_view brokers_prefix = "brokers/";

std::string config_path(const std::string& entity) {
  return "/config/" + entity;
}

std::string topic_entity(const std::string& topic) {
  return std::string(topics_prefix) + topic;
}

// What an answer to get_request says; no such znode has none.
Result<metadata::Configs> configs_in(const std::string& entity, const ClientReply& reply) {
  if (reply.error != wire::keeper::ErrorCode::ok) return metadata::Configs{};
  TRY(const Znode znode, decode_znode(reply));
  return znodes::decode_config(config_path(entity), znode.data);
}

}  // namespace

Task<void> ConfigFollower::stop() {
  stopping_ = true;
  changed_.notify_all();
  co_await gate_.close();
}

void ConfigFollower::on_session(std::shared_ptr<Session> session) {
  session_ = std::move(session);
  changed_.notify_all();
}

void ConfigFollower::on_news() {
  has_news_ = true;
  changed_.notify_all();
}

Task<void> ConfigFollower::run() {
  while (!stopping_) {
    const std::shared_ptr<Session> session = session_;
    if (is_present(session)) {
      const auto followed = co_await follow_changes(session);
      if (!followed && !stopping_ && !session->is_over()) {
        log(LogLevel::warn, "configs", "{}; beginning again", followed.error().message());
      }
    }
    if (stopping_) co_return;
    co_await changed_.wait_until(runtime_.now() + pause);
  }
}

Task<Result<void>> ConfigFollower::follow_changes(std::shared_ptr<Session> session) {
  // Where we begin, everything is read; what is told of from here on is read again.
  last_change_.clear();
  has_news_ = false;
  // Where there is no such znode yet, its creation is watched, else its children.
  CO_TRY_VOID(co_await session->get(std::string(znodes::config_changes), true));
  CO_TRY(const auto before, co_await session->children(std::string(znodes::config_changes), true));
  if (!before.empty()) last_change_ = *std::max_element(before.begin(), before.end());
  std::vector<std::string> entities;
  entities.push_back(std::string(brokers_prefix) + std::string(znodes::default_entity));
  for (const auto& [topic, id] : known_) entities.push_back(topic_entity(topic));
  CO_TRY_VOID(co_await read(session, std::move(entities)));
  while (!stopping_ && is_present(session)) {
    if (std::exchange(has_news_, false)) CO_TRY_VOID(co_await take_changes(session));
    if (has_news_ || stopping_) continue;
    co_await changed_.wait_until(runtime_.now() + look_interval);
  }
  co_return Result<void>{};
}

Task<Result<void>> ConfigFollower::take_changes(std::shared_ptr<Session> session) {
  CO_TRY(auto names, co_await session->children(std::string(znodes::config_changes), true));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name <= last_change_) continue;
    std::string path = fmt::format("{}/{}", znodes::config_changes, name);
    CO_TRY(const auto change, co_await session->get(std::move(path), false));
    last_change_ = name;
    if (!change) continue;  // It is old, and was removed.
    CO_TRY(std::string entity, znodes::decode_config_change(change->data));
    std::vector<std::string> entities(1, std::move(entity));
    CO_TRY_VOID(co_await read(session, std::move(entities)));
  }
  co_return Result<void>{};
}

Task<void> ConfigFollower::follow(std::vector<wire::LeaderAndIsrRequest::TopicState> topics) {
  std::vector<std::string> entities;
  for (const auto& topic : topics) {
    const auto [at, is_new] = known_.try_emplace(topic.topic_name, topic.topic_id);
    if (!is_new && at->second == topic.topic_id) continue;
    at->second = topic.topic_id;
    entities.push_back(topic_entity(topic.topic_name));
  }
  const std::shared_ptr<Session> session = session_;
  if (entities.empty() || !is_present(session)) co_return;
  const auto done = co_await read(session, std::move(entities));
  if (!done && !stopping_) {
    log(LogLevel::warn, "configs", "{}; they come with the next session", done.error().message());
  }
}

Task<Result<void>> ConfigFollower::read(std::shared_ptr<Session> session,
                                        std::vector<std::string> entities) {
  const auto asked = std::make_shared<const std::vector<std::string>>(std::move(entities));
  const Session::Make make = [asked](std::size_t i) {
    return get_request(config_path((*asked)[i]));
  };
  const Session::Take take_each = [this, asked](std::size_t i, const ClientReply& reply) {
    return take((*asked)[i], reply);
  };
  co_return co_await session->call_all(asked->size(), make, take_each);
}

Task<Result<ConfigFollower::TopicConfigs>> ConfigFollower::read_topics(
    std::vector<std::string> topics, Time deadline) {
  for (;;) {
    if (stopping_) co_return fail(Errc::closed, "this node is stopping");
    const std::shared_ptr<Session> session = session_;
    const Slot slot = std::make_shared<std::optional<Result<TopicConfigs>>>();
    const bool asks = is_present(session);
    if (asks)
      gate_.start([this, session, topics, slot] { return read_into(session, topics, slot); });
    while (asks && !slot->has_value() && !stopping_ && runtime_.now() < deadline) {
      co_await changed_.wait_until(deadline);
    }
    const bool is_answered = slot->has_value();
    // The next session may tell.
    if (is_answered && ((*slot)->has_value() || !session->is_over())) co_return std::move(**slot);
    if (runtime_.now() >= deadline) co_return fail(Errc::timed_out, "the keeper does not answer");
    co_await changed_.wait_until(std::min(deadline, runtime_.now() + pause));
  }
}

Task<void> ConfigFollower::read_into(std::shared_ptr<Session> session,
                                     std::vector<std::string> topics, Slot slot) {
  TopicConfigs found;
  const Session::Make make = [&topics](std::size_t i) {
    return get_request(config_path(topic_entity(topics[i])));
  };
  const Session::Take take_each = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(found[topics[i]], configs_in(topic_entity(topics[i]), reply));
    return {};
  };
  const auto done = co_await session->call_all(topics.size(), make, take_each);
  if (done) {
    slot->emplace(std::move(found));
  } else {
    slot->emplace(fail(done.error()));
  }
  changed_.notify_all();
}

Result<void> ConfigFollower::take(const std::string& entity, const ClientReply& reply) {
  TRY(metadata::Configs configs, configs_in(entity, reply));
  const std::string name = entity.substr(entity.find('/') + 1);
  if (entity.starts_with(topics_prefix)) cache_.set_topic_configs(name, std::move(configs));
  if (entity.starts_with(brokers_prefix)) {
    // One broker alone has no dynamic configs.
    if (name == znodes::default_entity) cache_.set_broker_configs(no_node, std::move(configs));
  }
  return {};
}

}  // namespace qlab::controller
