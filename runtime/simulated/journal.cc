#include "runtime/simulated/journal.h"

#include "common/check.h"

namespace qlab::runtime {
namespace {

// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

Journal::Journal(std::size_t lines_max, const std::string& file) : lines_max_(lines_max) {
  if (file.empty()) return;
  file_.reset(std::fopen(file.c_str(), "w"));
  CHECK_MSG(file_ != nullptr, fmt::format("the trace file {} cannot be opened", file));
}

void Journal::fold(std::uint64_t value) {
  digest_ = mix(digest_ + 0x9E3779B97F4A7C15 + value);
}

void Journal::fold(ByteView bytes) {
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a.
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001B3;
  fold(hash);
}

void Journal::trace(Time at, NodeId node, std::string_view event,
                    std::initializer_list<TraceField> fields) {
  std::string line;
  append_trace_line(line, at, node, event, fields);
  fold(as_view(line));
  keep(std::move(line));
}

void Journal::trace_detail(Time at, NodeId node, std::string_view event,
                           std::initializer_list<TraceField> fields) {
  std::string line;
  append_trace_line(line, at, node, event, fields);
  keep(std::move(line));
}

void Journal::keep(std::string line) {
  if (file_) std::fwrite(line.data(), 1, line.size(), file_.get());
  lines_.push_back(std::move(line));
  if (lines_.size() > lines_max_) lines_.pop_front();
}

}  // namespace qlab::runtime
