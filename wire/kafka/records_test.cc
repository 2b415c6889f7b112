#include "wire/kafka/testing/records.h"

#include <boost/test/unit_test.hpp>

#include "wire/kafka/decoder.h"
#include "wire/kafka/encoder.h"
#include "wire/kafka/testing/filler.h"
#include "wire/kafka/testing/records_fields.h"
#include "wire/kafka/testing/test_text.h"

namespace qlab::wire {
namespace {

using wire_testing::decode_record;
using wire_testing::encode_record;
using wire_testing::EraseRecord;
using wire_testing::NoteRecord;
using wire_testing::Record;

BOOST_AUTO_TEST_SUITE(wire_records)

BOOST_AUTO_TEST_CASE(a_record_stands_behind_its_id_and_version) {
  BytesWriter out;
  BOOST_REQUIRE(encode_record(out, EraseRecord{.name = "ab"}).has_value());
  // Frame version 1, id 9, version 0; the name; no tags.
  BOOST_TEST(to_hex(out.view()) ==
             "01"
             "09"
             "00"
             "036162"
             "00");
}

BOOST_AUTO_TEST_CASE(records_of_every_version_survive) {
  for (std::int16_t version = 0; version <= NoteRecord::versions_max; ++version) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      BOOST_TEST_CONTEXT("version " << version << " seed " << seed) {
        Filler filler(seed, version);
        NoteRecord record;
        filler.value("record", record);
        BytesWriter out;
        BOOST_REQUIRE(encode_message(out, record, version).has_value());
        BytesReader in(out.view());
        const auto decoded = decode_message<NoteRecord>(in, version);
        BOOST_REQUIRE_MESSAGE(decoded.has_value(), reason_of(decoded));
        BOOST_TEST((*decoded == record));
        BOOST_TEST(in.left() == 0u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_log_of_records_is_read_back_one_by_one) {
  const std::vector<Record> log{EraseRecord{.name = "a"}, NoteRecord{.text = "b"},
                                EraseRecord{.name = "c"}};
  BytesWriter out;
  for (const Record& record : log) BOOST_REQUIRE(encode_record(out, record).has_value());
  BytesReader in(out.view());
  for (const Record& record : log) BOOST_TEST((decode_record(in).value() == record));
  BOOST_TEST(in.left() == 0u);
}

BOOST_AUTO_TEST_CASE(defaults_of_the_schema_are_those_of_the_struct) {
  const NoteRecord record;
  BOOST_TEST(record.author.value() == -1);
  BOOST_TEST(record.mood == "calm");
  BOOST_TEST(!record.seen_by.has_value());
}

BOOST_AUTO_TEST_CASE(an_unknown_record_is_told_from_a_damaged_one) {
  const auto code_of = [](std::string_view hex) {
    const Bytes bytes = from_hex(hex);
    BytesReader in(bytes);
    return decode_record(in).error().code;
  };
  BOOST_TEST((code_of("01"
                      "63"
                      "00") == Errc::unsupported));  // Id 99.
  BOOST_TEST((code_of("01"
                      "09"
                      "05"
                      "01"
                      "00") == Errc::unsupported));  // Version 5 of an id we know.
  BOOST_TEST((code_of("02"
                      "09"
                      "00"
                      "01"
                      "00") == Errc::unsupported));  // Frame version 2.
  BOOST_TEST((code_of("01"
                      "09"
                      "00"
                      "05") == Errc::corrupt));
  BOOST_TEST((code_of("") == Errc::corrupt));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::wire
