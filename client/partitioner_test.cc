#include "client/partitioner.h"

#include <boost/test/unit_test.hpp>

namespace qlab::client {
namespace {

BOOST_AUTO_TEST_SUITE(client_partitioner)

BOOST_AUTO_TEST_CASE(murmur2_agrees_with_the_java_client) {
  struct Row {
    const char* key;
    std::int32_t hash;
  };
  // The values that Kafka's own UtilsTest expects.
  for (const Row row : {Row{"21", -973932308}, Row{"foobar", -790332482},
                        Row{"a-little-bit-long-string", -985981536},
                        Row{"a-little-bit-longer-string", -1486304829}, Row{"abc", 479470107}}) {
    BOOST_TEST(static_cast<std::int32_t>(murmur2(as_view(row.key))) == row.hash, row.key);
  }
}

BOOST_AUTO_TEST_CASE(keys_go_where_the_java_client_sends_them) {
  BOOST_TEST(partition_for_key(as_view("foobar"), 6).value() == 0);
  BOOST_TEST(partition_for_key(as_view("21"), 6).value() == 0);
  BOOST_TEST(partition_for_key(as_view("abc"), 6).value() == 3);
  BOOST_TEST(partition_for_key(as_view("a-little-bit-long-string"), 6).value() == 2);
  BOOST_TEST(partition_for_key(as_view("abc"), 1).value() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::client
