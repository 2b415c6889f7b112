#include "broker/clean_shutdown.h"

#include <charconv>

namespace qlab::broker {
namespace {

constexpr std::string_view file_name = ".kafka_cleanshutdown";
constexpr std::string_view before_epoch = R"({"version":0,"brokerEpoch":)";
constexpr BrokerEpoch none{-1};

BrokerEpoch epoch_in(std::string_view text) {
  if (!text.starts_with(before_epoch) || !text.ends_with('}')) return none;
  text.remove_prefix(before_epoch.size());
  text.remove_suffix(1);
  std::int64_t epoch = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
  const bool is_number = error == std::errc{} && end == text.data() + text.size();
  return is_number && epoch >= 0 ? BrokerEpoch{epoch} : none;
}

}  // namespace

Result<BrokerEpoch> take_clean_shutdown(runtime::Disk& disk) {
  const auto bytes = disk.read_file(file_name);
  if (!bytes && bytes.error().code == Errc::not_found) return none;
  if (!bytes) return fail(bytes.error());
  TRY_VOID(disk.remove(file_name));
  TRY_VOID(disk.sync_directory(""));
  return epoch_in(as_text(*bytes));
}

Result<void> leave_clean_shutdown(runtime::Disk& disk, BrokerEpoch epoch) {
  const std::string text = fmt::format("{}{}}}", before_epoch, epoch);
  return disk.write_file_atomically(file_name, as_view(text));
}

}  // namespace qlab::broker
