// qlab-bench-micro: what the CPU-bound parts of the way to the disk cost.
//
//   qlab-bench-micro [--benchmark_filter=REGEX ...]   Google Benchmark's own options and table
//   qlab-bench-micro --json [...]                     one JSON object per line (json_lines.h)

#include <algorithm>
#include <string_view>
#include <vector>

#include "storage/bench/micro/json_lines.h"
#include "storage/bench/micro/micro.h"

namespace qlab::storage::micro {
namespace {

void register_all() {
  register_checksum();
  register_framing();
  register_batches();
  register_indexes();
  register_codec();
  register_append_path();
  register_read_path();
}

int run(int argc, char** argv) {
  std::vector<char*> words(argv, argv + argc);
  const auto json = std::find(words.begin(), words.end(), std::string_view("--json"));
  const bool as_json = json != words.end();
  // Repeated in turns, so that a disturbance does not hit all repetitions of one benchmark. What
  // the caller says comes later and wins.
  std::string repetitions = "--benchmark_repetitions=9";
  std::string interleaving = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.02";
  std::string warm_up = "--benchmark_min_warmup_time=0.02";
  if (as_json) {
    words.erase(json);
    words.insert(words.begin() + 1,
                 {repetitions.data(), interleaving.data(), time.data(), warm_up.data()});
  }
  int count = static_cast<int>(words.size());
  benchmark::Initialize(&count, words.data());
  if (benchmark::ReportUnrecognizedArguments(count, words.data())) return 2;
  register_all();
  if (as_json) {
    JsonLines lines;
    benchmark::RunSpecifiedBenchmarks(&lines);
  } else {
    benchmark::RunSpecifiedBenchmarks();
  }
  return 0;
}

}  // namespace
}  // namespace qlab::storage::micro

int main(int argc, char** argv) {
  return qlab::storage::micro::run(argc, argv);
}
