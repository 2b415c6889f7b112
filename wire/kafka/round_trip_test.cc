// Properties that hold for every message in every version it has.

#include <tuple>

#include <boost/test/unit_test.hpp>

#include "wire/kafka/all_messages.h"
#include "wire/kafka/testing/filler.h"
#include "wire/kafka/testing/test_text.h"

namespace qlab::wire {
namespace {

constexpr std::uint64_t seeds = 20;

struct Case {
  std::uint64_t seed;
  std::int16_t version;
};

// Calls check(message, filler, case) with a filled message of type T, for every version and seed.
// The seed of a failing case is printed; the values depend on nothing else.
template <class T, class Check>
void for_all_cases(Check check, bool with_tags = true) {
  for (std::int16_t version = T::versions_min; version <= T::versions_max; ++version) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      BOOST_TEST_CONTEXT(T::message_name << " version " << version << " seed " << seed) {
        Filler filler(seed, version);
        if (!with_tags) filler.leave_tags_unset();
        T message;
        filler.value("message", message);
        check(message, Case{seed, version});
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE(wire_round_trip)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_decoded_message_equals_the_one_encoded, T, AllMessages) {
  for_all_cases<T>([](const T& message, Case c) {
    BytesWriter out;
    const auto encoded = encode(out, message, c.version);
    BOOST_REQUIRE_MESSAGE(encoded.has_value(), reason_of(encoded));
    BytesReader in(out.view());
    const auto decoded = decode<T>(in, c.version);
    BOOST_REQUIRE_MESSAGE(decoded.has_value(), reason_of(decoded));
    BOOST_TEST((*decoded == message));
    BOOST_TEST(in.left() == 0u);
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_message_cut_short_anywhere_is_an_error, T, AllMessages) {
  for_all_cases<T>([](const T& message, Case c) {
    BytesWriter out;
    BOOST_REQUIRE(encode(out, message, c.version).has_value());
    for (std::size_t bytes = 0; bytes < out.size(); ++bytes) {
      // A copy of its own, so that a sanitizer sees a read beyond the end.
      const auto head = out.view().first(bytes);
      const Bytes cut(head.begin(), head.end());
      BytesReader in(cut);
      const auto decoded = decode<T>(in, c.version);
      BOOST_REQUIRE_MESSAGE(!decoded.has_value(), "cut after " << bytes);
      BOOST_REQUIRE((decoded.error().code == Errc::corrupt));
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_message_with_damaged_bytes_decodes_or_fails_but_does_no_harm, T,
                              AllMessages) {
  for_all_cases<T>([](const T& message, Case c) {
    BytesWriter out;
    BOOST_REQUIRE(encode(out, message, c.version).has_value());
    Bytes bytes = out.take();
    if (bytes.empty()) return;
    Prng prng(c.seed);
    for (int i = 0; i < 50; ++i) {
      bytes[prng.below(bytes.size())] = static_cast<std::byte>(prng.next());
      BytesReader in(bytes);
      const auto decoded = decode<T>(in, c.version);
      BOOST_REQUIRE((decoded.has_value() || decoded.error().code == Errc::corrupt));
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_unknown_tag_is_skipped, T, AllMessages) {
  const Bytes unknown_tag = from_hex(
      "01"
      "e707"
      "03"
      "aabbcc");  // One tag, number 999, three bytes.
  for_all_cases<T>(
      [&](const T& message, Case c) {
        if (c.version < T::flexible_min) return;
        BytesWriter out;
        BOOST_REQUIRE(encode(out, message, c.version).has_value());
        Bytes bytes = out.take();
        BOOST_REQUIRE((bytes.back() == std::byte{0}));  // A message ends with its count of tags.
        bytes.pop_back();
        bytes.insert(bytes.end(), unknown_tag.begin(), unknown_tag.end());
        BytesReader in(bytes);
        const auto decoded = decode<T>(in, c.version);
        BOOST_REQUIRE_MESSAGE(decoded.has_value(), reason_of(decoded));
        BOOST_TEST((*decoded == message));
        BOOST_TEST(in.left() == 0u);
      },
      false);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_version_outside_the_range_is_refused, T, AllMessages) {
  for (const int version : {T::versions_min - 1, T::versions_max + 1}) {
    BytesWriter out;
    const auto encoded = encode(out, T{}, static_cast<std::int16_t>(version));
    BOOST_REQUIRE(!encoded.has_value());
    BOOST_TEST((encoded.error().code == Errc::unsupported));
    BytesReader in({});
    const auto decoded = decode<T>(in, static_cast<std::int16_t>(version));
    BOOST_REQUIRE(!decoded.has_value());
    BOOST_TEST((decoded.error().code == Errc::unsupported));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::wire
