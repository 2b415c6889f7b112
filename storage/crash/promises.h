#pragma once
// What the logs promised before they crashed, and the journal that remembers it: a file of lines,
// on a file system that does not crash, each written before what it announces or after what it
// reports.
//
//   snapshot <session>, state ..., ready <session>   all logs as they were recovered, in one write
//   appended <p> <next>         an append returned
//   acknowledged <p> <next>     all below is durable, it was said
//   cut_begun, cut_done <p> <epoch> <end>
//   delete_begun, delete_done <p> <start>
//   reset_begun, reset_done <p> <epoch> <start>
//   removing <p>                from here on the log of that name is another one
//   created <p> <epoch>         which is there now, and empty
//
// A line ends with " ;", so that one which a kill cut short is known and ignored. The lines that
// promise something (state, acknowledged, ..._done) may be taken out from some point on: the rest
// still tells all that may have been done.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace qlab::storage {

// Where the log was cut: no batch of a smaller epoch ends beyond `end`, and none of this epoch or a
// later one begins before it.
struct Fence {
  LeaderEpoch epoch;
  Offset end;
};

struct Promises {
  std::int64_t incarnation = 0;
  Offset start_min{0};  // start_min <= start <= start_max once recovered.
  Offset start_max{0};
  Offset acknowledged{0};  // The log ends here or later.
  Offset appended{0};      // So too, if only the process died. acknowledged <= appended.
  LeaderEpoch epoch_max = no_leader_epoch;  // None of a later epoch was written.
  std::vector<Fence> fences;                // Epochs and ends grow.
  std::optional<Fence> cut;                 // Begun, not reported done: it may be either.
  std::vector<Fence> resets;                // Likewise.

  bool is_being_changed() const { return cut.has_value() || !resets.empty(); }

  void note_appended(Offset next);
  void note_acknowledged(Offset next);
  void begin_cut(Fence fence);
  void end_cut();
  void begin_delete(Offset start);
  void end_delete(Offset start);
  void begin_reset(Fence fence);
  void end_reset();
  void remove();
  void create(LeaderEpoch epoch);
  // What recovery gave is promised from here on. `epoch`: the first of the new session.
  void recovered(LeaderEpoch epoch, Offset start, Offset end);

 private:
  void add_fence(Fence fence);
};

struct History {
  std::int64_t session = 0;  // The last one that was ready; 0: none.
  std::vector<Promises> logs;
};

// A session's own leader epochs begin here; the next session's follow.
LeaderEpoch first_epoch_of(std::int64_t session);

// Errors: io; corrupt, naming a line that is none.
Result<History> read_journal(const std::string& path, std::int64_t partitions);

class Journal {
 public:
  // Opens it to append, and makes it when it is not there. Errors: io.
  static Result<Journal> open(const std::string& path);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  // One line. What cannot be remembered ends the process, for nobody could check it.
  void say(std::string_view words);
  void snapshot(std::int64_t session, std::span<const Promises> logs);

 private:
  explicit Journal(int fd) : fd_(fd) {}
  void write(std::string_view text);
  int fd_;
};

}  // namespace qlab::storage
