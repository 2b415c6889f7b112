#include "broker/config_keys.h"
#include "broker/modules.h"
#include "storage/topic_options.h"

namespace qlab::broker {

std::vector<Key> storage_keys() {
  using storage::Durability;
  return {
      word("engine", "buffered", storage_engines(), "How the partitions' logs reach the disk.",
           [](NodeConfig& c, const std::string& text) { c.engine = text; }),
      word("log.layout", "per_partition", log_layouts(),
           "How the logs of many partitions share the disk.",
           [](NodeConfig& c, const std::string& text) { c.layout = text; }),
      word("durability", "sync", {"none", "group", "sync"},
           "When an append counts: in the page cache, durable soon, or durable before the answer.",
           [](NodeConfig& c, const std::string& text) {
             c.replication.log.durability = text == "none"    ? Durability::none
                                            : text == "group" ? Durability::group
                                                              : Durability::sync;
           }),
      millis("durability.group.ms", {5, 1, 1000}, "With durability=group: the longest wait.",
             [](NodeConfig& c) -> Duration& { return c.replication.log.group_interval; }),
      number("num.shards", {1, 1, 64}, "Threads; each owns a part of the partitions.",
             [](NodeConfig& c, std::int64_t v) { c.shards = static_cast<std::size_t>(v); }),
      number("log.segment.bytes", {1 << 30, 1 << 20, 1 << 30}, "A log rolls beyond it.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.segment_bytes = static_cast<std::uint64_t>(v);
             }),
      number("log.index.interval.bytes", {4096, 0, int32_max}, "Bytes between two index entries.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.index_interval_bytes = static_cast<std::uint32_t>(v);
             }),
  };
}

std::vector<Key> file_keys() {
  return {
      word("log.preallocation", "none", storage::preallocation_names(),
           "How the file of a new segment gets its space.",
           [](NodeConfig& c, const std::string& text) {
             c.engine_options.preallocation = *storage::parse_preallocation(text);
           }),
      number("log.preallocate.bytes", {64 << 20, 1 << 20, 1 << 30}, "Size of a prepared file.",
             [](NodeConfig& c, std::int64_t v) {
               c.engine_options.prepared_bytes = static_cast<std::uint64_t>(v);
             }),
      number("log.preallocate.spares", {2, 0, 64}, "Prepared files that wait, of each shard.",
             [](NodeConfig& c, std::int64_t v) {
               c.engine_options.spares = static_cast<std::size_t>(v);
             }),
      number("log.open.files.max", {4000, 16, 1'000'000},
             "Segment files that a shard holds open; the least recently used is closed first.",
             [](NodeConfig& c, std::int64_t v) {
               c.layout_options.open_files_max = static_cast<std::size_t>(v);
             }),
      word("log.group.sync", "files", {"files", "filesystem"},
           "How many dirty logs are made durable: each file, or all by one syncfs.",
           [](NodeConfig& c, const std::string& text) {
             c.layout_options.group_sync = *storage::parse_group_sync(text);
           }),
      number("log.recovery.parallelism", {8, 1, 256}, "Logs that are recovered at a time.",
             [](NodeConfig& c, std::int64_t v) {
               c.layout_options.recovery_parallelism = static_cast<std::size_t>(v);
             }),
  };
}

// A time in milliseconds, or a size, of which -1 says that there is none.
std::vector<Key> cleaning_keys() {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  using storage::LogOptions;
  const auto wall = [](std::string_view name, Bounds bounds, std::string_view meaning,
                       WallMillis LogOptions::*field) {
    return number(name, bounds, meaning, [field](NodeConfig& c, std::int64_t v) {
      c.replication.log.*field = WallMillis(v);
    });
  };
  constexpr std::int64_t day = 86'400'000;
  return {
      word("log.cleanup.policy", "delete",
           {"delete", "compact", "delete,compact", "compact,delete"},
           "What becomes of old records of a topic that does not say.",
           [](NodeConfig& c, const std::string& text) {
             c.replication.log.cleanup_policy = *storage::parse_cleanup_policy(text);
           }),
      wall("log.retention.ms", {7 * day, -1, most}, "Age at which a segment is deleted; -1: never.",
           &LogOptions::retention),
      number("log.retention.bytes", {-1, -1, most},
             "What is kept at least of a partition when segments are deleted; -1: all.",
             [](NodeConfig& c, std::int64_t v) { c.replication.log.retention_bytes = v; }),
      millis("log.retention.check.interval.ms", {300'000, 1, int32_max},
             "Between two looks at what may be deleted or compacted.",
             [](NodeConfig& c) -> Duration& { return c.replication.retention_check_interval; }),
      wall("log.roll.ms", {7 * day, 1, most}, "Age at which the active segment is rolled.",
           &LogOptions::segment_age_max),
      wall("log.cleaner.delete.retention.ms", {day, 0, most},
           "How long a tombstone outlives its first compaction.", &LogOptions::delete_retention),
      wall("log.cleaner.min.compaction.lag.ms", {0, 0, most},
           "Age below which nothing is compacted.", &LogOptions::compaction_lag_min),
      wall("log.cleaner.max.compaction.lag.ms", {most, 1, most},
           "Age at which records are compacted, whatever the ratio.",
           &LogOptions::compaction_lag_max),
      {"log.cleaner.min.cleanable.ratio", "0.5", "a number in [0, 1]",
       "Share of a log that was never compacted, beyond which it is.",
       [](NodeConfig& c, const std::string& text) {
         return storage::set_topic_option(c.replication.log, "min.cleanable.dirty.ratio", text)
             .has_value();
       }},
      number("log.cleaner.dedupe.buffer.size", {128 << 20, 1 << 20, std::int64_t{16} << 30},
             "Memory for the keys of one compaction, per shard.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.dedupe_buffer_bytes = static_cast<std::size_t>(v);
             }),
  };
}

std::vector<Key> topic_keys() {
  return {
      number("num.partitions", {1, 1, 10'000}, "Of a new topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.num_partitions = static_cast<std::int32_t>(v);
             }),
      number("default.replication.factor", {1, 1, 1000}, "Of a new topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.default_replication_factor = static_cast<std::int16_t>(v);
             }),
      number("min.insync.replicas", {1, 1, 1000}, "Of a topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.min_insync_replicas = static_cast<std::int32_t>(v);
               c.controller.min_insync_replicas = static_cast<std::int32_t>(v);
             }),
      word("unclean.leader.election.enable", "false", {"true", "false"},
           "Of a topic that does not say: rather lose records than wait for a replica in sync.",
           [](NodeConfig& c, const std::string& text) {
             c.controller.unclean_leader_election = text == "true";
           }),
      word("auto.create.topics.enable", "false", {"true", "false"},
           "Make a topic when a client asks for one that is not there.",
           [](NodeConfig& c, const std::string& text) {
             c.server.auto_create_topics = text == "true";
           }),
  };
}

}  // namespace qlab::broker
