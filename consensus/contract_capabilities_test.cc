// The contract: what is left out, and for whom, is known.
#include <set>

#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

BOOST_AUTO_TEST_SUITE(consensus_contract_capabilities)

// A module that learns something, or forgets it, or a case with another need, changes this list.
BOOST_AUTO_TEST_CASE(what_each_module_leaves_out_is_this_and_nothing_else) {
  std::set<std::string> left_out;
  for (const NamedModule& module : all_modules()) {
    for (const Need* need : Need::all()) {
      if (!need->is_met_by(module)) left_out.insert(need->words(module));
    }
  }
  const std::set<std::string> expected{
      "kraft: reads under a lease",
      "zab: reads under a lease",
      "zab: transfer of leadership",
      "zab: a wiped disk is another member",
  };
  for (const std::string& words : left_out) {
    BOOST_TEST(expected.contains(words), words << " is left out");
  }
  for (const std::string& words : expected) {
    BOOST_TEST(left_out.contains(words), words << " is not left out any more");
  }
  BOOST_TEST(Need::all().size() == 6u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
