#include "storage/bench/output.h"

#include <fstream>

#include "storage/bench/world.h"

namespace qlab::storage::bench {

Result<void> Output::print(std::string_view what, const Json& figures,
                           const std::filesystem::path& directory) {
  Json line = {{"bench", what}};
  if (!options_.label.empty()) line["label"] = options_.label;
  line.update(machine_facts(directory));
  line["parameters"] = parameters(options_);
  line.update(figures);
  fmt::print(lines_, "{}\n", line.dump());
  std::fflush(lines_);
  if (options_.hlog.empty()) return {};
  return add_to_hlog(what, figures);
}

// Source: HdrHistogram's log format, version 1.3. Values are nanoseconds, the interval's maximum
// is in milliseconds.
Result<void> Output::add_to_hlog(std::string_view tag, const Json& figures) const {
  const bool fresh = !std::filesystem::exists(options_.hlog);
  std::ofstream file(options_.hlog, std::ios::app);
  if (fresh) {
    file << "#[qlab-bench-storage; values in nanoseconds]\n"
            "#[Histogram log format version 1.3]\n"
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
            "\"Interval_Compressed_Histogram\"\n";
  }
  for (const auto& [name, value] : figures.items()) {
    if (!value.is_object() || !value.contains("histogram")) continue;
    file << fmt::format("Tag={}{}{}.{},0.000,{:.3f},{:.3f},{}\n", options_.label,
                        options_.label.empty() ? "" : ".", tag, name,
                        figures.value("elapsed_s", 0.0), value["max_us"].get<double>() / 1e3,
                        value["histogram"].get<std::string>());
  }
  file.close();
  if (!file) return fail(Errc::io, "cannot write {}", options_.hlog);
  return {};
}

}  // namespace qlab::storage::bench
