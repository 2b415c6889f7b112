// The lines that `./qlab bench` reads.

#include "storage/bench/micro/json_lines.h"

#include <sstream>

#include <boost/test/unit_test.hpp>

namespace qlab::storage::micro {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

// Ten iterations of `nanoseconds` each.
Run make_run(std::string name, std::string args, double nanoseconds) {
  Run run;
  run.run_type = Run::RT_Iteration;
  run.run_name.function_name = std::move(name);
  run.run_name.args = std::move(args);
  run.iterations = 10;
  run.cpu_accumulated_time = nanoseconds * 10 / 1e9;
  run.real_accumulated_time = 1;
  return run;
}

std::string lines_of(const std::vector<std::vector<Run>>& reports) {
  std::ostringstream out;
  JsonLines lines;
  lines.SetOutputStream(&out);
  for (const std::vector<Run>& runs : reports) lines.ReportRuns(runs);
  lines.Finalize();
  return out.str();
}

BOOST_AUTO_TEST_SUITE(json_lines)

BOOST_AUTO_TEST_CASE(a_line_gives_the_median_of_the_repetitions_and_no_aggregate) {
  Run mean = make_run("frame_encode", "", 1000);
  mean.run_type = Run::RT_Aggregate;
  BOOST_TEST(lines_of({{make_run("frame_encode", "", 30), make_run("frame_encode", "", 10)},
                       {make_run("frame_encode", "", 20), mean}}) ==
             R"({"name": "frame_encode", "engine": null, "value": 20.000, "unit": "ns", )"
             R"("limit": null, "ratio": null})"
             "\n");
}

BOOST_AUTO_TEST_CASE(a_benchmark_is_held_against_its_baseline_wherever_that_comes) {
  BOOST_TEST(lines_of({{make_run("read/memory", "", 30), make_run("read/memory", "8", 50),
                        make_run("read_baseline", "", 10), make_run("read_baseline", "8", 20)}}) ==
             R"({"name": "read", "engine": "memory", "value": 30.000, "unit": "ns", )"
             R"("limit": 10.000, "ratio": 3.000})"
             "\n"
             R"({"name": "read/8", "engine": "memory", "value": 50.000, "unit": "ns", )"
             R"("limit": 10.000, "ratio": 5.000})"
             "\n"
             R"({"name": "read_baseline", "engine": null, "value": 10.000, "unit": "ns", )"
             R"("limit": null, "ratio": null})"
             "\n"
             R"({"name": "read_baseline/8", "engine": null, "value": 20.000, "unit": "ns", )"
             R"("limit": null, "ratio": null})"
             "\n");
}

BOOST_AUTO_TEST_CASE(two_figures_are_held_against_fixed_limits) {
  BOOST_TEST(
      lines_of(
          {{make_run("append_path_1k/memory", "", 500), make_run("append_path_1k_baseline", "", 50),
            make_run("crc32c", "65536", 1024)}}) ==
      R"({"name": "append_path_1k", "engine": "memory", "value": 500.000, "unit": "ns", )"
      R"("limit": 250.000, "ratio": 2.000})"
      "\n"
      R"({"name": "append_path_1k_baseline", "engine": null, "value": 50.000, "unit": "ns", )"
      R"("limit": null, "ratio": null})"
      "\n"
      R"({"name": "crc32c/65536", "engine": null, "value": 1024.000, "unit": "ns", )"
      R"("limit": null, "ratio": null})"
      "\n"
      R"({"name": "crc32c_64k", "engine": null, "value": 64.000, "unit": "GB/s", )"
      R"("limit": 20.000, "ratio": 3.200})"
      "\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage::micro
