// qlab-consensus-load: see `consensus_help()` in options.cc.

#include <cstdio>

#include "experiments/consensus_load/load.h"

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  for (const std::string& word : words) {
    if (word != "--help" && word != "-h") continue;
    std::fputs(qlab::experiments::consensus_help().c_str(), stdout);
    return 0;
  }
  auto options = qlab::experiments::parse_consensus_options(words);
  if (!options) {
    fmt::print(stderr, "qlab-consensus-load: {}\n", options.error().context);
    return 2;
  }
  const auto done = qlab::experiments::ConsensusLoad(std::move(*options)).run();
  if (done) return 0;
  fmt::print(stderr, "qlab-consensus-load: {}\n", done.error().context);
  return 1;
}
