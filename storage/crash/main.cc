// qlab-storage-crash: see crash_help() in options.cc.

#include <csignal>
#include <cstdio>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/real/real_runtime.h"
#include "storage/crash/examination.h"
#include "storage/crash/mutants.h"
#include "storage/crash/options.h"
#include "storage/crash/writer.h"

namespace qlab::storage {
namespace {

using Json = nlohmann::json;

constexpr int exit_broken = 1;   // A promise.
constexpr int exit_refused = 2;  // The arguments or the directory.
constexpr int exit_stopped = 3;  // The disk refused before the check was over.

Json json_of(const LogIdentity& identity, const LogVerdict& verdict) {
  Json json = {
      {"log", identity.partition_name()},         {"incarnation", identity.incarnation},
      {"start", verdict.start.value()},           {"end", verdict.end.value()},
      {"batches", verdict.bases.size()},          {"bytes_truncated", verdict.bytes_truncated},
      {"bytes_vanished", verdict.bytes_vanished}, {"dropped", nullptr}};
  if (verdict.dropped) json["dropped"] = *verdict.dropped;
  return json;
}

// Counts the operations of the disk; fails one, or ends the process before one.
runtime::FaultHook hook_of(const CrashOptions& options) {
  if (options.kill_at == 0 && !options.fault) return {};
  return
      [&options, all = std::uint64_t{0}, alike = std::uint64_t{0},
       random = Prng(options.seed + options.kill_at)](const runtime::DiskAccess& access) mutable {
        runtime::DiskFault fault;
        all += 1;
        const bool tears = options.tear && access.operation == runtime::DiskOperation::write;
        if (options.kill_at != 0 && all == options.kill_at && tears) {
          fault.error = EIO;
          fault.torn = random.below(access.count + 1);
          return fault;
        }
        if (options.kill_at != 0 && all >= options.kill_at) (void)std::raise(SIGKILL);
        if (options.fault && access.operation == options.fault->operation) {
          alike += 1;
          if (alike == options.fault->count) fault.error = options.fault->number;
        }
        return fault;
      };
}

// One run: recovers, checks, and goes on writing when that is asked for.
class Run {
 public:
  Run(runtime::Runtime& runtime, const CrashOptions& options)
      : runtime_(runtime), options_(options) {}

  Task<void> live();
  int status() const { return status_; }

 private:
  Task<Result<void>> serve();
  Task<Result<void>> start_layout();
  Task<Result<void>> close_all();
  Task<Result<void>> examine();
  Task<void> examine_again();
  bool is_good() const;
  Task<void> write();
  void say_verdict();

  runtime::Runtime& runtime_;
  const CrashOptions& options_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Layout> layout_;
  History history_;
  std::vector<std::unique_ptr<Log>> logs_;
  std::vector<LogVerdict> verdicts_;
  int status_ = 0;
};

Task<void> Run::live() {
  const Result<void> served = co_await serve();
  if (engine_) co_await engine_->stop();
  if (served) co_return;
  const Error& error = served.error();
  status_ = is_refusal(error)             ? exit_stopped
            : error.code == Errc::invalid ? exit_refused
                                          : exit_broken;
  fmt::print(stderr, "qlab-storage-crash: {}\n", error.message());
}

Task<Result<void>> Run::serve() {
  CO_TRY(history_, read_journal(options_.journal, options_.partitions));
  CO_TRY(engine_, make_engine(options_.engine, runtime_, options_.preparation));
  if (!engine_->is_persistent()) {
    co_return fail(Errc::invalid, "--engine={} keeps nothing that a crash could spare",
                   options_.engine);
  }
  CO_TRY_VOID(co_await engine_->start());
  CO_TRY_VOID(co_await examine());
  say_verdict();
  if (is_good() && options_.write) co_await write();
  [[maybe_unused]] const Result<void> closed = co_await close_all();
  co_return Result<void>{};
}

LogIdentity identity_of(const CrashOptions& options, const History& history, std::size_t index) {
  return {options.seed, static_cast<std::int64_t>(index), history.logs[index].incarnation};
}

Task<Result<void>> Run::start_layout() {
  CO_TRY(layout_, make_layout(options_.layout, runtime_, *engine_, options_.grouping));
  co_return co_await layout_->start();
}

Task<Result<void>> Run::close_all() {
  Result<void> result;
  for (std::unique_ptr<Log>& log : logs_) {
    if (!log) continue;
    const Result<void> closed = co_await log->close();
    if (result && !closed) result = closed;
    log.reset();
  }
  const Result<void> stopped = co_await layout_->stop();
  co_return result ? stopped : result;
}

bool Run::is_good() const {
  for (const LogVerdict& verdict : verdicts_) {
    if (!verdict.violations.empty() || verdict.stopped) return false;
  }
  return true;
}

// Errors: only those that come before any verdict.
Task<Result<void>> Run::examine() {
  CO_TRY_VOID(co_await start_layout());
  Examination examination(*layout_, options_);
  logs_.resize(history_.logs.size());
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    const LogIdentity identity = identity_of(options_, history_, i);
    const LogOptions log_options = log_options_of(options_, identity.partition);
    verdicts_.push_back(
        co_await examination.open(identity, history_.logs[i], log_options, logs_[i]));
  }
  // A writer goes on at times in logs that were recovered and never closed.
  const std::uint64_t coin = options_.seed + static_cast<std::uint64_t>(history_.session);
  const bool again = !options_.write || Prng(coin).chance(0.5);
  if (again && is_good()) co_await examine_again();
  co_return Result<void>{};
}

Task<void> Run::examine_again() {
  Result<void> anew = co_await close_all();
  if (anew) anew = co_await start_layout();
  if (!anew) {
    verdicts_[0].stopped = anew.error().message();
    co_return;
  }
  Examination examination(*layout_, options_);
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    const LogIdentity identity = identity_of(options_, history_, i);
    const LogOptions log_options = log_options_of(options_, identity.partition);
    co_await examination.open_again(identity, log_options, logs_[i], verdicts_[i]);
  }
}

void Run::say_verdict() {
  Json violations = Json::array();
  Json stopped = Json::array();
  Json logs = Json::array();
  for (std::size_t i = 0; i < verdicts_.size(); ++i) {
    const LogIdentity identity = identity_of(options_, history_, i);
    const LogVerdict& verdict = verdicts_[i];
    logs.push_back(json_of(identity, verdict));
    for (const std::string& words : verdict.violations) {
      violations.push_back(fmt::format("{}: {}", identity.partition_name(), words));
    }
    if (verdict.stopped) stopped.push_back(*verdict.stopped);
  }
  if (!stopped.empty()) status_ = exit_stopped;
  if (!violations.empty()) status_ = exit_broken;
  const Json json = {{"session", history_.session},
                     {"violations", violations},
                     {"stopped", stopped},
                     {"logs", logs}};
  fmt::print("{}\n", json.dump());
  (void)std::fflush(stdout);
}

Task<void> Run::write() {
  auto opened = Journal::open(options_.journal);
  if (!opened) {
    fmt::print(stderr, "qlab-storage-crash: {}\n", opened.error().message());
    status_ = exit_refused;
    co_return;
  }
  Journal journal = std::move(*opened);
  Session session{runtime_, *layout_, options_, journal, history_.session + 1, {}};
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    history_.logs[i].recovered(first_epoch_of(session.number), logs_[i]->start(), logs_[i]->end());
  }
  journal.snapshot(session.number, history_.logs);
  std::vector<std::unique_ptr<LogWriter>> writers;
  runtime::Gate gate(runtime_);
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    writers.push_back(std::make_unique<LogWriter>(session, identity_of(options_, history_, i),
                                                  history_.logs[i], verdicts_[i].bases,
                                                  std::move(logs_[i])));
    gate.start([writer = writers.back().get()] { return writer->run(); });
  }
  co_await gate.close();
  if (session.violations.empty()) co_return;
  const Json json = {{"session", session.number}, {"violations", session.violations}};
  fmt::print("{}\n", json.dump());
  status_ = exit_broken;
}

int run(int count, char** words) {
  const std::vector<std::string_view> arguments(words + 1, words + count);
  if (arguments.size() == 1 && arguments[0] == "list") {
    const Json json = {{"engines", engine_names()}, {"layouts", layout_names()}};
    fmt::print("{}\n", json.dump());
    return 0;
  }
  for (const std::string_view argument : arguments) {
    if (argument != "--help" && argument != "-h") continue;
    std::fputs(crash_help().c_str(), stdout);
    return 0;
  }
  const auto options = parse_crash_options(arguments);
  if (!options) {
    fmt::print(stderr, "qlab-storage-crash: {}\n", options.error().context);
    return exit_refused;
  }
  if (options->mutant == Mutant::skip_directory_sync) skip_directory_syncs();
  auto shards = runtime::RealShards::create({.root = options->directory,
                                             .node = NodeId(1),
                                             .shards = 1,
                                             .cpus = {},
                                             .trace_file = {},
                                             .seed = options->seed});
  if (!shards) {
    fmt::print(stderr, "qlab-storage-crash: {}\n", shards.error().message());
    return is_refusal(shards.error()) ? exit_stopped : exit_refused;
  }
  (*shards)->set_fault_hook(0, hook_of(*options));
  Run run((*shards)->shard(0), *options);
  (*shards)->run([&run] { return run.live(); });
  return run.status();
}

}  // namespace
}  // namespace qlab::storage

int main(int count, char** words) {
  return qlab::storage::run(count, words);
}
