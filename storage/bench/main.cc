// qlab-bench-storage: see `help()` in options.cc.

#include <cstdio>
#include <vector>

#include "common/logging.h"
#include "storage/bench/driver.h"
#include "storage/bench/modes.h"

namespace qlab::storage::bench {
namespace {

Result<void> run_mode(const BenchOptions& options, Output& output) {
  switch (options.mode) {
    case Mode::append:
      return run_append(options, output);
    case Mode::read:
      return run_read(options, output);
    case Mode::threads:
      return run_threads(options, output);
    case Mode::partitions:
      return run_partitions(options, output);
    case Mode::recovery:
      return run_recovery(options, output);
  }
  return {};
}

int run(int count, char** words) {
  const std::vector<std::string_view> arguments(words + 1, words + count);
  for (const std::string_view argument : arguments) {
    if (argument != "--help" && argument != "-h") continue;
    std::fputs(help().c_str(), stdout);
    return 0;
  }
  if (arguments.size() == 1 && arguments[0] == "plugs") {
    fmt::print("{}\n", plugs().dump());
    return 0;
  }
  const auto options = parse_options(arguments);
  if (!options) {
    fmt::print(stderr, "qlab-bench-storage: {}\n", options.error().context);
    return 2;
  }
  end_runs_on_signals();
  Output output(*options, stdout);
  const Result<void> done = run_mode(*options, output);
  if (done) return 0;
  fmt::print(stderr, "qlab-bench-storage: {}\n", done.error().message());
  return done.error().code == Errc::invalid ? 2 : 1;
}

}  // namespace
}  // namespace qlab::storage::bench

int main(int count, char** words) {
  return qlab::storage::bench::run(count, words);
}
