#include <boost/test/unit_test.hpp>

#include "common/bytes.h"
#include "common/prng.h"
#include "common/uuid.h"

namespace qlab {
namespace {

BOOST_AUTO_TEST_SUITE(common)

BOOST_AUTO_TEST_CASE(a_uuid_survives_its_text_form) {
  Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    const Uuid id = Uuid::from_random(prng.next(), prng.next());
    const auto parsed = Uuid::parse(id.to_string());
    BOOST_REQUIRE(parsed.has_value());
    BOOST_TEST((*parsed == id));
  }
  BOOST_TEST(!Uuid::parse("short").has_value());
  BOOST_TEST(!Uuid::parse("!!!!!!!!!!!!!!!!!!!!!!").has_value());
}

BOOST_AUTO_TEST_CASE(varints_of_every_size_survive) {
  for (int bit = 0; bit < 64; ++bit) {
    const std::int64_t value = static_cast<std::int64_t>(std::uint64_t{1} << bit);
    BytesWriter out;
    out.put_varint(value);
    out.put_varint(-value);
    BytesReader in(out.view());
    BOOST_TEST(in.get_varint() == value);
    BOOST_TEST(in.get_varint() == -value);
    BOOST_TEST(in.ok());
    BOOST_TEST(in.left() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_reader_fails_once_and_keeps_its_first_reason) {
  BytesReader in(as_view("abc"));
  BOOST_TEST(in.get<std::int32_t>() == 0);
  BOOST_TEST(!in.ok());
  BOOST_TEST(in.get<std::int8_t>() == 0);
  BOOST_TEST(in.status().error().context == "4 bytes wanted, 3 left at byte 0");
}

BOOST_AUTO_TEST_CASE(the_same_seed_draws_the_same_numbers_everywhere) {
  Prng prng(42);
  const std::uint64_t first = prng.next();
  BOOST_TEST(first == Prng(42).next());
  BOOST_TEST(first == 1546998764402558742u);  // Reference value: must never change.
  for (int i = 0; i < 1000; ++i) {
    const auto draw = prng.between(-3, 3);
    BOOST_TEST((draw >= -3 && draw <= 3));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab
