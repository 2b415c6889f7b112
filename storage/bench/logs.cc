#include "storage/bench/logs.h"

#include "runtime/async.h"

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
