#include "runtime/trace.h"

#include <iterator>

#include <fmt/format.h>

namespace qlab::runtime {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void append_trace_line(std::string& out, Time at, NodeId node, std::string_view event,
                       std::initializer_list<TraceField> fields) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"t_ns\":{},\"node\":{},\"event\":", at.time_since_epoch().count(), node);
  append_quoted(out, event);
  for (const TraceField& field : fields) {
    out += ',';
    append_quoted(out, field.name);
    out += ':';
    if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
      fmt::format_to(std::back_inserter(out), "{}", *number);
    } else {
      append_quoted(out, std::get<std::string_view>(field.value));
    }
  }
  out += "}\n";
}

}  // namespace qlab::runtime
