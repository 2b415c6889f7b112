#include "controller/zk/zk_controller.h"

#include "common/logging.h"
#include "controller/administer.h"
#include "controller/zk/reign.h"
#include "controller/zk/znodes.h"
#include "runtime/trace.h"
#include "wire/kafka/controlled_shutdown.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;
using wire::keeper::EventType;

namespace {

// After an error that another try may mend.
constexpr Duration pause = std::chrono::milliseconds(100);

keeper::ClientOptions client_options(const ZkOptions& options) {
  keeper::ClientOptions result;
  result.servers = options.keepers;
  result.session_timeout = options.session_timeout;
  return result;
}

}  // namespace

ZkController::ZkController(runtime::Runtime& runtime, ZkOptions options, Send send)
    : runtime_(runtime),
      options_(std::move(options)),
      send_(std::move(send)),
      events_(runtime, [this] { trace_traffic(); }),
      changed_(runtime),
      gate_(runtime) {}

ZkController::~ZkController() = default;

void ZkController::start() {
  events_.start();
  gate_.start([this] { return run(); });
  gate_.start([this] { return rebalance_forever(); });
}

Task<void> ZkController::stop() {
  stopping_ = true;
  changed_.notify_all();
  if (reign_) reign_->end();
  const std::shared_ptr<Session> session = session_;
  if (session) co_await session->stop(true);
  co_await events_.stop();
  co_await gate_.close();
  reign_.reset();
}

bool ZkController::is_active() const {
  return reign_ && reign_->is_active() && !session_->is_over();
}

std::optional<std::int32_t> ZkController::epoch() const {
  if (!is_active()) return std::nullopt;
  return reign_->office().epoch;
}

Task<void> ZkController::run() {
  while (!stopping_) {
    const auto on_keeper_event = [this](const wire::keeper::WatchEvent& event) { on_event(event); };
    auto session = std::make_shared<Session>(runtime_, client_options(options_), on_keeper_event,
                                             options_.in_flight);
    session_ = session;
    session->start();
    const auto connected = co_await session->connected();
    if (connected && !stopping_) {
      pending_.clear();
      changed_.notify_all();
      events_.put([this, session] { return greet(session); }, true);
      session_begun_(session);
      co_await session->over();
      old_sessions_.insert(session->id());
    }
    if (stopping_) co_return;
    log(LogLevel::warn, "controller", "the session {:x} with the keeper is over; another begins",
        static_cast<std::uint64_t>(session->id()));
    registered_.reset();
    set_active(std::nullopt);
    if (reign_) reign_->end();
    events_.put([this] { return resign(); }, true);
    co_await session->stop(false);
    co_await changed_.wait_until(runtime_.now() + pause);
  }
}

void ZkController::on_event(const wire::keeper::WatchEvent& event) {
  const std::string& path = event.path;
  if (path == znodes::config_changes) return configs_changed_();
  if (path == znodes::controller) {
    // One such event at a time is enough: it looks at what there is.
    if (!pending_.insert(path).second) return;
    const std::shared_ptr<Session> session = session_;
    events_.put([this, session] { return elect(session); }, true);
    return;
  }
  if (!reign_ || !pending_.insert(path).second) return;
  const auto post_change = [&](Task<Result<void>> (Reign::*handler)()) {
    post(path, [this, path, handler](Reign& reign) {
      pending_.erase(path);
      return (reign.*handler)();
    });
  };
  if (path == znodes::broker_ids) return post_change(&Reign::on_brokers_changed);
  if (path == znodes::topics) return post_change(&Reign::on_topics_changed);
  if (path == znodes::deletions) return post_change(&Reign::on_deletions_changed);
  const std::string topics = std::string(znodes::topics) + "/";
  const bool is_topic = path.starts_with(topics) && event.type == EventType::node_data_changed;
  if (!is_topic) {
    pending_.erase(path);
    return;
  }
  post(path, [this, path, name = path.substr(topics.size())](Reign& reign) {
    pending_.erase(path);
    return reign.on_topic_modified(name);
  });
}

Task<void> ZkController::greet(std::shared_ptr<Session> session) {
  for (const std::string& path : znodes::top_level()) {
    KeeperRequest create = create_request(path, "");
    const auto reply = co_await session->call(std::move(create));
    if (!reply) co_return;
  }
  co_await elect(session);
}

Task<void> ZkController::elect(std::shared_ptr<Session> session) {
  while (!stopping_ && session == session_ && !session->is_over()) {
    pending_.erase(std::string(znodes::controller));
    const auto settled = co_await try_elect(session);
    if (settled && *settled) co_return;
    if (settled || session->is_over()) continue;
    log(LogLevel::warn, "controller", "cannot take part in the election: {}; trying again",
        settled.error().message());
    co_await runtime::sleep_for(runtime_, pause);
  }
}

void ZkController::trace_traffic() {
  if (!session_) return;
  const ZnodeTraffic used = session_->take_traffic();
  if (used.reads + used.writes == 0) return;
  runtime_.trace().emit("znodes_used", {{"reads", used.reads},
                                        {"read_bytes", used.read_bytes},
                                        {"writes", used.writes},
                                        {"written_bytes", used.written_bytes}});
}

// Returns whether there is a controller that we know of now.
Task<Result<bool>> ZkController::try_elect(std::shared_ptr<Session> session) {
  std::string path(znodes::controller);
  CO_TRY(const auto found, co_await session->get(path, true));
  std::string epoch_path(znodes::controller_epoch);
  if (found) {
    CO_TRY(const NodeId id, znodes::decode_controller(found->data));
    const bool is_ours = id == options_.self && found->stat.ephemeral_owner == session->id();
    // An earlier life's office ends with its session.
    set_active(id == options_.self && !is_ours ? std::nullopt : std::optional(id));
    if (!is_ours && reign_) co_await resign();
    if (!is_ours || reign_) co_return true;
    // We were elected by a request whose answer was lost.
    CO_TRY(const auto epoch, co_await session->get(epoch_path, false));
    if (!epoch) co_return fail(Errc::corrupt, "there is no znode {}", epoch_path);
    CO_TRY(const auto number, znodes::decode_number(epoch_path, epoch->data));
    CO_TRY_VOID(co_await take_office(session, number, epoch->stat.version));
    co_return true;
  }
  set_active(std::nullopt);
  runtime_.trace().emit("controller_vacant", {});
  if (reign_) co_await resign();
  if (!options_.competes) co_return true;
  CO_TRY(const auto epoch, co_await session->get(epoch_path, false));
  if (!epoch) {
    KeeperRequest create = create_request(epoch_path, "0");
    CO_TRY_VOID(co_await session->call(std::move(create)));
    co_return false;
  }
  CO_TRY(const auto number, znodes::decode_number(epoch_path, epoch->data));
  const std::string value = znodes::controller_value(options_.self, runtime_.wall_now());
  std::vector<KeeperRequest> parts;
  parts.push_back(create_request(path, value, true));
  parts.push_back(set_request(epoch_path, std::to_string(number + 1), epoch->stat.version));
  KeeperRequest multi = multi_request(std::move(parts));
  CO_TRY(const ClientReply reply, co_await session->call(std::move(multi)));
  CO_TRY(const auto outcomes, decode_multi(reply));
  const bool won = outcomes.size() == 2 && outcomes[0].error == ErrorCode::ok &&
                   outcomes[1].error == ErrorCode::ok;
  if (!won) co_return false;
  set_active(options_.self);
  CO_TRY_VOID(co_await take_office(session, number + 1, outcomes[1].version));
  co_return true;
}

Task<Result<void>> ZkController::take_office(std::shared_ptr<Session> session, std::int32_t epoch,
                                             std::int32_t epoch_version) {
  runtime_.trace().emit("controller_elected", {{"epoch", epoch}});
  log(LogLevel::info, "controller", "elected with epoch {}", epoch);
  const auto post_event = [this](std::string name, Work work) {
    post(std::move(name), std::move(work));
  };
  reign_ = std::make_shared<Reign>(runtime_, session, options_, send_,
                                   Reign::Office{epoch, epoch_version}, post_event, gate_);
  const std::shared_ptr<Reign> reign = reign_;
  const auto done = co_await reign->take_over();
  if (done) {
    active_changed_();
    co_return Result<void>{};
  }
  log(LogLevel::error, "controller", "cannot read the cluster back with epoch {}: {}; giving up",
      epoch, done.error().message());
  co_await give_up_office();
  co_return done;
}

void ZkController::set_active(std::optional<NodeId> active) {
  active_ = active;
  active_changed_();
}

Task<void> ZkController::resign() {
  if (!reign_) co_return;
  runtime_.trace().emit("controller_inactive", {{"epoch", reign_->office().epoch}});
  log(LogLevel::info, "controller", "epoch {} is over", reign_->office().epoch);
  reign_->end();
  reign_.reset();
  // Their events find no reign.
  std::erase_if(pending_, [](const std::string& path) { return path != znodes::controller; });
}

// So that another may try.
Task<void> ZkController::give_up_office() {
  const std::shared_ptr<Session> session = session_;
  co_await resign();
  if (session->is_over()) co_return;
  std::string path(znodes::controller);
  const auto found = co_await session->get(path, false);
  if (!found || !*found || (*found)->stat.ephemeral_owner != session->id()) co_return;
  KeeperRequest gone = delete_request(path);
  static_cast<void>(co_await session->call(std::move(gone)));
}

void ZkController::post(std::string name, Work work) {
  auto event = [this, name = std::move(name), work = std::move(work)] {
    return carry_out(name, work);
  };
  events_.put(std::move(event), true);
}

Task<void> ZkController::carry_out(std::string name, Work work) {
  const std::shared_ptr<Reign> reign = reign_;
  if (!reign || stopping_) co_return;
  const auto done = co_await work(*reign);
  if (done || reign != reign_) co_return;
  log(LogLevel::warn, "controller", "{}: {}", name, done.error().message());
  if (done.error().code == Errc::not_leader) co_await resign();
}

Task<void> ZkController::rebalance_forever() {
  Time due = runtime_.now() + options_.controller.rebalance_interval;
  while (!stopping_) {
    co_await changed_.wait_until(due);
    if (stopping_) co_return;
    if (runtime_.now() < due) continue;
    due = runtime_.now() + options_.controller.rebalance_interval;
    if (!options_.controller.auto_rebalance || !is_active()) continue;
    post("auto rebalance", [](Reign& reign) { return reign.rebalance(); });
  }
}

}  // namespace qlab::controller
