// Mode read-all: what the log holds in the end, in order, for the checkers.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "experiments/load/consumer.h"
#include "experiments/load/history.h"
#include "experiments/load/modes.h"
#include "experiments/load/schedule.h"

namespace qlab::experiments {
namespace {

struct Range {
  std::int64_t low = 0;   // First offset.
  std::int64_t high = 0;  // High watermark when the reading began.
  std::int64_t next = 0;  // Where the reading is; low <= next.
  std::int64_t records = 0;

  bool done() const { return next >= high; }
};

class ReadAll {
 public:
  ReadAll(const LoadOptions& options, PartitionReader reader)
      : options_(options), reader_(std::move(reader)) {}

  Result<void> open(std::int32_t partitions) {
    const std::filesystem::path directory(options_.output);
    TRY_VOID(lines_.open(directory / "records.jsonl.gz"));
    for (std::int32_t partition = 0; partition < partitions; ++partition) {
      TRY(const auto ends, reader_.ends_of(partition));
      ranges_.push_back({ends.first, ends.second, ends.first, 0});
      if (!ranges_.back().done()) {
        ++unfinished_;
        TRY_VOID(reader_.read_from(partition, ends.first));
      }
    }
    return {};
  }

  // Errors: timed_out when nothing came for three request timeouts; aborted on a signal.
  Result<void> read(StopSignals& signals) {
    const std::int64_t patience_ns = 3 * options_.request_timeout_ms * 1'000'000;
    std::int64_t last_ns = monotonic_ns();
    while (unfinished_ > 0) {
      const Message message = reader_.next(std::chrono::milliseconds(100));
      if (message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        last_ns = monotonic_ns();
        take(*message);
      } else if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        advance(message->partition, message->offset);  // Offsets without records end here.
      } else if (monotonic_ns() - last_ns > patience_ns) {
        return fail(Errc::timed_out, "read-all: nothing came for {} ms; {} partitions unfinished",
                    patience_ns / 1'000'000, unfinished_);
      } else if (signals.asked(std::chrono::milliseconds(0))) {
        return fail(Errc::aborted, "read-all: stopped by a signal");
      }
    }
    return {};
  }

  Result<void> finish() {
    TRY_VOID(lines_.close());
    nlohmann::json result = {
        {"mode", "read-all"}, {"topic", options_.topic}, {"foreign", foreign_}};
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      result["partitions"].push_back({{"partition", i},
                                      {"low", ranges_[i].low},
                                      {"high", ranges_[i].high},
                                      {"records", ranges_[i].records}});
    }
    const auto path = std::filesystem::path(options_.output) / "read.json";
    std::ofstream out(path);
    out << result.dump(1) << "\n";
    out.close();
    if (!out) return fail(Errc::io, "{} could not be written", path.string());
    return {};
  }

 private:
  void take(const rd_kafka_message_t& message) {
    Range& range = ranges_[static_cast<std::size_t>(message.partition)];
    if (message.offset >= range.high) return advance(message.partition, message.offset);
    const Delivery d = delivery_of(message, 0);
    if (d.number < 0) ++foreign_;
    const std::string id = d.number < 0 ? "null" : std::to_string(d.number);
    lines_.write(
        fmt::format(R"({{"partition":{},"offset":{},"id":{}}})", d.partition, d.offset, id));
    ++range.records;
    advance(message.partition, message.offset + 1);
  }

  void advance(std::int32_t partition, std::int64_t next) {
    Range& range = ranges_[static_cast<std::size_t>(partition)];
    if (range.done()) return;
    range.next = next;
    if (range.done()) --unfinished_;
  }

  const LoadOptions& options_;
  PartitionReader reader_;
  GzipLines lines_;
  std::vector<Range> ranges_;    // By partition.
  std::int64_t unfinished_ = 0;  // Ranges that are not done.
  std::int64_t foreign_ = 0;     // Values that are not ours, or damaged.
};

}  // namespace

Result<void> run_read_all(const LoadOptions& options, StopSignals& signals) {
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  if (error) return fail(Errc::io, "--output={}: {}", options.output, error.message());
  TRY_VOID(log_clients_to(std::filesystem::path(options.output) / "read-client.log"));
  TRY(PartitionReader reader, PartitionReader::make(options, {{"enable.partition.eof", "true"},
                                                              {"check.crcs", "true"},
                                                              {"fetch.wait.max.ms", "50"}}));
  TRY(const std::int32_t partitions, wait_for_topic(reader.client(), options));
  ReadAll all(options, std::move(reader));
  TRY_VOID(all.open(partitions));
  TRY_VOID(all.read(signals));
  return all.finish();
}

}  // namespace qlab::experiments
