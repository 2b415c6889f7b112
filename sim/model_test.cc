// A protocol's model names what a bug between its module and the driver breaks.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "raft/kraft/model/rules.h"
#include "sim/trial.h"
#include "zab/model/rules.h"

namespace qlab::sim {
namespace {

using consensus::model::Rule;

struct Case {
  std::string module;
  std::string mutant;
  Rule rule;
};
std::ostream& operator<<(std::ostream& out, const Case& bug) {
  return out << bug.module << " " << bug.mutant;
}

namespace kraft = raft::kraft::model;

const Case cases[] = {
    {"kraft", "send_before_sync", kraft::candidate_durable},
    {"kraft", "ack_before_sync", kraft::fetch_durable},
    {"kraft", "vote_before_sync", kraft::candidate_durable},
    {"kraft", "cut_before_sync", kraft::fetch_durable},
    {"kraft", "vote_not_saved", kraft::epoch_heard},
    {"kraft", "read_without_quorum", kraft::read_fresh},
    {"kraft", "committed_when_led", kraft::answered},
    {"kraft", "image_of_old_config", kraft::image_in_order},
    {"zab", "ack_before_history", zab::model::history_durable},
    {"zab", "ack_before_sync", zab::model::ack_durable},
    {"zab", "send_before_sync", zab::model::epoch_saved_first},
    {"zab", "vote_before_sync", zab::model::epoch_saved_first},
    {"zab", "read_without_quorum", zab::model::read_confirmed},
    {"zab", "committed_when_led", zab::model::answered},
    {"zab", "image_of_old_config", zab::model::image_whole},
};

BOOST_AUTO_TEST_SUITE(models_in_simulation)

BOOST_DATA_TEST_CASE(a_mutant_is_refused_by_the_rule_that_it_breaks, cases) {
  TrialOptions options;
  options.module = sample.module;
  options.mutant = sample.mutant;
  options.model = true;
  std::optional<std::string> finding;
  for (std::uint64_t seed = 1; seed <= 120 && !finding; ++seed) {
    finding = run_trial(seed, options).finding;
  }
  BOOST_REQUIRE(finding.has_value());
  BOOST_TEST(finding->find(sample.rule.expected) != std::string::npos, *finding);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
