#include "wire/kafka/frame.h"

#include <boost/test/unit_test.hpp>

#include "wire/kafka/api_versions.h"
#include "wire/kafka/errors.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/find_coordinator.h"
#include "wire/kafka/metadata.h"
#include "wire/kafka/produce.h"
#include "wire/kafka/testing/test_text.h"

namespace qlab::wire {
namespace {

BOOST_AUTO_TEST_SUITE(wire_frame)

BOOST_AUTO_TEST_CASE(a_plain_request_frame_is_as_the_protocol_guide_says) {
  BytesWriter out;
  MetadataRequest request;
  request.topics = std::vector{MetadataRequest::Topic{.name = "ab"}};
  const RequestHeader header{ApiKey::metadata, 1, 7, "me"};
  BOOST_REQUIRE(encode_request_frame(out, header, request).has_value());
  // length, key, version, correlation id, client id, one topic, its name.
  BOOST_TEST(to_hex(out.view()) ==
             "00000014"
             "0003"
             "0001"
             "00000007"
             "00026d65"
             "00000001"
             "00026162");
}

BOOST_AUTO_TEST_CASE(a_flexible_request_frame_has_compact_lengths_and_tags) {
  BytesWriter out;
  MetadataRequest request;
  request.topics = std::vector{MetadataRequest::Topic{.name = "ab"}};
  const RequestHeader header{ApiKey::metadata, 9, 7, "me"};
  BOOST_REQUIRE(encode_request_frame(out, header, request).has_value());
  // The client id keeps its two-byte length; then the header's tags; topics, name, tags; three
  // flags; tags.
  BOOST_TEST(to_hex(out.view()) ==
             "00000016"
             "0003"
             "0009"
             "00000007"
             "00026d65"
             "00"
             "02"
             "036162"
             "00"
             "010000"
             "00");
}

BOOST_AUTO_TEST_CASE(tagged_fields_are_written_only_when_set) {
  FetchResponse response;
  response.topics = {{.topic = "t", .partitions = {{}}}};
  auto& partition = response.topics[0].partitions[0];
  BytesWriter plain;
  BOOST_REQUIRE(encode(plain, response, 12).has_value());
  partition.diverging_epoch = {LeaderEpoch{5}, Offset{9}};
  BytesWriter tagged;
  BOOST_REQUIRE(encode(tagged, response, 12).has_value());
  const std::string without = to_hex(plain.view());
  const std::string with = to_hex(tagged.view());
  BOOST_TEST(
      without.ends_with("00"
                        "00"
                        "00"
                        "00"));  // Null records, then three empty tag sections.
  // One tag, number 0, 13 bytes: epoch, end offset, and the struct's own empty tag section.
  BOOST_TEST(
      with.ends_with("00"
                     "01"
                     "00"
                     "0d"
                     "00000005"
                     "0000000000000009"
                     "00"
                     "00"
                     "00"));
}

BOOST_AUTO_TEST_CASE(a_field_that_the_version_cannot_carry_is_refused_unless_it_is_ignorable) {
  BytesWriter out;
  FetchResponse response;
  response.topics = {{.topic = "t", .partitions = {{}}}};
  auto& partition = response.topics[0].partitions[0];
  partition.current_leader = {NodeId{1}, LeaderEpoch{2}};
  BOOST_TEST(encode(out, response, 11).has_value());
  partition.diverging_epoch = {LeaderEpoch{5}, Offset{9}};
  const auto refused = encode(out, response, 11);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::invalid));
  BOOST_TEST(refused.error().context ==
             "FetchResponse: field diverging_epoch has no place in version 11");
}

BOOST_AUTO_TEST_CASE(null_is_refused_where_a_version_does_not_have_it) {
  BytesWriter out;
  BOOST_TEST(!encode(out, MetadataRequest{}, 0).has_value());
  const Bytes in_bytes = from_hex("ffffffff");
  BytesReader in(in_bytes);
  BOOST_TEST(!decode<MetadataRequest>(in, 0).has_value());
  const Bytes again_bytes = from_hex("ffffffff");
  BytesReader again(again_bytes);
  const auto read = decode<MetadataRequest>(again, 1);
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(!read->topics.has_value());
}

BOOST_AUTO_TEST_CASE(an_array_longer_than_the_bytes_left_is_refused_before_it_is_allocated) {
  const Bytes in_bytes = from_hex("7fffffff0000");
  BytesReader in(in_bytes);
  const auto read = decode<MetadataRequest>(in, 1);
  BOOST_REQUIRE(!read.has_value());
  BOOST_TEST((read.error().code == Errc::corrupt));
  BOOST_TEST(read.error().context ==
             "MetadataRequest version 1: topics claims a length of 2147483647, 2 bytes are left "
             "at byte 4");
  const Bytes compact_bytes = from_hex(
      "ffffffffffffffffff01"
      "00");
  BytesReader compact(compact_bytes);
  const auto flexible = decode<MetadataRequest>(compact, 9);
  BOOST_REQUIRE(!flexible.has_value());
  BOOST_TEST(flexible.error().context.find("topics claims a length of") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(unknown_tags_inside_a_struct_are_skipped_and_tags_must_ascend) {
  // Throttle, error, session; one topic "t" with one partition, whose tags differ; the tags of
  // topic and message.
  const std::string head =
      "00000000"
      "0000"
      "00000000"
      "02"
      "0274"
      "02"
      "00000003"
      "0000"
      "0000000000000001"
      "0000000000000002"
      "0000000000000000"
      "00"
      "ffffffff"
      "00";
  const std::string leader =
      "01"
      "09"
      "00000007"
      "00000008"
      "00";
  const std::string unknown =
      "63"
      "02"
      "abcd";
  const Bytes good = from_hex(head + "02" + leader + unknown +
                              "00"
                              "00");
  BytesReader in(good);
  const auto read = decode<FetchResponse>(in, 12);
  BOOST_REQUIRE_MESSAGE(read.has_value(), reason_of(read));
  const auto& partition = read->topics[0].partitions[0];
  BOOST_TEST(partition.current_leader.leader_id.value() == 7);
  BOOST_TEST(partition.current_leader.leader_epoch.value() == 8);
  BOOST_TEST(in.left() == 0u);
  const Bytes disordered = from_hex(head + "02" + unknown + leader +
                                    "00"
                                    "00");
  BytesReader again(disordered);
  BOOST_TEST(!decode<FetchResponse>(again, 12).has_value());
  const Bytes too_long = from_hex(head + "01" +
                                  "01"
                                  "0a"
                                  "00000007"
                                  "00000008"
                                  "00"
                                  "ff" +
                                  "00"
                                  "00");
  BytesReader padded(too_long);
  BOOST_TEST(!decode<FetchResponse>(padded, 12).has_value());
}

BOOST_AUTO_TEST_CASE(records_are_views_into_the_frame) {
  const Bytes records(100, std::byte{7});
  ProduceRequest request;
  request.topics = {
      {.name = "t", .partitions = {{.index = PartitionIndex{3}, .records = records}}}};
  BytesWriter out;
  BOOST_REQUIRE(encode(out, request, 9).has_value());
  BytesReader in(out.view());
  const auto read = decode<ProduceRequest>(in, 9);
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST((*read == request));
  const ByteView view = *read->topics[0].partitions[0].records;
  BOOST_TEST((view.data() > out.view().data()));
  BOOST_TEST((view.data() + view.size() < out.view().data() + out.size()));
}

BOOST_AUTO_TEST_CASE(an_api_versions_response_never_has_the_flexible_header) {
  BytesWriter out;
  encode_response_header(out, ApiKey::api_versions, 3, 5);
  BOOST_TEST(to_hex(out.view()) == "00000005");
  encode_response_header(out, ApiKey::metadata, 9, 5);
  BOOST_TEST(to_hex(out.view()) ==
             "00000005"
             "00000005"
             "00");
}

BOOST_AUTO_TEST_CASE(an_api_versions_request_of_the_future_is_answered_in_version_0) {
  const Bytes in_bytes = from_hex(
      "0012"
      "0063"
      "00000009"
      "ffff"
      "00"
      "0102");
  BytesReader in(in_bytes);
  const auto header = decode_request_header(in);
  BOOST_REQUIRE(header.has_value());
  BOOST_TEST((speaks(*header) == Speaks::unknown_version));
  BytesWriter out;
  encode_unsupported_api_versions_frame(out, header->correlation_id);
  BOOST_TEST(to_hex(out.view()) ==
             "00000010"
             "00000009"
             "0023"
             "00000001"
             "001200000004");
}

BOOST_AUTO_TEST_CASE(headers_that_are_not_spoken_are_told_apart_and_explained) {
  const Bytes unknown_api_bytes = from_hex(
      "7530"
      "0000"
      "00000001"
      "ffff");
  BytesReader unknown_api(unknown_api_bytes);
  const auto first = decode_request_header(unknown_api);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST((speaks(*first) == Speaks::unknown_api));
  BOOST_TEST(explain(*first) == "api key 30000 is not spoken");
  const Bytes old_produce_bytes = from_hex(
      "0000"
      "0002"
      "00000001"
      "ffff");
  BytesReader old_produce(old_produce_bytes);
  const auto second = decode_request_header(old_produce);
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST((speaks(*second) == Speaks::unknown_version));
  BOOST_TEST(explain(*second) == "Produce version 2 is not spoken (3 to 11 are)");
  const Bytes cut_bytes = from_hex(
      "0000"
      "0003"
      "0000");
  BytesReader cut(cut_bytes);
  BOOST_TEST(!decode_request_header(cut).has_value());
}

BOOST_AUTO_TEST_CASE(a_frame_longer_than_the_limit_is_refused) {
  BOOST_TEST(decode_frame_length(from_hex("00000064"), 100).value() == 100u);
  BOOST_TEST(!decode_frame_length(from_hex("00000065"), 100).has_value());
  BOOST_TEST(!decode_frame_length(from_hex("ffffffff"), 100).has_value());
}

BOOST_AUTO_TEST_CASE(old_clients_find_the_versions_by_which_they_enable_features) {
  // librdkafka up to 2.11.0 looks for Produce 0 (compression) and FindCoordinator 0 (LZ4, groups).
  BOOST_TEST(find_api(ApiKey::produce)->advertised.min == 0);
  BOOST_TEST(find_api(ApiKey::find_coordinator)->advertised.min == 0);
  BOOST_TEST(find_api(ApiKey::fetch)->advertised.contains(4));
  BOOST_TEST(find_api(ApiKey::list_offsets)->advertised.contains(1));
  BOOST_TEST(find_api(ApiKey::init_producer_id)->advertised.min == 0);
}

BOOST_AUTO_TEST_CASE(no_version_is_advertised_that_is_newer_than_what_is_spoken) {
  for (const ApiInfo& api : supported_apis()) {
    BOOST_TEST(api.advertised.max <= api.versions.max, api.name);
  }
  BOOST_TEST(!find_api(ApiKey::alter_partition)->advertised.contains(3));  // Between nodes only.
}

BOOST_AUTO_TEST_CASE(error_codes_have_kafkas_names_and_kinds) {
  BOOST_TEST(name_of(KafkaError::not_leader_or_follower) == "NOT_LEADER_OR_FOLLOWER");
  BOOST_TEST(name_of(static_cast<KafkaError>(9999)) == "ERROR_9999");
  BOOST_TEST(is_retriable(KafkaError::not_enough_replicas));
  BOOST_TEST(!is_retriable(KafkaError::message_too_large));
  BOOST_TEST((kafka_error_of(Errc::not_leader) == KafkaError::not_leader_or_follower));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::wire
