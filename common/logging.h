#pragma once
// One line per event on standard error: time, level, node, words. For whoever decides, not for
// libraries.

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace qlab {

enum class LogLevel : std::uint8_t { debug, info, warn, error };

// The least level that is printed; info unless set. Process-wide, set once by main.
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);
// Thread: any; a line is written with one call and never interleaves.
void log_line(LogLevel level, std::string_view who, std::string_view words);

// While it lives, lines of this thread name the node they come from, as in `[7]`.
class LogOrigin {
 public:
  explicit LogOrigin(std::string name);
  ~LogOrigin();
  LogOrigin(const LogOrigin&) = delete;
  LogOrigin& operator=(const LogOrigin&) = delete;
};

template <class... Args>
void log(LogLevel level, std::string_view who, fmt::format_string<Args...> words, Args&&... args) {
  if (log_enabled(level)) log_line(level, who, fmt::format(words, std::forward<Args>(args)...));
}

}  // namespace qlab
