// qlab-load: see `help()` in options.cc.

#include <cstdio>
#include <ctime>
#include <vector>

#include "common/logging.h"
#include "experiments/load/modes.h"

namespace qlab::experiments {

StopSignals::StopSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

bool StopSignals::asked(std::chrono::milliseconds wait) {
  const timespec limit{wait.count() / 1000, wait.count() % 1000 * 1'000'000};
  if (sigtimedwait(&set_, nullptr, &limit) > 0) ++count_;
  return count_ > 0;
}

namespace {

int run(int count, char** words) {
  const std::vector<std::string_view> arguments(words + 1, words + count);
  for (const std::string_view argument : arguments) {
    if (argument != "--help" && argument != "-h") continue;
    std::fputs(help().c_str(), stdout);
    return 0;
  }
  const auto options = parse_options(arguments);
  if (!options) {
    fmt::print(stderr, "qlab-load: {}\n", options.error().context);
    return 2;
  }
  StopSignals signals;
  const auto run_mode = options->mode == Mode::produce    ? run_produce
                        : options->mode == Mode::read_all ? run_read_all
                                                          : run_probe;
  const auto done = run_mode(*options, signals);
  if (done) return 0;
  fmt::print(stderr, "qlab-load: {}\n", done.error().context);
  return done.error().code == Errc::invalid ? 2 : 1;
}

}  // namespace
}  // namespace qlab::experiments

int main(int count, char** words) {
  return qlab::experiments::run(count, words);
}
