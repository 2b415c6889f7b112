#include "common/hdr_histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab {
namespace {

BOOST_AUTO_TEST_SUITE(hdr_histogram)

BOOST_AUTO_TEST_CASE(buckets_have_the_published_bounds) {
  const HdrHistogram h({.value_min = 1, .value_max = 3'600'000'000, .significant_digits = 3});
  struct Row {
    std::int64_t value, low, high;
  };
  // Source: HdrHistogram's own examples: units up to 2047, then steps of 2, 4, 8...
  for (const Row row : {Row{0, 0, 0}, Row{2047, 2047, 2047}, Row{2048, 2048, 2049},
                        Row{10'007, 10'000, 10'007}, Row{10'009, 10'008, 10'015}}) {
    BOOST_TEST(h.lowest_equivalent(row.value) == row.low);
    BOOST_TEST(h.highest_equivalent(row.value) == row.high);
  }
}

BOOST_AUTO_TEST_CASE(a_coarser_unit_widens_the_lowest_buckets) {
  const HdrHistogram h({.value_min = 1024, .value_max = 1 << 30, .significant_digits = 3});
  BOOST_TEST(h.lowest_equivalent(1023) == 0);
  BOOST_TEST(h.highest_equivalent(1024) == 2047);
  BOOST_TEST(h.highest_equivalent(2048 * 1024) == 2048 * 1024 + 2047);
}

BOOST_AUTO_TEST_CASE(quantiles_are_within_the_promised_error_of_sorted_samples) {
  for (const int digits : {1, 2, 3, 4}) {
    HdrHistogram h({.value_min = 1, .value_max = 1'000'000'000, .significant_digits = digits});
    Prng prng(7);
    std::vector<std::int64_t> samples;
    for (int i = 0; i < 5000; ++i) {
      samples.push_back(static_cast<std::int64_t>(prng.below(std::uint64_t{1} << prng.below(30))));
      h.record(samples.back());
    }
    std::sort(samples.begin(), samples.end());
    double error = 1;
    for (int i = 0; i < digits; ++i) error /= 10;
    for (const double q : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::max(0.0, std::ceil(q * 5000) - 1));
      const auto exact = static_cast<double>(samples[rank]);
      const auto got = static_cast<double>(h.value_at(q));
      BOOST_TEST(got >= exact);
      BOOST_TEST(got <= exact * (1 + error) + 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_merge_counts_what_both_counted) {
  HdrHistogram left;
  HdrHistogram right;
  HdrHistogram both;
  for (std::int64_t i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? left : right).record(i * 10'000);
    both.record(i * 10'000);
  }
  left.merge(right);
  BOOST_TEST(left.count() == 1000);
  BOOST_TEST(left.encode_base64() == both.encode_base64());
  BOOST_TEST(left.value_at(0.5) == left.highest_equivalent(5'000'000));
}

BOOST_AUTO_TEST_CASE(a_value_beyond_the_scale_is_counted_at_its_end_and_as_saturated) {
  HdrHistogram h({.value_min = 1, .value_max = 10'000, .significant_digits = 3});
  h.record(50'000);
  h.record(-3);
  h.record(10'000);
  BOOST_TEST(h.count() == 3);
  BOOST_TEST(h.saturated() == 2);
  BOOST_TEST(h.min() == 0);
  BOOST_TEST(h.max() == h.highest_equivalent(10'000));
}

BOOST_AUTO_TEST_CASE(an_empty_histogram_answers_zero) {
  const HdrHistogram h;
  BOOST_TEST(h.value_at(0.99) == 0);
  BOOST_TEST(h.max() == 0);
  BOOST_TEST(h.mean() == 0);
  BOOST_TEST(h.percentiles(1).find("Total count    =            0") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_encoding_starts_as_every_compressed_v2_histogram_does) {
  HdrHistogram h;
  h.record(1'000'000);
  BOOST_TEST(h.encode_base64().substr(0, 5) == "HISTF");
}

BOOST_AUTO_TEST_CASE(percentile_text_halves_the_distance_to_one) {
  HdrHistogram h({.value_min = 1, .value_max = 1'000'000, .significant_digits = 3});
  for (std::int64_t i = 1; i <= 1000; ++i) h.record(i);
  const std::string text = h.percentiles(1);
  BOOST_TEST(text.find("     500.000 0.500000000000        500           2.00\n") !=
             std::string::npos);
  BOOST_TEST(text.find("    1000.000 1.000000000000       1000\n") != std::string::npos);
  BOOST_TEST(text.find("#[Max     =     1000.000, Total count    =         1000]") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(base64_matches_the_rfc) {
  BOOST_TEST(base64(as_view("")) == "");
  BOOST_TEST(base64(as_view("f")) == "Zg==");
  BOOST_TEST(base64(as_view("fo")) == "Zm8=");
  BOOST_TEST(base64(as_view("foo")) == "Zm9v");
  BOOST_TEST(base64(as_view("foobar")) == "Zm9vYmFy");
}

BOOST_AUTO_TEST_CASE(options_out_of_bounds_are_named) {
  const auto bad = HdrHistogramOptions{.significant_digits = 6}.validate();
  BOOST_TEST_REQUIRE(!bad.has_value());
  BOOST_TEST(bad.error().context == "significant_digits=6 must be 1 to 5");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab
