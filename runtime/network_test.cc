#include "runtime/network.h"

#include <boost/test/unit_test.hpp>

namespace qlab::runtime {
namespace {

BOOST_AUTO_TEST_SUITE(network)

BOOST_AUTO_TEST_CASE(an_endpoint_survives_its_text_form) {
  for (const char* text : {"127.0.0.1:9092", "broker-1.example:0", "::1:65535"}) {
    const auto endpoint = Endpoint::parse(text);
    BOOST_REQUIRE(endpoint.has_value());
    BOOST_TEST(endpoint->to_string() == text);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_endpoint_is_refused_by_its_words) {
  for (const char* text :
       {"", "host", ":9092", "host:", "host:65536", "host:-1", "host:12x", "host: 1", "host:+1"}) {
    const auto endpoint = Endpoint::parse(text);
    BOOST_REQUIRE_MESSAGE(!endpoint.has_value(), text);
    BOOST_TEST((endpoint.error().code == Errc::invalid));
    BOOST_TEST(endpoint.error().context.find(fmt::format("'{}'", text)) != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
