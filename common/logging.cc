#include "common/logging.h"

#include <atomic>
#include <cstdio>
#include <ctime>

namespace qlab {
namespace {

std::atomic<LogLevel> least{LogLevel::info};

thread_local std::string origin;  // Empty, or with a space behind it.

std::string_view word_for(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

}  // namespace

void set_log_level(LogLevel level) {
  least = level;
}

bool log_enabled(LogLevel level) {
  return level >= least.load(std::memory_order_relaxed);
}

LogOrigin::LogOrigin(std::string name) {
  origin = std::move(name) + " ";
}

LogOrigin::~LogOrigin() {
  origin.clear();
}

void log_line(LogLevel level, std::string_view who, std::string_view words) {
  // A log line's stamp is for people and is never read back, so the system's clock is used
  // directly.
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm calendar{};
  gmtime_r(&now.tv_sec, &calendar);
  const std::string line =
      fmt::format("{:02}:{:02}:{:02}.{:06} {:5} {}{} {}\n", calendar.tm_hour, calendar.tm_min,
                  calendar.tm_sec, now.tv_nsec / 1000, word_for(level), origin, who, words);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace qlab
