#pragma once
// What happened in a simulated world: a digest of all of it, and the last trace lines in words.

#include <cstdint>
#include <cstdio>
#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "runtime/trace.h"

namespace qlab::runtime {

class Journal {
 public:
  // Keeps the last `lines_max` trace lines; writes all of them to `file` unless that is empty.
  // A file that cannot be opened aborts, as the user asked for it.
  Journal(std::size_t lines_max, const std::string& file);

  void fold(std::uint64_t value);
  void fold(ByteView bytes);
  void trace(Time at, NodeId node, std::string_view event,
             std::initializer_list<TraceField> fields);
  // The same without a trace in the digest.
  void trace_detail(Time at, NodeId node, std::string_view event,
                    std::initializer_list<TraceField> fields);

  // Equal runs have equal digests, and different ones almost surely different ones.
  std::uint64_t digest() const { return digest_; }
  const std::deque<std::string>& last_lines() const { return lines_; }

 private:
  void keep(std::string line);
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::size_t lines_max_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::uint64_t digest_ = 0;
  std::deque<std::string> lines_;  // Each with its newline; at most lines_max_.
};

}  // namespace qlab::runtime
