#include "storage/retention.h"

#include <boost/test/unit_test.hpp>

namespace qlab::storage {
namespace {

using std::chrono::milliseconds;

// Four full segments of 100 bytes and 10 offsets, whose latest timestamps are 1000, 2000, 3000 and
// 4000, and an active one of 50 bytes with 5000.
std::vector<SegmentFacts> five_segments() {
  std::vector<SegmentFacts> segments;
  for (std::int64_t i = 0; i < 5; ++i) {
    const bool last = i == 4;
    segments.push_back({Offset{10 * i}, Offset{10 * i + (last ? 5 : 10)}, last ? 50u : 100u,
                        1000 * i + 1, 1000 * (i + 1)});
  }
  return segments;
}

LogOptions kept_for_ever() {
  LogOptions options;
  options.retention = milliseconds(-1);
  return options;
}

constexpr Offset none{0};
constexpr Offset all{45};

BOOST_AUTO_TEST_SUITE(retention)

BOOST_AUTO_TEST_CASE(segments_go_when_their_latest_record_is_older_than_the_retention_time) {
  LogOptions options = kept_for_ever();
  const std::vector<SegmentFacts> segments = five_segments();
  const auto count = [&](std::int64_t now, Offset limit = all) {
    return segments_to_delete(segments, options, milliseconds(now), none, limit);
  };
  BOOST_TEST(count(1'000'000) == 0u);
  options.retention = milliseconds(500);
  BOOST_TEST(count(1500) == 0u);
  BOOST_TEST(count(1501) == 1u);
  BOOST_TEST(count(3501) == 3u);
  BOOST_TEST(count(3501, Offset{29}) == 2u);
  BOOST_TEST(count(5501) == 5u);
  BOOST_TEST(count(5501, Offset{44}) == 4u);
  BOOST_TEST(count(-1) == 0u);
}

BOOST_AUTO_TEST_CASE(a_young_segment_shields_the_old_ones_behind_it) {
  LogOptions options = kept_for_ever();
  options.retention = milliseconds(500);
  std::vector<SegmentFacts> segments = five_segments();
  segments[1].max_timestamp = 1'000'000;
  BOOST_TEST(segments_to_delete(segments, options, milliseconds(5501), none, all) == 1u);
  segments[1].max_timestamp = -1;
  BOOST_TEST(segments_to_delete(segments, options, milliseconds(5501), none, all) == 1u);
}

BOOST_AUTO_TEST_CASE(segments_go_as_long_as_enough_is_left) {
  LogOptions options = kept_for_ever();
  const std::vector<SegmentFacts> segments = five_segments();
  const auto count = [&](std::int64_t bytes) {
    options.retention_bytes = bytes;
    return segments_to_delete(segments, options, milliseconds(0), none, all);
  };
  BOOST_TEST(count(-1) == 0u);
  BOOST_TEST(count(450) == 0u);
  BOOST_TEST(count(351) == 0u);
  BOOST_TEST(count(350) == 1u);
  BOOST_TEST(count(50) == 4u);
  BOOST_TEST(count(0) == 5u);
}

BOOST_AUTO_TEST_CASE(a_compacted_log_loses_only_what_lies_below_its_start) {
  LogOptions options;
  options.retention = milliseconds(1);
  options.retention_bytes = 0;
  options.cleanup_policy = CleanupPolicy::compact;
  const std::vector<SegmentFacts> segments = five_segments();
  const auto count = [&](std::int64_t start) {
    return segments_to_delete(segments, options, milliseconds(9999), Offset{start}, all);
  };
  BOOST_TEST(count(0) == 0u);
  BOOST_TEST(count(25) == 2u);
  options.cleanup_policy = CleanupPolicy::both;
  BOOST_TEST(count(25) == 5u);
}

BOOST_AUTO_TEST_CASE(an_empty_active_segment_stays) {
  LogOptions options;
  options.retention_bytes = 0;
  std::vector<SegmentFacts> segments = five_segments();
  segments.back().bytes = 0;
  BOOST_TEST(segments_to_delete(segments, options, milliseconds(0), none, all) == 4u);
}

BOOST_AUTO_TEST_CASE(an_active_segment_is_rolled_when_its_first_batch_is_too_old) {
  LogOptions options;
  options.segment_age_max = milliseconds(100);
  SegmentFacts active = five_segments().back();
  BOOST_TEST(!is_roll_due(active, options, milliseconds(4101)));
  BOOST_TEST(is_roll_due(active, options, milliseconds(4102)));
  options.compaction_lag_max = milliseconds(50);
  BOOST_TEST(!is_roll_due(active, options, milliseconds(4052)));
  options.cleanup_policy = CleanupPolicy::compact;
  BOOST_TEST(is_roll_due(active, options, milliseconds(4052)));
  active.bytes = 0;
  BOOST_TEST(!is_roll_due(active, options, milliseconds(9999)));
}

BOOST_AUTO_TEST_CASE(compaction_is_due_when_enough_is_dirty_and_below_the_limit) {
  LogOptions options;
  options.cleanup_policy = CleanupPolicy::compact;
  std::vector<SegmentFacts> sealed = five_segments();
  sealed.pop_back();
  const auto plan = [&](std::int64_t clean_end, std::int64_t limit = 45) {
    return plan_compaction(sealed, options, milliseconds(5000), Offset{clean_end}, Offset{limit});
  };
  BOOST_TEST(plan(0).is_due);
  BOOST_TEST(plan(0).segments == 4u);
  BOOST_TEST(plan(10).is_due);
  BOOST_TEST(plan(10).dirty_from.value() == 10);
  BOOST_TEST(!plan(20).is_due);  // Half is not more than half.
  BOOST_TEST(plan(19).is_due);
  BOOST_TEST(!plan(40).is_due);
  BOOST_TEST(plan(0, 39).segments == 3u);
  BOOST_TEST(!plan(0, 9).is_due);
  options.cleanup_policy = CleanupPolicy::by_age_and_size;
  BOOST_TEST(!plan(0).is_due);
}

BOOST_AUTO_TEST_CASE(records_are_not_cleaned_before_the_least_lag_and_at_once_after_the_longest) {
  LogOptions options;
  options.cleanup_policy = CleanupPolicy::compact;
  std::vector<SegmentFacts> sealed = five_segments();
  sealed.pop_back();
  options.compaction_lag_min = milliseconds(2500);
  const auto plan = [&](std::int64_t now, std::int64_t clean_end) {
    return plan_compaction(sealed, options, milliseconds(now), Offset{clean_end}, Offset{45});
  };
  BOOST_TEST(plan(4499, 0).segments == 1u);
  BOOST_TEST(plan(4500, 0).segments == 2u);
  options.compaction_lag_min = milliseconds(0);
  options.compaction_lag_max = milliseconds(1000);
  BOOST_TEST(!plan(4001, 30).is_due);
  BOOST_TEST(plan(4002, 30).is_due);
}

BOOST_AUTO_TEST_CASE(small_segments_are_grouped_up_to_the_size_of_one) {
  std::vector<SegmentFacts> segments = five_segments();
  BOOST_TEST(segments_to_group(segments, 50) == 1u);
  BOOST_TEST(segments_to_group(segments, 299) == 2u);
  BOOST_TEST(segments_to_group(segments, 300) == 3u);
  BOOST_TEST(segments_to_group(segments, 10'000) == 5u);
  segments[2].end = Offset{std::int64_t{1} << 31};
  BOOST_TEST(segments_to_group(segments, 10'000) == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
