#include "storage/bench/micro/json_lines.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "storage/engine.h"

namespace qlab::storage::micro {
namespace {

constexpr double append_path_ns_max = 250;
constexpr double crc32c_gb_per_s_min = 20;
constexpr double crc32c_bytes = 64 << 10;

// A benchmark's name in its parts: what is measured, and on which engine if on any.
struct Name {
  std::string what;
  std::string engine;
};

Name split(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos) return {name, ""};
  std::string rest = name.substr(slash + 1);
  const std::size_t end = std::min(rest.find('/'), rest.size());
  const std::string word = rest.substr(0, end);
  const std::vector<std::string_view> engines = engine_names();
  if (std::find(engines.begin(), engines.end(), word) == engines.end()) return {name, ""};
  return {name.substr(0, slash) + rest.substr(end), word};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string line(const Name& name, double value, std::string_view unit,
                 std::optional<double> limit) {
  const auto number = [](std::optional<double> n) {
    return n ? fmt::format("{:.3f}", *n) : std::string("null");
  };
  const std::string engine = name.engine.empty() ? "null" : fmt::format("\"{}\"", name.engine);
  const std::optional<double> ratio = limit ? std::optional(value / *limit) : std::nullopt;
  return fmt::format(
      R"({{"name": "{}", "engine": {}, "value": {:.3f}, "unit": "{}", "limit": {}, "ratio": {}}})"
      "\n",
      name.what, engine, value, unit, number(limit), number(ratio));
}

}  // namespace

bool JsonLines::ReportContext(const Context&) {
  return true;
}

void JsonLines::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
    const std::string name =
        run.run_name.function_name + (run.run_name.args.empty() ? "" : "/" + run.run_name.args);
    nanoseconds_[name].push_back(run.cpu_accumulated_time * 1e9 /
                                 static_cast<double>(run.iterations));
  }
}

void JsonLines::Finalize() {
  for (const auto& [name, values] : nanoseconds_) {
    const double value = median(values);
    const std::size_t slash = std::min(name.find('/'), name.size());
    const std::string baseline = name.substr(0, slash) + "_baseline";
    std::optional<double> limit;
    for (const std::string& against : {baseline + name.substr(slash), baseline}) {
      if (const auto found = nanoseconds_.find(against); !limit && found != nanoseconds_.end()) {
        limit = median(found->second);
      }
    }
    if (name == "append_path_1k/memory") limit = append_path_ns_max;
    GetOutputStream() << line(split(name), value, "ns", limit);
    if (name == fmt::format("crc32c/{:.0f}", crc32c_bytes)) {
      GetOutputStream() << line({"crc32c_64k", ""}, crc32c_bytes / value, "GB/s",
                                crc32c_gb_per_s_min);
    }
  }
}

}  // namespace qlab::storage::micro
