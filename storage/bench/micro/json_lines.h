#pragma once
// The figures as one JSON object per line, in the shape of the I/O bench (storage/bench):
//
//   {"name": "append_path_1k", "engine": "memory", "value": 215.0, "unit": "ns", "limit": 250.0,
//    "ratio": 0.86}
//
// `value` is the median over the repetitions, in CPU nanoseconds per iteration; `limit` is what it
// is held against and `ratio` value / limit, both null where there is nothing to hold it against.
// A benchmark NAME/REST is held against NAME_baseline/REST of the same run, or NAME_baseline. Two
// are held against the targets of docs/architecture.md: append_path_1k on engine memory (at most
// 250 ns) and crc32c_64k (at least 20 GB/s).

#include <map>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace qlab::storage::micro {

class JsonLines final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  // Prints all lines, sorted by name: a baseline may come after what is held against it.
  void Finalize() override;

 private:
  std::map<std::string, std::vector<double>> nanoseconds_;  // Of each repetition.
};

}  // namespace qlab::storage::micro
