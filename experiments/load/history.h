#pragma once
// What every client did and saw, one JSON object a line, gzipped: the files of a run.
//
// history.jsonl.gz, in the harness's dialect of Jepsen's words (harness/history.py):
//   {"index":0,"time":NS,"type":"invoke","process":0,"f":"send",
//    "value":{"topic":"t","partition":2,"id":17,"intended":NS},"error":null}
//   {"index":9,"time":NS,"type":"ok","process":0,"f":"send",
//    "value":{"topic":"t","partition":2,"id":17,"offset":40},"error":null}
// ok: it happened. fail: it certainly did not. info: nobody knows. A process may have many sends
// open; `id` (unique in a run) pairs an invocation with its completion.
//
// polls.jsonl.gz, what the consumer saw while it happened:
//   {"time":NS,"partition":2,"offsets":[40],"ids":[17]}
// Times are CLOCK_MONOTONIC nanoseconds. An id of null is a record that is not ours, or damaged.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include <zlib.h>

#include "common/result.h"

namespace qlab::experiments {

// Lines into a gzip file. Whatever was written before the last flush() survives a kill of this
// process.
class GzipLines {
 public:
  GzipLines() = default;
  GzipLines(const GzipLines&) = delete;
  GzipLines& operator=(const GzipLines&) = delete;
  ~GzipLines();

  // Errors: io.
  Result<void> open(const std::filesystem::path& path);
  void write(std::string_view line);  // Adds the newline; does nothing while no file is open.
  void flush();
  // Errors: io, when any line could not be written.
  Result<void> close();

 private:
  gzFile file_ = nullptr;
  bool failed_ = false;
};

}  // namespace qlab::experiments
