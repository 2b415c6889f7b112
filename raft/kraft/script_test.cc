#include "consensus/script.h"

#include <filesystem>

#include <boost/test/unit_test.hpp>

#include "raft/kraft/kraft.h"
#include "raft/kraft/model/kraft_model.h"

namespace qlab::raft::kraft {
namespace {

BOOST_AUTO_TEST_SUITE(kraft_scripts)

BOOST_AUTO_TEST_CASE(every_script_causes_the_steps_it_shows) {
  std::size_t found = 0;
  const auto factory =
      consensus::model::watch_groups(make_kraft, model::make_kraft_model,
                                     [](const auto& refusal) { BOOST_ERROR(refusal.words()); });
  for (const auto& file : std::filesystem::directory_iterator("raft/kraft/testdata")) {
    if (file.path().extension() != ".txt") continue;
    ++found;
    const auto difference = consensus::check_script_file(file.path().string(), factory, describe);
    BOOST_TEST_CONTEXT(file.path()) {
      BOOST_TEST((difference ? *difference : difference.error().message()) == "");
    }
  }
  BOOST_TEST(found >= 20u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft
