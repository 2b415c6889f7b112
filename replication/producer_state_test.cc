#include "replication/producer_state.h"

#include <boost/test/unit_test.hpp>

namespace qlab::replication {
namespace {

BatchHeader batch_of(std::int16_t epoch, std::int32_t sequence, std::int32_t records,
                     std::int64_t offset = 0) {
  BatchHeader header;
  header.producer_id = ProducerId{9};
  header.producer_epoch = epoch;
  header.base_sequence = sequence;
  header.last_offset_delta = records - 1;
  header.record_count = records;
  header.base_offset = Offset{offset};
  return header;
}

BOOST_AUTO_TEST_SUITE(producer_state)

BOOST_AUTO_TEST_CASE(a_retry_of_any_of_the_last_five_batches_is_answered_with_its_first_offset) {
  ProducerState state;
  for (int i = 0; i < 6; ++i) {
    const auto fresh = state.check(batch_of(0, 2 * i, 2));
    BOOST_REQUIRE(fresh.has_value());
    BOOST_TEST(!fresh->has_value());
    state.update(batch_of(0, 2 * i, 2, 100 + 2 * i));
  }
  for (int i = 1; i < 6; ++i) {
    const auto again = state.check(batch_of(0, 2 * i, 2));
    BOOST_REQUIRE((again.has_value() && again->has_value()));
    BOOST_TEST((*again)->base.value() == 100 + 2 * i);
    BOOST_TEST((*again)->next.value() == 102 + 2 * i);
  }
  // The sixth newest is forgotten: it cannot be told from a batch that comes too late.
  BOOST_TEST((state.check(batch_of(0, 0, 2)).error().code == Errc::out_of_sequence));
}

BOOST_AUTO_TEST_CASE(a_gap_and_a_batch_of_another_size_are_out_of_sequence) {
  ProducerState state;
  state.update(batch_of(0, 0, 2));
  BOOST_TEST((state.check(batch_of(0, 3, 1)).error().code == Errc::out_of_sequence));
  BOOST_TEST((state.check(batch_of(0, 0, 3)).error().code == Errc::out_of_sequence));
}

BOOST_AUTO_TEST_CASE(an_older_epoch_is_refused_and_a_newer_one_begins_at_zero) {
  ProducerState state;
  state.update(batch_of(3, 0, 1));
  BOOST_TEST((state.check(batch_of(2, 1, 1)).error().code == Errc::stale_producer));
  BOOST_TEST((state.check(batch_of(4, 1, 1)).error().code == Errc::out_of_sequence));
  BOOST_TEST(state.check(batch_of(4, 0, 1)).has_value());
  state.update(batch_of(4, 0, 1));
  BOOST_TEST((state.check(batch_of(3, 1, 1)).error().code == Errc::stale_producer));
}

BOOST_AUTO_TEST_CASE(sequences_go_on_from_zero_after_their_largest_value) {
  ProducerState state;
  state.update(batch_of(0, 0x7ffffffe, 2));
  BOOST_TEST(state.check(batch_of(0, 0, 1)).has_value());
  BOOST_TEST(!state.check(batch_of(0, 1, 1)).has_value());
}

BOOST_AUTO_TEST_CASE(batches_without_a_producer_id_are_never_duplicates) {
  ProducerState state;
  BatchHeader plain;
  plain.last_offset_delta = 0;
  state.update(plain);
  BOOST_TEST(!state.check(plain)->has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
