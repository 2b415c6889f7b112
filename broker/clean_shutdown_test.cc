#include "broker/clean_shutdown.h"

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/run.h"

namespace qlab::broker {
namespace {

constexpr NodeId node{1};
constexpr BrokerEpoch none{-1};

struct Fixture {
  runtime::SimulatedWorld world{1};
  runtime::Disk& disk{world.node(node).disk()};
};

BOOST_FIXTURE_TEST_SUITE(clean_shutdown, Fixture)

BOOST_AUTO_TEST_CASE(what_was_left_is_taken_once) {
  BOOST_TEST((take_clean_shutdown(disk).value() == none));
  BOOST_REQUIRE(leave_clean_shutdown(disk, BrokerEpoch{42}).has_value());
  BOOST_TEST((take_clean_shutdown(disk).value() == BrokerEpoch{42}));
  BOOST_TEST((take_clean_shutdown(disk).value() == none));
}

BOOST_AUTO_TEST_CASE(a_file_in_kafkas_words_is_read_and_any_other_is_as_none) {
  const auto taken = [&](std::string_view text) {
    BOOST_REQUIRE(disk.write_file_atomically(".kafka_cleanshutdown", as_view(text)).has_value());
    return take_clean_shutdown(disk).value().value();
  };
  BOOST_TEST(taken(R"({"version":0,"brokerEpoch":7})") == 7);
  BOOST_TEST(taken("") == -1);
  BOOST_TEST(taken(R"({"version":0,"brokerEpoch":)") == -1);
  BOOST_TEST(taken(R"({"version":0,"brokerEpoch":7x})") == -1);
  BOOST_TEST(taken(R"({"version":0,"brokerEpoch":-7})") == -1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
