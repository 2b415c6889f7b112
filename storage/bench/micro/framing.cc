// What stands around messages and metadata records.

#include "storage/bench/micro/micro.h"
#include "wire/kafka/frame.h"
#include "wire/kafka/record_head.h"

namespace qlab::storage::micro {
namespace {

constexpr std::size_t frame_bytes_max = 100u << 20;

wire::RequestHeader produce_header() {
  return {.api_key = wire::ApiKey::produce,
          .api_version = 9,
          .correlation_id = 42,
          .client_id = "rdkafka"};
}

void encode_frame(benchmark::State& state) {
  const wire::RequestHeader header = produce_header();
  std::size_t bytes = 0;
  for ([[maybe_unused]] const auto each : state) {
    BytesWriter out;
    const std::size_t frame = wire::begin_frame(out);
    wire::encode_request_header(out, header);
    wire::end_frame(out, frame);
    bytes = out.size();
    benchmark::DoNotOptimize(out.view().data());
  }
  count(state, bytes);
}

void decode_frame(benchmark::State& state) {
  BytesWriter out;
  const std::size_t frame = wire::begin_frame(out);
  wire::encode_request_header(out, produce_header());
  wire::end_frame(out, frame);
  const ByteView bytes = out.view();
  for ([[maybe_unused]] const auto each : state) {
    benchmark::DoNotOptimize(
        must(wire::decode_frame_length(bytes.first(wire::frame_length_bytes), frame_bytes_max)));
    BytesReader in(bytes.subspan(wire::frame_length_bytes));
    benchmark::DoNotOptimize(must(wire::decode_request_header(in)).correlation_id);
  }
  count(state, bytes.size());
}

void encode_head(benchmark::State& state) {
  BytesWriter out;
  for ([[maybe_unused]] const auto each : state) {
    wire::encode_record_head(out, 3, 1);
    if (out.size() > 4096) benchmark::DoNotOptimize(out.take());
  }
  count(state, 3);
}

void decode_head(benchmark::State& state) {
  BytesWriter out;
  wire::encode_record_head(out, 3, 1);
  for ([[maybe_unused]] const auto each : state) {
    BytesReader in(out.view());
    benchmark::DoNotOptimize(must(wire::decode_record_head(in)).id);
  }
  count(state, out.size());
}

}  // namespace

void register_framing() {
  benchmark::RegisterBenchmark("frame_encode", encode_frame);
  benchmark::RegisterBenchmark("frame_decode", decode_frame);
  benchmark::RegisterBenchmark("record_head_encode", encode_head);
  benchmark::RegisterBenchmark("record_head_decode", decode_head);
}

}  // namespace qlab::storage::micro
