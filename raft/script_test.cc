#include "consensus/script.h"

#include <filesystem>

#include <boost/test/unit_test.hpp>

#include "raft/messages.h"
#include "raft/model/raft_model.h"
#include "raft/raft.h"

namespace qlab::raft {
namespace {

BOOST_AUTO_TEST_SUITE(raft_scripts)

BOOST_AUTO_TEST_CASE(every_script_causes_the_steps_it_shows) {
  std::size_t found = 0;
  const auto factory = consensus::model::watch_groups(
      make_raft, model::make_raft_model, [](const auto& refusal) { BOOST_ERROR(refusal.words()); });
  for (const auto& file : std::filesystem::directory_iterator("raft/testdata")) {
    if (!file.path().filename().string().starts_with("raft_")) continue;
    ++found;
    const auto difference = consensus::check_script_file(file.path().string(), factory, describe);
    BOOST_TEST_CONTEXT(file.path()) {
      BOOST_TEST((difference ? *difference : difference.error().message()) == "");
    }
  }
  BOOST_TEST(found >= 10u);
}

BOOST_AUTO_TEST_CASE(a_script_with_a_wrong_command_is_refused_with_its_line) {
  const auto result = consensus::run_script("nodes 3\nfly 1\n----\n", make_raft, describe);
  BOOST_REQUIRE(!result.has_value());
  BOOST_TEST(result.error().context == "line 2: there is no command fly");
}

BOOST_AUTO_TEST_CASE(a_script_that_expects_another_step_is_told_what_happened) {
  const auto result =
      consensus::run_script("nodes 1\ntimeout 1\n----\n1 is king\n", make_raft, describe);
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(result->find("1 is king") == std::string::npos);
  BOOST_TEST(result->find("trace BecomeCandidate") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
