#pragma once
// Kafka's names for the files of a partition's log.
//
// Source: Kafka 3.9, LogFileUtils; docs/formats.md.

#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"

namespace qlab::storage {

inline constexpr std::string_view data_suffix = ".log";
inline constexpr std::string_view offset_index_suffix = ".index";
inline constexpr std::string_view time_index_suffix = ".timeindex";
inline constexpr std::string_view epoch_checkpoint_name = "leader-epoch-checkpoint";
// Ours: Kafka keeps one such file for all partitions of a directory.
inline constexpr std::string_view recovery_point_name = "recovery-point";
inline constexpr std::string_view durable_mark_name = "durable-mark";
inline constexpr std::string_view compaction_point_name = "compaction-point";

// The partition that a directory is named for, `orders-3`; nothing when it is for none.
std::optional<TopicPartition> partition_named(std::string_view name);

std::string path_in(std::string_view directory, std::string_view name);

// `00000000000000000042.log`: the base offset in twenty digits, and what the file holds.
std::string segment_file_name(Offset base, std::string_view suffix);

// The base offset that a file with `suffix` is named for; nothing when it is no such file.
std::optional<Offset> base_of_file(std::string_view name, std::string_view suffix);
// Likewise of a data file.
std::optional<Offset> base_of_data_file(std::string_view name);

}  // namespace qlab::storage
