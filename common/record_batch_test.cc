#include "common/record_batch.h"

#include <boost/test/unit_test.hpp>

#include "common/crc32c.h"

namespace qlab {
namespace {

Record record_of(std::string_view key, std::string_view value) {
  Record record;
  record.timestamp = 1'700'000'000'000;
  record.key = Bytes(as_view(key).begin(), as_view(key).end());
  record.value = Bytes(as_view(value).begin(), as_view(value).end());
  return record;
}

BOOST_AUTO_TEST_SUITE(record_batch)

BOOST_AUTO_TEST_CASE(crc32c_gives_the_check_value_of_rfc_3720) {
  BOOST_TEST(crc32c(as_view("123456789")) == 0xE3069283u);
  BOOST_TEST(crc32c(as_view("6789"), crc32c(as_view("12345"))) == 0xE3069283u);
}

BOOST_AUTO_TEST_CASE(records_come_back_as_they_were_encoded) {
  Record with_headers = record_of("k", "v");
  with_headers.headers.push_back({"h", std::nullopt});
  const Bytes batch = encode_batch({record_of("a", "1"), with_headers}, Offset{41});

  const auto header = check_batch(batch);
  BOOST_REQUIRE(header.has_value());
  BOOST_TEST(header->base_offset.value() == 41);
  BOOST_TEST(header->next_offset().value() == 43);
  const auto records = decode_records(batch);
  BOOST_REQUIRE(records.has_value());
  BOOST_TEST(records->size() == 2u);
  BOOST_TEST(as_text(*records->at(1).key) == "k");
  BOOST_TEST(records->at(1).headers.at(0).key == "h");
  BOOST_TEST(!records->at(1).headers.at(0).value.has_value());
}

BOOST_AUTO_TEST_CASE(records_that_claim_offsets_of_other_batches_are_corrupt) {
  Record early = record_of("a", "1");
  Record late = record_of("b", "2");
  BatchHeader header;
  header.last_offset_delta = 5;
  const auto code_of = [&](std::int32_t first, std::int32_t second) {
    early.offset_delta = first;
    late.offset_delta = second;
    const auto records = decode_records(rebuild_batch(header, {early, late}).value());
    return records ? Errc::invalid : records.error().code;
  };
  BOOST_TEST((code_of(1, 5) == Errc::invalid));
  BOOST_TEST((code_of(1, 6) == Errc::corrupt));
  BOOST_TEST((code_of(2, 2) == Errc::corrupt));
  BOOST_TEST((code_of(-1, 2) == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(stamping_offset_and_epoch_leaves_the_crc_valid) {
  Bytes batch = encode_batch({record_of("a", "1")});
  stamp_batch(batch, Offset{7}, LeaderEpoch{3});
  const auto header = check_batch(batch);
  BOOST_REQUIRE(header.has_value());
  BOOST_TEST(header->base_offset.value() == 7);
  BOOST_TEST(header->leader_epoch.value() == 3);
}

BOOST_AUTO_TEST_CASE(any_flipped_bit_under_the_crc_is_found) {
  const Bytes batch = encode_batch({record_of("key", "value")});
  for (std::size_t at = batch_crc_start; at < batch.size(); ++at) {
    Bytes damaged = batch;
    damaged[at] ^= std::byte{0x10};
    BOOST_TEST(!check_batch(damaged).has_value(), "byte " << at);
  }
}

BOOST_AUTO_TEST_CASE(a_batch_cut_anywhere_is_torn_and_not_corrupt) {
  const Bytes batch = encode_batch({record_of("key", "value")});
  for (std::size_t size = 0; size < batch.size(); ++size) {
    const auto header = check_batch(ByteView(batch).first(size));
    BOOST_REQUIRE(!header.has_value());
    BOOST_TEST((header.error().code == Errc::torn), "cut at " << size);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab
