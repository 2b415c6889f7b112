#include "sim/cluster_producer.h"

#include <boost/test/unit_test.hpp>

#include "common/record_batch.h"

namespace qlab::sim {
namespace {

const TopicPartition orders{"orders", PartitionIndex{0}};
constexpr WallMillis now{7};

std::int32_t sequence_of(const ClusterProducer::Batch& batch) {
  return decode_batch_header(*batch.bytes)->base_sequence;
}

BOOST_AUTO_TEST_SUITE(cluster_producer)

BOOST_AUTO_TEST_CASE(without_an_id_every_batch_is_another_and_has_no_sequence) {
  ClusterProducer producer;
  const auto first = producer.next(orders, 1, 2, now, 0);
  BOOST_TEST(sequence_of(first) == -1);
  const auto second = producer.next(orders, 3, 1, now, 0);
  BOOST_TEST((second.first_value == 3 && !second.is_sent_again));
}

BOOST_AUTO_TEST_CASE(with_an_id_a_batch_is_sent_again_until_it_is_answered) {
  ClusterProducer producer;
  producer.begin(ProducerId{9}, 0);
  const auto first = producer.next(orders, 1, 2, now, 0);
  BOOST_TEST((sequence_of(first) == 0 && !first.is_sent_again));
  const auto again = producer.next(orders, 3, 1, now, 5);
  BOOST_TEST((again.bytes == first.bytes && again.is_sent_again && again.count == 2));
  producer.take_answer(orders, again);
  const auto second = producer.next(orders, 3, 1, now, 0);
  BOOST_TEST((sequence_of(second) == 2 && second.first_value == 3 && !second.is_sent_again));
  const auto header = *decode_batch_header(*second.bytes);
  BOOST_TEST((header.producer_id == ProducerId{9} && header.producer_epoch == 0));
}

BOOST_AUTO_TEST_CASE(a_producer_that_begins_anew_forgets_what_was_open) {
  ClusterProducer producer;
  producer.begin(ProducerId{9}, 0);
  const auto first = producer.next(orders, 1, 2, now, 0);
  producer.begin_anew();
  BOOST_TEST(!producer.has_id());
  producer.begin(ProducerId{10}, 0);
  const auto next = producer.next(orders, 3, 1, now, 0);
  BOOST_TEST((next.bytes != first.bytes && sequence_of(next) == 0));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
