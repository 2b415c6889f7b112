#include "sim/trial.h"

#include <boost/test/unit_test.hpp>

#include "sim/modules.h"

namespace qlab::sim {
namespace {

BOOST_AUTO_TEST_SUITE(sim)

BOOST_AUTO_TEST_CASE(a_raft_group_stays_correct_under_all_faults_and_recovers) {
  std::uint64_t committed = 0;
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Verdict verdict = run_twice(seed, {});
    BOOST_TEST(!verdict.finding, "seed " << seed << ": " << verdict.finding.value_or("")
                                         << "; replay: ./qlab sim --replay " << seed);
    committed += verdict.committed;
    crashes += verdict.crashes;
  }
  BOOST_TEST(committed > 5000u);
  BOOST_TEST(crashes > 50u);
}

// Seeds until the mutant is found; 0 when it is not.
std::uint64_t seeds_to_find(const std::string& mutant, std::uint64_t seeds_max) {
  TrialOptions options;
  options.mutant = mutant;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    if (run_trial(seed, options).finding) return seed;
  }
  return 0;
}

BOOST_AUTO_TEST_CASE(a_module_whose_messages_do_not_wait_for_the_disk_is_found) {
  BOOST_TEST(seeds_to_find("send_before_sync", 10) > 0u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_simulated_is_refused_by_its_name) {
  TrialOptions options;
  BOOST_TEST(!options.validate());
  options.module = "paxos";
  BOOST_TEST(*options.validate() == fmt::format("module=paxos is unknown; allowed are {}",
                                                fmt::join(module_names(), ", ")));
  options.module = "raft";
  options.faults_for = Duration{};
  BOOST_TEST(*options.validate() == "faults-for=0 ms is not in (0, 3600000]");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
