// Bytes of others: what real clients sent (scripts/capture_golden.py) and what another codec wrote
// (scripts/golden_kmsg) is decoded without a rest and encoded to the same bytes.

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <tuple>

#include <boost/test/unit_test.hpp>

#include "wire/kafka/all_messages.h"
#include "wire/kafka/frame.h"
#include "wire/kafka/testing/test_text.h"

namespace qlab::wire {
namespace {

struct Golden {
  std::string comment;  // The last comment before the bytes; names a failing case.
  bool is_request = false;
  ApiKey api_key{};  // Of a response; a request's header says it.
  std::int16_t version = 0;
  Bytes bytes;
};

// A file has `request` or `response <key> <version>`, lines of hex, `end`; and comments behind a #.
std::vector<Golden> read_golden(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Golden> all;
  Golden one;
  for (std::string line, hex; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "#") {
      one.comment = path.filename().string() + line.substr(1);
    } else if (word == "request" || word == "response") {
      int key = 0;
      int version = 0;
      words >> key >> version;
      one.is_request = word == "request";
      one.api_key = static_cast<ApiKey>(key);
      one.version = static_cast<std::int16_t>(version);
      hex.clear();
    } else if (word == "end") {
      one.bytes = from_hex(hex);
      all.push_back(one);
    } else {
      hex += word;
    }
  }
  return all;
}

// Decodes what `in` has left as a T, encodes it again, and says what is wrong, if anything.
template <class T>
std::string fault_of_message(BytesReader& in, std::int16_t version, BytesWriter& out) {
  const auto message = decode<T>(in, version);
  if (!message) return message.error().message();
  if (in.left() > 0) return fmt::format("{} bytes are left over", in.left());
  return reason_of(encode(out, *message, version));
}

template <class... T>
std::string fault(const Golden& golden, std::int16_t version, ApiKey key, BytesReader& in,
                  BytesWriter& out, std::tuple<T...>*) {
  std::string result = "no message has this key";
  const auto try_one = [&]<class M>() {
    constexpr bool is_request = requires {
      typename M::Response;
    };
    if (M::api_key != key || is_request != golden.is_request) return;
    result = fault_of_message<M>(in, version, out);
  };
  (try_one.template operator()<T>(), ...);
  return result;
}

std::string fault(const Golden& golden) {
  constexpr AllMessages* all = nullptr;
  BytesReader in(golden.bytes);
  BytesWriter out;
  std::string wrong;
  if (golden.is_request) {
    in.get_bytes(frame_length_bytes);
    const auto header = decode_request_header(in);
    if (!header) return header.error().message();
    if (speaks(*header) != Speaks::yes) return explain(*header);
    const std::size_t frame = begin_frame(out);
    encode_request_header(out, *header);
    wrong = fault(golden, header->api_version, header->api_key, in, out, all);
    end_frame(out, frame);
  } else {
    wrong = fault(golden, golden.version, golden.api_key, in, out, all);
  }
  if (!wrong.empty()) return wrong;
  const std::string ours = to_hex(out.view());
  const std::string theirs = to_hex(golden.bytes);
  return ours == theirs ? "" : fmt::format("ours:   {}\ntheirs: {}", ours, theirs);
}

BOOST_AUTO_TEST_SUITE(wire_golden)

BOOST_AUTO_TEST_CASE(bytes_of_other_implementations_survive_a_round_trip) {
  std::set<std::string> files;
  std::size_t responses = 0;
  for (const auto& entry : std::filesystem::directory_iterator("wire/kafka/testdata")) {
    files.insert(entry.path().filename().string());
    const auto all = read_golden(entry.path());
    BOOST_TEST(all.size() > 0u);
    for (const Golden& golden : all) {
      const std::string wrong = fault(golden);
      BOOST_TEST(wrong.empty(), golden.comment << ": " << wrong);
      if (!golden.is_request) ++responses;
    }
  }
  const std::set<std::string> expected{"confluent.txt", "kafka_python.txt", "kafkajs.txt",
                                       "kcat.txt", "kmsg.txt"};
  BOOST_TEST((files == expected));
  std::size_t versions = 0;
  for (const ApiInfo& api : supported_apis()) {
    if (!api.advertised.contains(api.versions.max)) continue;  // Between our own nodes only.
    versions += static_cast<std::size_t>(api.versions.max - api.versions.min + 1);
  }
  BOOST_TEST(responses >= versions, "kmsg.txt lacks versions; write it anew");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::wire
