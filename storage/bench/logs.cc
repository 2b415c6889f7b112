#include "storage/bench/logs.h"

#include "runtime/async.h"
#include "storage/bench/appends.h"

namespace qlab::storage::bench {
namespace {

struct Opening {
  Layout& layout;
  const LogOptions options;
  std::vector<std::unique_ptr<Log>> logs;
  std::uint64_t next = 0;
  std::optional<Error> failure;
};

Task<void> open_some(std::shared_ptr<Opening> all) {
  while (all->next < all->logs.size() && !all->failure) {
    const std::uint64_t index = all->next++;
    LogName name = log_name(index);
    LogOptions options = all->options;
    auto opened = co_await all->layout.open(std::move(name), std::move(options));
    if (opened) {
      all->logs[index] = std::move(*opened);
    } else if (!all->failure) {
      all->failure = opened.error();
    }
  }
}

struct Beginning {
  const std::vector<std::unique_ptr<Log>>& logs;
  const std::uint64_t count;
  const Bytes batch;
  const bool syncs;
  std::uint64_t next = 0;
  std::optional<Error> failure;
};

Task<Result<void>> append_one(Log& log, Bytes batch, bool syncs) {
  CO_TRY_VOID(co_await log.append_as_leader(std::move(batch), LeaderEpoch{0}));
  if (syncs) CO_TRY_VOID(co_await log.sync());
  co_return Result<void>{};
}

Task<void> append_some(std::shared_ptr<Beginning> all) {
  while (all->next < all->count && !all->failure) {
    Log& log = *all->logs[all->next++];
    Bytes batch = all->batch;
    const Result<void> appended = co_await append_one(log, std::move(batch), all->syncs);
    if (!appended && !all->failure) all->failure = appended.error();
  }
}

}  // namespace

LogName log_name(std::uint64_t index) {
  return {.partition = fmt::format("bench-{}", index), .topic = TopicId{0x62656e6368, 0x6c6f67}};
}

Task<Result<std::vector<std::unique_ptr<Log>>>> open_logs(runtime::Runtime& runtime, Layout& layout,
                                                          LogOptions options, std::uint64_t count,
                                                          std::uint64_t parallel) {
  const auto all = std::shared_ptr<Opening>(
      new Opening{.layout = layout, .options = std::move(options), .logs = {}, .failure = {}});
  all->logs.resize(count);
  runtime::Gate gate(runtime);
  for (std::uint64_t i = 0; i < parallel; ++i) gate.start([all] { return open_some(all); });
  co_await gate.close();
  if (all->failure) {
    std::erase(all->logs, nullptr);
    const Result<void> ignored = co_await close_logs(all->logs);
    (void)ignored;
    co_return fail(*all->failure);
  }
  co_return std::move(all->logs);
}

Task<Result<void>> append_to_each(runtime::Runtime& runtime,
                                  const std::vector<std::unique_ptr<Log>>& logs,
                                  std::uint64_t count, BenchOptions options) {
  const auto all = std::shared_ptr<Beginning>(
      new Beginning{.logs = logs,
                    .count = count,
                    .batch = batch_of(options.size, options.seed),
                    .syncs = options.log_options.durability == Durability::sync,
                    .failure = {}});
  runtime::Gate gate(runtime);
  for (std::uint64_t i = 0; i < options.concurrency; ++i) {
    gate.start([all] { return append_some(all); });
  }
  co_await gate.close();
  if (all->failure) co_return fail(*all->failure);
  co_return Result<void>{};
}

Task<Result<void>> close_logs(std::vector<std::unique_ptr<Log>>& logs) {
  Result<void> outcome;
  for (const auto& log : logs) {
    Result<void> closed = co_await log->close();
    if (outcome && !closed) outcome = std::move(closed);
  }
  logs.clear();
  co_return outcome;
}

}  // namespace qlab::storage::bench
