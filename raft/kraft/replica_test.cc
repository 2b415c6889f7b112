#include "raft/kraft/replica.h"

#include <boost/test/unit_test.hpp>

namespace qlab::raft::kraft {
namespace {

BOOST_AUTO_TEST_SUITE(kraft_replica)

BOOST_AUTO_TEST_CASE(a_later_request_puts_an_end_to_what_is_read_for_the_one_before) {
  constexpr DirectoryId disk{1, 2};
  const Correlation first{7, 1};
  Replica replica(Time{});
  BOOST_TEST(replica.admit(first, disk, Time{}));
  replica.reading = FetchSnapshot{first, disk, {Epoch{1}, LogIndex{5}}, 0};
  BOOST_TEST(replica.admit(first, disk, Time{}));  // Asked again: the piece is on its way.
  BOOST_TEST(replica.reading.has_value());
  BOOST_TEST(replica.admit({7, 2}, disk, Time{}));
  BOOST_TEST(!replica.reading.has_value());
  BOOST_TEST(!replica.admit(first, disk, Time{}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft
