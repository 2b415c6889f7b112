#include "sim/last_writes.h"

#include <string>

#include <boost/test/unit_test.hpp>

namespace qlab::sim {
namespace {

using Words = std::vector<std::string>;

Time at(int ms) {
  return Time{} + std::chrono::milliseconds(ms);
}

BOOST_AUTO_TEST_SUITE(last_writes)

BOOST_AUTO_TEST_CASE(of_writes_one_after_the_other_the_last_counts) {
  LastWrites<std::string> writes("none");
  BOOST_TEST((writes.candidates() == Words{"none"}));
  const auto a = writes.begin("a", at(1));
  writes.acknowledge(a, at(2));
  const auto b = writes.begin("b", at(3));
  writes.acknowledge(b, at(4));
  BOOST_TEST((writes.candidates() == Words{"b"}));
}

BOOST_AUTO_TEST_CASE(of_writes_that_overlap_either_may_be_the_last) {
  LastWrites<std::string> writes("none");
  const auto a = writes.begin("a", at(1));
  const auto b = writes.begin("b", at(2));
  writes.acknowledge(b, at(3));
  writes.acknowledge(a, at(4));
  BOOST_TEST((writes.candidates() == Words{"a", "b"}));
}

BOOST_AUTO_TEST_CASE(an_open_write_may_come_at_any_later_time_and_a_refused_one_never_does) {
  LastWrites<std::string> writes("none");
  writes.begin("open", at(1));
  BOOST_TEST((writes.candidates() == Words{"none", "open"}));
  writes.refuse(writes.begin("refused", at(2)));
  const auto last = writes.begin("last", at(3));
  writes.acknowledge(last, at(4));
  BOOST_TEST((writes.candidates() == Words{"open", "last"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
