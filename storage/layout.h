#pragma once
// How the logs of many partitions share a disk. One of these per shard; storage/layouts.cc names
// them.
//
//   per_partition  a directory of segment files per partition, in Kafka's format
//   shared         one log for all partitions of the shard, settled in the background into sorted
//                  segments
//
// Everything above (replication, the broker) is written against this header and log.h;
// layout_contract_test.cc runs over every layout.

#include <memory>
#include <string_view>
#include <vector>

#include "storage/layout_options.h"
#include "storage/log.h"
#include "storage/log_name.h"

namespace qlab::storage {

// Thread: one shard.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual std::string_view name() const = 0;

  // Opens the log of that name or makes it; what is there under another topic id is removed first.
  // Requires: started; that log is not open; it is closed or removed before it is destroyed.
  // Durability: all that is there is durable when the task ends.
  // Errors: corrupt, naming file and position, and nothing was changed; io; no_space.
  virtual Task<Result<std::unique_ptr<Log>>> open(LogName name, LogOptions options) = 0;

  // The logs that are there and have no tenant, by name and so by topic. Where shards share a
  // directory, those of all shards; and a namesake's log in the place of a tenant's is left to
  // open(). A log that was never durable may have no topic's id: the zero one.
  // Requires: started; nobody opens or removes a log until the task ends.
  // Errors: io. What does not tell whether it is a log is none.
  virtual Task<Result<std::vector<LogName>>> find_strays(Tenants tenants) = 0;
  // Removes logs that nobody opened, and of those names no others. That one is not there is no
  // error. Requires: as of find_strays(), of these logs. Durability: when the task ends, or a crash
  // leaves all of a log or nothing. Errors: io; some of them are gone then.
  virtual Task<Result<void>> remove(std::vector<LogName> logs) = 0;

  // Recovers what the logs have in common. Requires: called once, before all else.
  // Errors: as open().
  virtual Task<Result<void>> start() = 0;
  // Requires: every log is closed or removed. Errors: as Log::close().
  virtual Task<Result<void>> stop() = 0;

  // Of start() and of all logs opened so far.
  virtual LayoutRecovery recovery() const = 0;
};

// The layouts of this build, in the order in which help texts list them.
std::vector<std::string_view> layout_names();

// Requires: `runtime` and `engine` outlive the layout.
// Errors: invalid, naming the layout asked for and those that exist; as LayoutOptions::validate().
Result<std::unique_ptr<Layout>> make_layout(std::string_view name, runtime::Runtime& runtime,
                                            Engine& engine, LayoutOptions options = {});

}  // namespace qlab::storage
