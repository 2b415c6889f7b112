// The two messages that carry data: a produce request comes in, a fetch response goes out.

#include "storage/bench/micro/micro.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/frame.h"
#include "wire/kafka/produce.h"

namespace qlab::storage::micro {
namespace {

constexpr std::int16_t produce_version = 9;  // The first flexible one.
constexpr std::int16_t fetch_version = 12;
constexpr std::size_t batch_bytes = 1024;

void decode_produce(benchmark::State& state) {
  const Bytes batch = batch_of(batch_bytes);
  wire::ProduceRequest request;
  request.acks = -1;
  request.topics.emplace_back().name = "topic";
  for (std::int32_t i = 0; i < state.range(0); ++i) {
    auto& partition = request.topics[0].partitions.emplace_back();
    partition.index = PartitionIndex{i};
    partition.records = batch;
  }
  BytesWriter out;
  must(encode(out, request, produce_version));
  for ([[maybe_unused]] const auto each : state) {
    BytesReader in(out.view());
    benchmark::DoNotOptimize(must(wire::decode<wire::ProduceRequest>(in, produce_version)).acks);
  }
  count(state, out.size(), static_cast<std::size_t>(state.range(0)));
}

void encode_fetch(benchmark::State& state) {
  const Bytes records = batch_of(static_cast<std::size_t>(state.range(1)));
  wire::FetchResponse response;
  response.topics.emplace_back().topic = "topic";
  for (std::int32_t i = 0; i < state.range(0); ++i) {
    auto& partition = response.topics[0].partitions.emplace_back();
    partition.partition_index = PartitionIndex{i};
    partition.records = records;
  }
  std::size_t bytes = 0;
  for ([[maybe_unused]] const auto each : state) {
    BytesWriter out;
    must(wire::encode_response_frame(out, fetch_version, 42, response));
    bytes = out.size();
    benchmark::DoNotOptimize(out.view().data());
  }
  count(state, bytes, static_cast<std::size_t>(state.range(0)));
}

}  // namespace

void register_codec() {
  benchmark::RegisterBenchmark("produce_request_decode", decode_produce)->Arg(1)->Arg(100);
  benchmark::RegisterBenchmark("fetch_response_encode", encode_fetch)
      ->Args({1, 64 << 10})
      ->Args({100, batch_bytes});
}

}  // namespace qlab::storage::micro
