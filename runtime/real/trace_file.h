#pragma once
// Traces of the real world: lines into a file, written by a thread of their own.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/real/fd.h"
#include "runtime/trace.h"

namespace qlab::runtime {

// When nobody listens.
class NullTrace final : public TraceSink {
 public:
  bool enabled() const override { return false; }
  void emit(std::string_view, std::initializer_list<TraceField>) override {}
  Time now() const override { return {}; }
};

// Appends NDJSON lines to a file. A line is in the file at most flush_interval after it was
// emitted, so it survives SIGKILL from then on; whole batches are written, so a reader sees at most
// one torn line at the end.
//
// Thread: any; emit() formats, then takes a lock that is never held during a write.
class TraceFile final : public TraceSink {
 public:
  static constexpr Duration flush_interval = std::chrono::milliseconds(20);
  static constexpr std::size_t buffer_bytes_max = 16u << 20;

  // Errors: io, not_found when the file's directory is not there.
  static Result<std::unique_ptr<TraceFile>> open(const std::string& path, NodeId node);
  TraceFile(Fd file, NodeId node);
  ~TraceFile() override;  // Writes what is left.

  bool enabled() const override { return true; }
  void emit(std::string_view event, std::initializer_list<TraceField> fields) override;
  Time now() const override;

 private:
  void write_batches();
  void lose(std::string_view why);

  const Fd file_;
  const NodeId node_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string buffer_;     // Guarded by mutex_; at most buffer_bytes_max.
  bool stopping_ = false;  // Guarded by mutex_.
  bool said_so_ = false;   // Guarded by mutex_: lost lines were reported.
  std::thread writer_;
};

}  // namespace qlab::runtime
