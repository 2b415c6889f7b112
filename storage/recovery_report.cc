#include "storage/recovery_report.h"

#include <fmt/format.h>

namespace qlab::storage {
namespace {

std::int64_t whole_millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

std::string_view name_of(RecoveryPhase phase) {
  constexpr std::array<std::string_view, recovery_phases> names{
      "checkpoint", "list", "open", "index", "scan", "cut", "rewrite", "sync", "store"};
  return names.at(static_cast<std::size_t>(phase));
}

void LayoutRecovery::add(const RecoveryReport& report) {
  ++logs;
  ++(report.clean ? clean : unclean);
  segments += report.segments;
  bytes_scanned += report.bytes_scanned;
  bytes_truncated += report.bytes_truncated;
  bytes_rewritten += report.bytes_rewritten;
  torn_tails += report.torn_tails;
  corrupt_ranges += report.corrupt_ranges;
  for (std::size_t i = 0; i < recovery_phases; ++i) phases[i] += report.phases[i];
}

std::string LayoutRecovery::to_string() const {
  std::string text = fmt::format(
      "recovered {} logs in {} ms: {} clean, {} unclean, {} failed, at most {} at a time; {} bytes "
      "scanned, {} rewritten, {} cut in {} torn tails with {} corrupt ranges",
      logs, whole_millis(elapsed), clean, unclean, failed, parallelism, bytes_scanned,
      bytes_rewritten, bytes_truncated, torn_tails, corrupt_ranges);
  std::string_view separator = "; ";
  for (std::size_t i = 0; i < recovery_phases; ++i) {
    if (phases[i] == Duration{}) continue;
    text += fmt::format("{}{} {} ms", separator, name_of(static_cast<RecoveryPhase>(i)),
                        whole_millis(phases[i]));
    separator = ", ";
  }
  return text;
}

}  // namespace qlab::storage
