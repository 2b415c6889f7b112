#pragma once
// Writes to one log, whatever its seed says, and tells the journal before and after.

#include <memory>
#include <string>
#include <vector>

#include "common/prng.h"
#include "runtime/async.h"
#include "storage/crash/examination.h"

namespace qlab::storage {

// What the writers of a session have in common.
struct Session {
  runtime::Runtime& runtime;
  Layout& layout;
  const CrashOptions& options;
  Journal& journal;
  std::int64_t number;
  std::vector<std::string> violations;  // Seen while writing.
};

// The options of a log depend on its partition, so that every durability is met.
LogOptions log_options_of(const CrashOptions& options, std::int64_t partition);

// Thread: one shard.
class LogWriter {
 public:
  // Requires: `log` was recovered and holds batches at `bases`; `promises` say so.
  LogWriter(Session& session, LogIdentity identity, Promises promises, std::vector<Offset> bases,
            std::unique_ptr<Log> log);

  // Works until it has done what was asked, the log refuses, or something is wrong; closes the log.
  Task<void> run();

 private:
  Task<void> step();
  Task<void> change();
  Task<void> shrink();
  Task<void> append();
  Task<void> append_together();
  Task<void> append_one(Offset base, Bytes batch);
  Task<void> sync();
  Task<void> read();
  Task<void> cut();
  Task<void> delete_some();
  Task<void> begin_anew();
  Task<void> remove();
  Task<void> reopen();
  Task<void> prove_poisoned();

  void forget_bases();
  void say_appended(Offset base, Offset next);
  void say_durable();
  LeaderEpoch next_epoch() { return epoch_ = epoch_.next(); }
  // Takes an error: the log refuses from here on, or this is wrong.
  void take(std::string_view act, const Error& error);
  // The same of a call whose failure poisons the log.
  void take_poison(std::string_view act, const Error& error);
  void accuse(std::string words);

  Session& session_;
  LogIdentity identity_;
  Promises promises_;  // As the journal has them.
  LogOptions log_options_;
  std::unique_ptr<Log> log_;
  Prng random_;
  const double change_chance_;  // Of a step that does more than append, sync and read.
  LeaderEpoch epoch_;
  std::vector<Offset> bases_;  // Of the batches that are there, in order.
  bool refused_ = false;       // By the disk: nothing is acknowledged any more.
  bool poisoned_ = false;      // And the log may not go on; `poison_` says why.
  std::string poison_;
  bool wrong_ = false;
};

}  // namespace qlab::storage
