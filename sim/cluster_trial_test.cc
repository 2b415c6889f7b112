#include "sim/cluster_trial.h"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "common/logging.h"

namespace qlab::sim {
namespace {

const std::vector<std::string_view> planes{"kraft", "raft", "quorum-zab", "zk"};

struct Quiet {
  Quiet() { set_log_level(LogLevel::error); }
  ~Quiet() { set_log_level(LogLevel::info); }
};

BOOST_FIXTURE_TEST_SUITE(sim_cluster, Quiet)

BOOST_DATA_TEST_CASE(a_cluster_stays_correct_under_all_faults_and_serves_all_again, planes) {
  ClusterTrialOptions options;
  options.plane = sample;
  std::uint64_t acknowledged = 0;
  std::uint64_t controller_crashes = 0;
  std::uint64_t topics_deleted = 0;
  ClusterReached reached;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const ClusterVerdict verdict = run_cluster_twice(seed, options);
    BOOST_TEST(!verdict.finding, "seed " << seed << ": " << verdict.finding.value_or("")
                                         << "; replay: ./qlab sim --plane " << sample
                                         << " --replay " << seed);
    acknowledged += verdict.acknowledged;
    controller_crashes += verdict.controller_crashes;
    topics_deleted += verdict.topics_deleted;
    reached += verdict.reached;
  }
  BOOST_TEST(acknowledged > 300u);
  BOOST_TEST(controller_crashes > 30u);
  BOOST_TEST(topics_deleted > 10u);
  BOOST_TEST(reached.batches_resent > 3u, reached.words());
  BOOST_TEST(reached.session_fetches > 10u, reached.words());
  BOOST_TEST(reached.topics_grown > 0u, reached.words());
  BOOST_TEST(reached.moves_begun > 3u, reached.words());
  BOOST_TEST(reached.elections > 0u, reached.words());
  BOOST_TEST(reached.configs_changed > 3u, reached.words());
  BOOST_TEST(reached.moves_completed > 3u, reached.words());
  if (sample == "zk") return;  // Its images do not say what else is under way.
  BOOST_TEST(reached.creations_inherited + reached.fencings_inherited > 0u, reached.words());
}

BOOST_AUTO_TEST_CASE(groups_keep_what_they_acknowledged_under_all_faults_and_serve_all_again) {
  ClusterTrialOptions options;
  options.replicator = "consensus";
  std::uint64_t acknowledged = 0;
  std::uint64_t leaderships = 0;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    const ClusterVerdict verdict = run_cluster_twice(seed, options);
    BOOST_TEST(!verdict.finding, "seed " << seed << ": " << verdict.finding.value_or(""));
    BOOST_TEST(verdict.swarm.find("replicator=consensus") != std::string::npos);
    acknowledged += verdict.acknowledged;
    leaderships += verdict.leaderships;
  }
  BOOST_TEST(acknowledged > 300u);
  BOOST_TEST(leaderships > 100u);
}

BOOST_AUTO_TEST_CASE(a_plane_that_cannot_be_simulated_is_refused_by_its_name) {
  ClusterTrialOptions options;
  BOOST_TEST(!options.validate());
  options.plane = "quorum-zab";
  BOOST_TEST(!options.validate());
  options.plane = "quorum";
  BOOST_TEST(options.validate()->starts_with("plane=quorum is unknown; allowed are "));
  options.plane = "zk";
  options.replicator = "consensus";
  BOOST_TEST(options.validate()->starts_with("replicator=consensus is not for plane=zk"));
  options.replicator = "gossip";
  BOOST_TEST(*options.validate() == "replicator=gossip is unknown; allowed are isr, consensus");
  options.replicator = "isr";
  options.plane = "raft";
  options.faults_for = Duration{};
  BOOST_TEST(*options.validate() == "faults-for=0 ms is not in (0, 3600000]");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
