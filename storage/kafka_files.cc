#include "storage/kafka_files.h"

#include <charconv>

namespace qlab::storage {

std::optional<TopicPartition> partition_named(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return {};
  std::int32_t index = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + dash + 1, end, index);
  if (error != std::errc{} || stop != end) return {};
  TopicPartition partition{std::string(name.substr(0, dash)), PartitionIndex{index}};
  if (partition.name() != name) return {};  // As of `orders-03`.
  return partition;
}

std::string path_in(std::string_view directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

std::string segment_file_name(Offset base, std::string_view suffix) {
  return fmt::format("{:020}{}", base.value(), suffix);
}

std::optional<Offset> base_of_data_file(std::string_view name) {
  return base_of_file(name, data_suffix);
}

std::optional<Offset> base_of_file(std::string_view name, std::string_view suffix) {
  constexpr std::size_t digits = 20;
  if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) return {};
  std::int64_t base = 0;
  const char* const end = name.data() + digits;
  const auto [stop, error] = std::from_chars(name.data(), end, base);
  if (error != std::errc{} || stop != end || base < 0) return {};
  return Offset{base};
}

}  // namespace qlab::storage
