#pragma once
// What a node did and when, as one NDJSON line per event: {"t_ns":..., "node":..., "event":"...",
// ...fields}.
//
// The same names for all modules, as the papers and Kafka name things; docs/trace.md lists them.
// All processes of a host share CLOCK_MONOTONIC, so their traces can be merged. The simulator folds
// every event into its digest.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/clock.h"
#include "common/ids.h"

namespace qlab::runtime {

using TraceValue = std::variant<std::int64_t, std::string_view>;
struct TraceField {
  std::string_view name;
  TraceValue value;
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // False when nobody listens: a caller may then skip making the fields.
  virtual bool enabled() const = 0;
  // Cost: formats a line into a buffer; never blocks. Errors: none; a full disk loses lines and
  // says so once.
  virtual void emit(std::string_view event, std::initializer_list<TraceField> fields) = 0;
  // As emit(), of what is told only where it was asked for: no part of the simulator's digest, so
  // that a run with it is the run without.
  virtual void emit_detail(std::string_view event, std::initializer_list<TraceField> fields) {
    emit(event, fields);
  }
  // By the clock that stamps the lines, which a simulated node's own may drift from.
  virtual Time now() const = 0;
};

// Appends the line, with its newline, that every sink writes for an event.
void append_trace_line(std::string& out, Time at, NodeId node, std::string_view event,
                       std::initializer_list<TraceField> fields);

}  // namespace qlab::runtime
