// Streams that nobody will open any more.

#include "storage/kafka_files.h"
#include "storage/shared/store.h"

namespace qlab::storage::shared {
namespace {

// Removed side by side, so that they share syncs.
constexpr std::size_t removed_at_once = 64;

}  // namespace

Task<Result<std::vector<LogName>>> Store::find_strays(Tenants tenants) {
  std::vector<LogName> strays;
  for (std::size_t b = 0; b < streams_.blocks(); ++b) {
    co_await runtime::yield(runtime_);
    StreamTable::Block* const block = streams_.block(b);
    if (block == nullptr) continue;
    for (const Stream& stream : *block) {
      // One without a partition's name is being removed already.
      if (!stream.is_there || !partition_named(stream.name)) continue;
      if (tenants(stream.name) != stream.topic) strays.push_back({stream.name, stream.topic});
    }
  }
  co_return std::move(strays);
}

Task<Result<void>> Store::remove(std::vector<LogName> logs) {
  Result<void> result;
  runtime::Gate workers(runtime_);
  for (std::size_t i = 0; i < std::min(removed_at_once, logs.size()); ++i) {
    workers.start([this, &logs, &result] { return remove_each(logs, result); });
  }
  co_await workers.close();
  co_return result;
}

Task<void> Store::remove_each(std::vector<LogName>& logs, Result<void>& result) {
  while (!logs.empty() && result) {
    const LogName name = std::move(logs.back());
    logs.pop_back();
    const std::optional<StreamId> id = streams_.find(name.partition);
    if (!id || streams_.find(*id)->topic != name.topic) continue;
    Result<void> removed = co_await remove(*id);
    if (!removed && result) result = std::move(removed);
  }
}

}  // namespace qlab::storage::shared
