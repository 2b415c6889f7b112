#include "consensus/driver.h"

#include "common/check.h"
#include "common/logging.h"
#include "consensus/config.h"
#include "consensus/driver_impl.h"
#include "consensus/message.h"

namespace qlab::consensus {
namespace {

constexpr std::size_t apply_bytes_max = 64u << 10;  // Between two turns of the shard's executor.
constexpr std::size_t reads_max = 10'000;           // Waiting at a time.

Result<void> check_same_life(const VoteStore& votes, const LogView& log) {
  const LogId last = log.last();
  if (!votes.state() && last.index > LogIndex{0}) {
    return fail(Errc::invalid, "the log has {} entries, but no vote is beside it", last.index);
  }
  // Hard state of an epoch is durable before its first entry is; the vote may be ahead, never the
  // log.
  if (votes.state() && last.epoch > votes.state()->epoch) {
    return fail(Errc::invalid,
                "the log has entries of epoch {}, and the vote beside it is of epoch {}",
                last.epoch, votes.state()->epoch);
  }
  const LogId end = votes.log_end();
  if (end.index > log.snapshot().last.index && log.epoch_of(end.index) != end.epoch) {
    return fail(Errc::corrupt,
                "the log ends at entry {} of epoch {}, and when the vote of epoch {} was saved it "
                "had entry {} of epoch {}",
                last.index, last.epoch, votes.state()->epoch, end.index, end.epoch);
  }
  return {};
}

Result<void> result_of(const out::Outcome& outcome) {
  switch (outcome.fate) {
    case Fate::committed:
      return {};
    case Fate::overloaded:
      return fail(Errc::overloaded, "another change is under way");
    case Fate::superseded:
    case Fate::unknown:
      return fail(Errc::unknown_outcome, "leadership was lost before it was known");
    case Fate::rejected:
      break;
  }
  if (!outcome.reason.empty()) return fail(Errc::invalid, "{}", outcome.reason);
  if (outcome.hint) return fail(Errc::not_leader, "node {} leads", *outcome.hint);
  return fail(Errc::not_leader, "another node leads");
}

}  // namespace

Task<Result<std::unique_ptr<Driver>>> Driver::open(runtime::Runtime& runtime,
                                                   storage::Engine& engine, StateMachine& machine,
                                                   ModuleFactory factory, DriverOptions options) {
  runtime::Disk* disk = engine.is_persistent() ? &runtime.disk() : nullptr;
  if (disk != nullptr) {
    CO_TRY_VOID(disk->make_directories(options.directory));
  }
  CO_TRY(auto votes,
         VoteStore::open(disk, fmt::format("{}/vote", options.directory), options.self));
  CO_TRY(const bool has_log, LogStore::exists(engine, options.directory, disk));
  CO_TRY(auto snapshots, co_await SnapshotStore::open(disk, options.directory));
  if (votes.state() && !has_log) {
    co_return fail(Errc::invalid, "the log in {} is missing, and a vote is beside it",
                   options.directory);
  }
  const LogStoreOptions log_options{.salt = runtime.random().next(),
                                    .fresh = !votes.state(),
                                    .file_bytes = options.log_file_bytes,
                                    .disk = disk};
  CO_TRY(auto log,
         co_await LogStore::open(engine, options.directory, snapshots->newest(), log_options));
  CO_TRY_VOID(check_same_life(votes, log->view()));
  if (!votes.state()) {
    CO_TRY_VOID(votes.save(HardState{}, {}));
  }
  if (log->bytes_cut() > 0) {
    qlab::log(LogLevel::warn, "consensus",
              "cut a torn tail of {} bytes from the log in {}, never acknowledged",
              log->bytes_cut(), options.directory);
  }
  Stores stores{std::move(log), std::move(votes), std::move(snapshots)};
  auto driver = std::make_unique<DriverImpl>(runtime, machine, factory, std::move(options),
                                             std::move(stores));
  CO_TRY_VOID(co_await driver->restore());
  co_return std::unique_ptr<Driver>(std::move(driver));
}

DriverImpl::DriverImpl(runtime::Runtime& runtime, StateMachine& machine,
                       const ModuleFactory& factory, DriverOptions options, Stores stores)
    : runtime_(runtime),
      machine_(machine),
      options_(std::move(options)),
      trace_(runtime, options_.self.id, options_.trace),
      log_(std::move(stores.log)),
      votes_(std::move(stores.votes)),
      snapshots_(std::move(stores.snapshots)),
      writes_(*log_, votes_, *snapshots_),
      work_(runtime),
      gate_(runtime) {
  told_image_ = snapshots_->newest().last;
  commit_ = applied_ = told_image_.index;
  note_configs(log_->view().read(log_->view().first(), SIZE_MAX));
  config_ = config_at(log_->view().last().index);
  module_ = factory(
      ModuleContext{options_.self, options_.tuning,
                    Recovery{*votes_.state(), config_, applied_, config_at(told_image_.index)},
                    log_->view(), runtime_.random().fork(), runtime_.now()});
}

void DriverImpl::start(std::function<void(Error)> on_fatal) {
  CHECK(phase_ == Phase::opened);
  phase_ = Phase::running;
  on_fatal_ = std::move(on_fatal);
  if (trace_.on()) trace_.started(module_->status(), config_, applied_);
  gate_.start([this] { return write_loop(); });
  for (const auto& [peer, link] : links_) input(in::LinkUp{peer, link.value()});
  arm_timer();
}

Task<void> DriverImpl::stop() {
  end();
  phase_ = Phase::stopped;
  work_.notify_all();
  co_await gate_.close();
  // Nothing waits for it: what is not durable has not been acknowledged.
  static_cast<void>(co_await log_->close());
  static_cast<void>(co_await snapshots_->close());
}

// Nothing is stepped any more; whoever waits is told.
void DriverImpl::end() {
  if (phase_ == Phase::running) phase_ = Phase::failed;
  for (runtime::TimerId* timer : {&timer_, &linger_timer_, &apply_timer_}) {
    runtime_.cancel(std::exchange(*timer, {}));
  }
  inputs_.clear();
  held_.clear();
  proposals_.abandon();
  const Error why{Errc::closed, "the consensus group was stopped"};
  for (auto& [request, read] : std::exchange(reads_, {})) read.set(fail(why));
  for (auto& [index, read] : std::exchange(reads_ready_, {})) read.set(fail(why));
  for (auto& [request, change] : std::exchange(changes_, {})) change.set(fail(why));
  reads_of_image_.clear();
}

void DriverImpl::give_up(Error why) {
  if (phase_ != Phase::running) return;
  end();
  on_fatal_(std::move(why));
}

void DriverImpl::input(Input next) {
  if (phase_ != Phase::running) return;
  inputs_.push_back(std::move(next));
  if (stepping_) return;  // From within an effect: its turn comes.
  stepping_ = true;
  while (phase_ == Phase::running && !inputs_.empty()) {
    const Input now = std::move(inputs_.front());
    inputs_.pop_front();
    effects_.clear();
    if (trace_.on()) trace_.input(now);
    module_->step(runtime_.now(), now, effects_);
    for (const Effect& effect : effects_) {
      if (trace_.on()) trace_.effect(effect);
      std::visit([this](const auto& e) { carry_out(e); }, effect);
    }
    if (trace_.on()) trace_.stepped(*module_);
    apply_committed();
  }
  stepping_ = false;
  arm_timer();
  if (!writes_.empty()) work_.notify_all();
}

void DriverImpl::arm_timer() {
  if (phase_ != Phase::running) return;
  const Time due = module_->next_deadline();
  if (timer_ != runtime::TimerId{} && due == timer_due_) return;
  runtime_.cancel(std::exchange(timer_, {}));
  if (due == Time::max()) return;
  timer_due_ = due;
  timer_ = runtime_.call_at(due, [this] {
    timer_ = {};
    input(in::Timer{});
  });
}

Task<void> DriverImpl::write_loop() {
  while (phase_ == Phase::running) {
    if (writes_.empty()) {
      co_await work_.wait();
      continue;
    }
    const auto written = co_await writes_.flush();
    if (phase_ != Phase::running) co_return;
    if (!written) {
      give_up(written.error());
      co_return;
    }
    if (trace_.on()) trace_.durable(writes_.durable());
    release_held();
    if (installing_ && installing_->seq <= writes_.durable()) {
      const auto installed = co_await finish_install();
      if (phase_ != Phase::running) co_return;
      if (!installed) {
        give_up(installed.error());
        co_return;
      }
    }
    input(in::WriteDone{writes_.durable()});
    tell_of_image();
  }
}

void DriverImpl::carry_out(const out::Append& effect) {
  note_configs(effect.entries);
  writes_.append(effect.seq, effect.entries);
}
void DriverImpl::carry_out(const out::Truncate& effect) {
  CHECK(effect.from > commit_);
  configs_.erase(configs_.lower_bound(effect.from), configs_.end());
  writes_.truncate(effect.seq, effect.from);
}
void DriverImpl::carry_out(const out::SaveHardState& effect) {
  writes_.save(effect.seq, effect.state);
}

// The one place where a visible effect is let go or held back.
void DriverImpl::when_durable(WriteSeq after, Held effect) {
  CHECK(after <= writes_.issued());
  if (after <= writes_.durable()) return release(after, effect);
  held_.emplace(after, std::move(effect));
}

void DriverImpl::release_held() {
  while (!held_.empty() && held_.begin()->first <= writes_.durable()) {
    auto next = held_.extract(held_.begin());
    release(next.key(), next.mapped());
  }
  apply_committed();
}

void DriverImpl::release(WriteSeq after, const Held& effect) {
  CHECK(after <= writes_.durable());  // The durability rule.
  if (const auto* index = std::get_if<LogIndex>(&effect)) {
    CHECK(*index > commit_);
    CHECK(*index <= log_->view().last().index);
    commit_ = *index;
    if (trace_.on()) trace_.committed(commit_);
    return;
  }
  const auto& send = std::get<HeldSend>(effect);
  const auto link = links_.find(send.to);
  if (link == links_.end() || link->second != send.link) {  // It died with its stream.
    if (trace_.on()) trace_.not_sent(send.to, *send.message, "link_ended");
    return;
  }
  if (trace_.on()) trace_.sent(send.to, send.link, *send.message);
  Bytes payload = encode(*send.message);
  ++traffic_.messages_sent;
  traffic_.bytes_sent += payload.size();
  if (!runtime_.transport().send(send.to, options_.channel, std::move(payload))) {
    // A FIFO stream loses a suffix or nothing.
    if (trace_.on()) trace_.not_sent(send.to, *send.message, "queue_full");
    runtime_.transport().close_link(send.to);
  }
}

void DriverImpl::carry_out(const out::Send& effect) {
  const auto link = links_.find(effect.to);
  if (link == links_.end()) {
    if (trace_.on()) trace_.not_sent(effect.to, *effect.message, "no_link");
    return;
  }
  when_durable(effect.after, HeldSend{effect.to, link->second, effect.message});
}
void DriverImpl::carry_out(const out::Commit& effect) {
  when_durable(effect.after, effect.up_to);
}

void DriverImpl::carry_out(const out::CloseLink& effect) {
  runtime_.transport().close_link(effect.peer);
}

void DriverImpl::carry_out(const out::Outcome& effect) {
  if (auto change = changes_.extract(effect.request); !change.empty()) {
    return change.mapped().set(result_of(effect));
  }
  const auto read = reads_.extract(effect.request);
  if (read.empty()) return proposals_.decide(effect);
  Error why{Errc::not_leader, "another node leads"};
  if (effect.hint) why.context = fmt::format("node {} leads", *effect.hint);
  read.mapped().set(fail(std::move(why)));
}

void DriverImpl::carry_out(const out::ReadReady& effect) {
  auto read = reads_.extract(effect.request);
  CHECK(!read.empty());
  reads_ready_.emplace(effect.wait_applied, std::move(read.mapped()));
}

void DriverImpl::carry_out(const out::LeaderKnown& effect) {
  machine_.on_leader_known(effect.epoch, effect.leader);
}

void DriverImpl::carry_out(const out::Activate& effect) {
  CHECK(!activating_);
  CHECK(!active_);
  activating_ = effect;
}

void DriverImpl::carry_out(const out::Deactivate& effect) {
  activating_.reset();
  if (std::exchange(active_, false)) machine_.deactivate(effect.epoch);
}

// Applies what is committed, a batch at a time so that a long log does not hold up the shard.
void DriverImpl::apply_committed() {
  if (phase_ != Phase::running || applying_ || installing_) return;
  applying_ = true;
  if (applied_ < commit_) {
    auto entries = log_->view().read(applied_.next(), apply_bytes_max);
    while (!entries.empty() && entries.back().id.index > commit_) entries.pop_back();
    CHECK(!entries.empty());
    machine_.apply(entries);
    applied_ = entries.back().id.index;
    CHECK(applied_ <= commit_);
    if (trace_.on()) trace_.applied(applied_);
    for (const Entry& entry : entries) bytes_since_snapshot_ += entry.body->size();
    input(in::Applied{applied_});
    take_snapshot_if_due();
  }
  applying_ = false;
  if (activating_ && applied_ >= activating_->ready_at) {
    const Epoch epoch = std::exchange(activating_, std::nullopt)->epoch;
    active_ = true;
    machine_.activate(epoch);
  }
  proposals_.applied(applied_);
  while (!reads_ready_.empty() && reads_ready_.begin()->first <= applied_) {
    reads_ready_.extract(reads_ready_.begin()).mapped().set(Result<void>{});
  }
  if (applied_ < commit_ && apply_timer_ == runtime::TimerId{}) {
    apply_timer_ = runtime_.call_at(runtime_.now(), [this] {
      apply_timer_ = {};
      apply_committed();
    });
  }
}

Status DriverImpl::status() const {
  Status status = module_->status();
  status.traffic = traffic_;
  status.traffic.syncs = writes_.syncs();
  return status;
}

void DriverImpl::receive(NodeId from, runtime::LinkEpoch link, Bytes payload) {
  ++traffic_.messages_received;
  traffic_.bytes_received += payload.size();
  auto message = decode(payload);
  if (!message) {
    if (trace_.on()) trace_.refused(from, message.error().context);
    return;
  }
  input(in::Receive{from, link.value(), std::make_shared<const Message>(std::move(*message))});
}

void DriverImpl::link_up(NodeId peer, runtime::LinkEpoch link) {
  links_[peer] = link;
  input(in::LinkUp{peer, link.value()});
}

void DriverImpl::link_down(NodeId peer, runtime::LinkEpoch link) {
  const auto at = links_.find(peer);
  if (at == links_.end() || at->second != link) return;
  links_.erase(at);
  input(in::LinkDown{peer, link.value()});
}

Task<ProposeResult> DriverImpl::propose(std::vector<Bytes> bodies,
                                        std::optional<Epoch> expect_epoch) {
  if (phase_ != Phase::running || bodies.empty()) co_return ProposeResult{Fate::rejected, {}, {}};
  if (proposals_.lingering_bytes() > options_.tuning.uncommitted_bytes_max) {
    co_return ProposeResult{Fate::overloaded, {}, {}};
  }
  Proposals::Waiter waiter(runtime_.executor());
  const std::size_t bytes_max = options_.tuning.batch_bytes_max;
  if (!proposals_.add(bodies, expect_epoch, bytes_max, waiter)) {
    hand_in_proposals();
    CHECK(proposals_.add(bodies, expect_epoch, bytes_max, waiter));
  }
  if (options_.linger == Duration{} || proposals_.lingering_bytes() >= bytes_max) {
    hand_in_proposals();
  } else if (linger_timer_ == runtime::TimerId{}) {
    linger_timer_ = runtime_.call_at(runtime_.now() + options_.linger, [this] {
      linger_timer_ = {};
      hand_in_proposals();
    });
  }
  co_return co_await waiter.wait();
}

void DriverImpl::hand_in_proposals() {
  runtime_.cancel(std::exchange(linger_timer_, {}));
  if (!proposals_.lingers()) return;
  requests_ = requests_.next();
  input(proposals_.take(requests_));
}

Task<Result<void>> DriverImpl::read_barrier() {
  if (phase_ != Phase::running) co_return fail(Errc::closed, "the consensus group was stopped");
  if (reads_.size() + reads_ready_.size() >= reads_max) {
    co_return fail(Errc::overloaded, "{} reads are waiting", reads_max);
  }
  requests_ = requests_.next();
  runtime::Completion<Result<void>> read(runtime_.executor());
  reads_.emplace(requests_, read);
  input(in::Read{requests_});
  co_return co_await read.wait();
}

// One request of the module's that ends with an outcome and has nothing to apply.
Task<Result<void>> DriverImpl::ask(std::function<Input(RequestId)> make) {
  if (phase_ != Phase::running) co_return fail(Errc::closed, "the consensus group was stopped");
  requests_ = requests_.next();
  runtime::Completion<Result<void>> answer(runtime_.executor());
  changes_.emplace(requests_, answer);
  input(make(requests_));
  co_return co_await answer.wait();
}

Task<Result<void>> DriverImpl::reconfigure(Config target) {
  if (!module_->capabilities().reconfigure) {
    co_return fail(Errc::unsupported, "this module does not change its configuration");
  }
  CO_TRY_VOID(check_config(target));
  const auto make = [target](RequestId request) { return in::Reconfigure{request, target}; };
  co_return co_await ask(make);
}

Task<Result<void>> DriverImpl::transfer(std::optional<NodeId> to) {
  if (!module_->capabilities().transfer) {
    co_return fail(Errc::unsupported, "this module does not hand leadership over");
  }
  const NodeId target = to.value_or(no_node);
  const auto make = [target](RequestId request) { return in::Transfer{request, target}; };
  co_return co_await ask(make);
}

void DriverImpl::resign(Epoch epoch) {
  input(in::Resign{epoch});
}

std::uint64_t DriverImpl::digest() const {
  return module_->digest() * 31 + static_cast<std::uint64_t>(applied_.value());
}

}  // namespace qlab::consensus
