#include "keeper/leader.h"

#include <algorithm>

#include "common/check.h"
#include "common/logging.h"

namespace qlab::keeper {

Leader::Leader(runtime::Runtime& runtime, consensus::Driver& driver, const State& state,
               Options options)
    : runtime_(runtime),
      driver_(driver),
      state_(state),
      options_(options),
      clock_(options.tick),
      gate_(runtime) {}

void Leader::activate(Epoch epoch) {
  CHECK(!is_active());
  epoch_ = epoch;
  primary_ = std::make_unique<Primary>(state_, options_.znode_bytes_max);
  clock_ = SessionClock(options_.tick);
  for (const auto& [id, session] : state_.sessions()) {
    clock_.touch(id, runtime_.now(), std::chrono::milliseconds(session.timeout_ms));
  }
  swept_ = runtime_.now();
}

void Leader::deactivate() {
  primary_.reset();
  clock_ = SessionClock(options_.tick);
  gathering_.clear();
  waiting_.clear();
  uncommitted_.clear();
  uncommitted_bytes_ = 0;
  proposed_ = applied_ = 0;
  syncs_.clear();
}

void Leader::submit(Submitted submitted) {
  if (!waiting_.empty() || uncommitted_bytes_ > Options::uncommitted_bytes_max) {
    waiting_.push_back(std::move(submitted));  // Bounded by what connections may have open.
    return;
  }
  decide(submitted);
}

void Leader::decide(const Submitted& submitted) {
  propose(encode(primary_->decide(submitted, runtime_.wall_now().count())));
}

void Leader::decide_own(OpCode op, std::int64_t session, const std::string& path) {
  wire::keeper::Request request;
  request.op = op;
  request.path = path;
  BytesWriter body;
  wire::keeper::put_body(body, request);
  decide({no_node, 0, session, op, body.take()});
}

void Leader::propose(Bytes body) {
  ++proposed_;
  uncommitted_.push_back(body.size());
  uncommitted_bytes_ += body.size();
  gathering_.push_back(std::move(body));
  if (std::exchange(proposing_soon_, true) || gate_.is_closed()) return;
  gate_.start([this] { return propose_soon(); });
}

// A task's first line runs when all that is ready now has gone on.
Task<void> Leader::propose_soon() {
  proposing_soon_ = false;
  if (!is_active() || gathering_.empty()) co_return;
  std::vector<Bytes> bodies;
  bodies.swap(gathering_);
  co_await propose_all(std::move(bodies), epoch_);
}

// A transaction that is not in the log makes what was decided behind it wrong: then this epoch is
// over for us.
Task<void> Leader::propose_all(std::vector<Bytes> bodies, Epoch epoch) {
  const consensus::ProposeResult result = co_await driver_.propose(std::move(bodies), epoch);
  const bool is_missing =
      result.fate == consensus::Fate::rejected || result.fate == consensus::Fate::overloaded;
  if (!is_missing || !is_active() || epoch != epoch_) co_return;
  log(LogLevel::warn, "keeper", "a proposal of epoch {} was not taken; resigning", epoch);
  driver_.resign(epoch);
}

void Leader::applied(const Transaction& transaction, const Outcome& outcome, consensus::LogId id) {
  if (outcome.op == OpCode::create_session) {
    const Session* session = state_.session(outcome.session);
    clock_.touch(outcome.session, runtime_.now(), std::chrono::milliseconds(session->timeout_ms));
  }
  if (outcome.op == OpCode::close_session) clock_.remove(outcome.session);
  if (id.epoch != epoch_) return;
  primary_->applied(transaction);
  ++applied_;
  CHECK(!uncommitted_.empty());
  uncommitted_bytes_ -= uncommitted_.front();
  uncommitted_.pop_front();
  while (!syncs_.empty() && syncs_.front().after <= applied_) {
    const Sync sync = std::move(syncs_.front());
    syncs_.pop_front();
    sync.done(id.index);
  }
  while (!waiting_.empty() && uncommitted_bytes_ <= Options::uncommitted_bytes_max) {
    const Submitted next = std::move(waiting_.front());
    waiting_.pop_front();
    decide(next);
  }
}

void Leader::touch(std::int64_t session) {
  if (!primary_->is_open(session)) return;
  const auto timeout = std::chrono::milliseconds(state_.session(session)->timeout_ms);
  clock_.touch(session, runtime_.now(), timeout);
}

std::int32_t Leader::validate(NodeId server, std::int64_t session, ByteView password) {
  if (!primary_->is_open(session)) return 0;
  const Session& known = *state_.session(session);
  if (!std::equal(password.begin(), password.end(), known.password.begin(), known.password.end())) {
    log(LogLevel::warn, "keeper", "session 0x{:x} was asked for with a wrong password; refused",
        session);
    return 0;
  }
  touch(session);
  primary_->move_session(session, server);
  return known.timeout_ms;
}

void Leader::sync(std::function<void(LogIndex)> done) {
  if (proposed_ == applied_) return done(driver_.applied());
  syncs_.push_back({proposed_, std::move(done)});
}

void Leader::tick() {
  for (const std::int64_t session : clock_.expired(runtime_.now())) {
    if (!primary_->is_open(session)) continue;
    log(LogLevel::info, "keeper", "session 0x{:x} expired", session);
    decide_own(OpCode::close_session, session, {});
  }
  if (runtime_.now() - swept_ >= options_.container_interval) sweep();
}

// A container goes when its last child went, so not before it had one; a znode with a time to live
// when it has no children and was not written for so long.
void Leader::sweep() {
  swept_ = runtime_.now();
  const std::int64_t now_ms = runtime_.wall_now().count();
  std::vector<std::string> paths;
  for (const Slot slot : state_.tree().temporary()) {
    const Znode& node = state_.tree().at(slot);
    if (node.children > 0) continue;
    const bool over = node.owner == wire::keeper::container_owner
                          ? node.cversion > 0
                          : now_ms - node.mtime > wire::keeper::ttl_of_owner(node.owner);
    if (over) paths.push_back(state_.tree().path_of(slot));
  }
  for (const std::string& path : paths) decide_own(OpCode::delete_container, 0, path);
}

}  // namespace qlab::keeper
