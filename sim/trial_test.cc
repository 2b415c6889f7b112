#include "sim/trial.h"

#include <filesystem>
#include <fstream>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <unistd.h>

#include "sim/modules.h"
#include "sim/mutants.h"

namespace qlab::sim {
namespace {

const std::vector<std::string_view> modules = module_names();

BOOST_AUTO_TEST_SUITE(sim)

BOOST_DATA_TEST_CASE(a_group_stays_correct_under_all_faults_and_recovers, modules) {
  TrialOptions options;
  options.module = sample;
  std::uint64_t committed = 0;
  std::uint64_t crashes = 0;
  std::uint64_t wipes = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Verdict verdict = run_twice(seed, options);
    BOOST_TEST(!verdict.finding, "seed " << seed << ": " << verdict.finding.value_or("")
                                         << "; replay: ./qlab sim --module " << sample
                                         << " --replay " << seed);
    committed += verdict.committed;
    crashes += verdict.crashes;
    wipes += verdict.wipes;
  }
  BOOST_TEST(committed > 3000u);
  BOOST_TEST(crashes > 50u);
  BOOST_TEST((wipes > 0u) == capabilities_of(*find_module(sample)).named_disks);
}

BOOST_DATA_TEST_CASE(a_group_does_what_the_model_of_its_protocol_allows, modules) {
  TrialOptions options;
  options.module = sample;
  options.model = true;
  for (std::uint64_t seed = 21; seed <= 40; ++seed) {
    const Verdict verdict = run_trial(seed, options);
    BOOST_TEST(!verdict.finding, "seed " << seed << ": " << verdict.finding.value_or("")
                                         << "; replay: ./qlab sim --module " << sample
                                         << " --model --replay " << seed);
  }
}

std::string traced(std::uint64_t seed, TrialOptions options, std::uint64_t& digest) {
  options.trace_file = (std::filesystem::temp_directory_path() /
                        fmt::format("qlab-trial-{}-{}.ndjson", getpid(), options.module))
                           .string();
  digest = run_trial(seed, options).digest;
  std::ifstream file(options.trace_file);
  std::string lines{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(options.trace_file);
  return lines;
}

BOOST_DATA_TEST_CASE(equal_seeds_tell_the_same_actions_and_details_change_no_run, modules) {
  TrialOptions options;
  options.module = sample;
  options.faults_for = std::chrono::seconds(3);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    const std::string trace = traced(seed, options, first);
    BOOST_TEST((trace == traced(seed, options, second)));
    BOOST_TEST(first == second);
    BOOST_TEST(first == run_trial(seed, options).digest);
    for (const std::string_view event :
         {"replica_started", "election_started", "role", "send", "receive", "durable", "entry"}) {
      BOOST_TEST((trace.find(fmt::format("\"event\":\"{}\"", event)) != std::string::npos), event);
    }
  }
}

// Seeds until the mutant is found; 0 when it is not.
std::uint64_t seeds_to_find(std::string_view module, std::string_view mutant,
                            std::uint64_t seeds_max) {
  TrialOptions options;
  options.module = module;
  options.mutant = mutant;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    if (run_trial(seed, options).finding) return seed;
  }
  return 0;
}

BOOST_DATA_TEST_CASE(a_module_whose_messages_do_not_wait_for_the_disk_is_found, modules) {
  BOOST_TEST(seeds_to_find(sample, "send_before_sync", 50) > 0u);
}

// Contested elections find the first two, and changes of the configuration beside images the rest.
const std::vector<std::string_view> careless{"vote_not_saved", "vote_before_sync",
                                             "config_not_recovered", "image_of_old_config"};
BOOST_DATA_TEST_CASE(a_raft_that_forgets_a_vote_or_a_configuration_is_found, careless) {
  BOOST_TEST(seeds_to_find("raft", sample, 100) > 0u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_simulated_is_refused_by_its_name) {
  TrialOptions options;
  BOOST_TEST(!options.validate());
  options.module = "paxos";
  BOOST_TEST(options.validate()->starts_with("module=paxos is unknown; allowed are raft"));
  options.module = "raft";
  options.faults_for = Duration{};
  BOOST_TEST(*options.validate() == "faults-for=0 ms is not in (0, 3600000]");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
