// How a properties file is split into settings (config.h).

#include "broker/config.h"

namespace qlab::broker {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

Result<Setting> parse_line(std::string_view line, std::string place) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos || trim(line.substr(0, equals)).empty()) {
    return fail(Errc::invalid, "{}: `{}` is not key=value", place, line);
  }
  return Setting{std::string(trim(line.substr(0, equals))),
                 std::string(trim(line.substr(equals + 1))), std::move(place)};
}

}  // namespace

Result<void> check_once(const std::vector<Setting>& settings) {
  std::map<std::string_view, std::string_view> places;
  for (const Setting& setting : settings) {
    const auto [at, is_new] = places.emplace(setting.key, setting.place);
    if (!is_new) {
      return fail(Errc::invalid, "{}: {}={} is there twice (first at {}); allowed: once",
                  setting.place, setting.key, setting.value, at->second);
    }
  }
  return {};
}

Result<std::vector<Setting>> parse_properties(std::string_view text, std::string_view file) {
  std::vector<Setting> settings;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#') continue;
    TRY(Setting setting, parse_line(content, fmt::format("{}:{}", file, number)));
    settings.push_back(std::move(setting));
  }
  TRY_VOID(check_once(settings));
  return settings;
}

Result<Setting> parse_override(std::string_view text) {
  return parse_line(text, "--set");
}

}  // namespace qlab::broker
