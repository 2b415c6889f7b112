#include "storage/crash/options.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <functional>
#include <utility>
#include <vector>

#include "storage/engine.h"
#include "storage/layout.h"

namespace qlab::storage {
namespace {

constexpr std::array<std::string_view, 5> mutant_names = {
    "none", "ack_before_append", "ack_before_sync", "ack_failed_sync", "skip_directory_sync"};

// In the order of runtime::DiskOperation.
constexpr std::array<std::string_view, 11> operation_names = {
    "open",   "read",   "write",          "sync",    "truncate",       "prepare",
    "rename", "remove", "sync_directory", "replace", "sync_filesystem"};

constexpr std::array<std::pair<std::string_view, int>, 2> errors = {
    std::pair{std::string_view("EIO"), EIO}, std::pair{std::string_view("ENOSPC"), ENOSPC}};

template <class T>
Result<T> parse_number(std::string_view flag, std::string_view word, T low, T high) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  const bool whole = error == std::errc{} && end == word.data() + word.size();
  if (whole && value >= low && value <= high) return value;
  return fail(Errc::invalid, "{}={} is not a number in [{}, {}]", flag, word, low, high);
}

template <class Names>
Result<std::size_t> parse_word(std::string_view flag, std::string_view word, const Names& names) {
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (names[i] == word) return i;
  }
  return fail(Errc::invalid, "{}={} is unknown; allowed are {}", flag, word,
              fmt::join(names, ", "));
}

// OPERATION:ERROR:N
Result<InjectedError> parse_fault(std::string_view flag, std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = text.find(':', first == text.npos ? first : first + 1);
  if (second == text.npos) {
    return fail(Errc::invalid, "{}={} is not OPERATION:ERROR:N", flag, text);
  }
  InjectedError fault;
  TRY(const std::size_t operation, parse_word(flag, text.substr(0, first), operation_names));
  fault.operation = static_cast<runtime::DiskOperation>(operation);
  const std::string_view name = text.substr(first + 1, second - first - 1);
  for (const auto& [known, number] : errors) {
    if (known == name) fault.number = number;
  }
  if (fault.number == 0) {
    return fail(Errc::invalid, "{}={} names {}; allowed are EIO, ENOSPC", flag, text, name);
  }
  TRY(fault.count,
      parse_number<std::uint64_t>(flag, text.substr(second + 1), 1, std::uint64_t{1} << 40));
  return fault;
}

struct Flag {
  std::string_view name;
  std::string_view words;  // Of the help: values, default, meaning.
  Result<void> (*set)(CrashOptions& options, std::string_view flag, std::string_view word);
};

using Word = std::string_view;

const Flag flags[] = {
    {"--dir", "DIRECTORY: the data directory, on the file system that crashes; needed",
     [](CrashOptions& o, Word, Word word) -> Result<void> {
       o.directory = word;
       return {};
     }},
    {"--journal", "FILE: what was promised, on a file system that does not crash; needed",
     [](CrashOptions& o, Word, Word word) -> Result<void> {
       o.journal = word;
       return {};
     }},
    {"--engine", "a persistent engine (buffered)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       o.engine = word;
       TRY_VOID(parse_word(flag, word, engine_names()));
       return {};
     }},
    {"--layout", "a layout (per_partition)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       o.layout = word;
       TRY_VOID(parse_word(flag, word, layout_names()));
       return {};
     }},
    {"--preallocation", "none, extents, zeros, recycled: space of new segments (none)",
     [](CrashOptions& o, Word, Word word) -> Result<void> {
       TRY(o.preparation.preallocation, parse_preallocation(word));
       return {};
     }},
    {"--prepared-bytes", "size of a prepared file (1048576)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.preparation.prepared_bytes,
           parse_number<std::uint64_t>(flag, word, 1u << 20, 1u << 30));
       return {};
     }},
    {"--group-sync", "files, filesystem: how dirty files are synced together (files)",
     [](CrashOptions& o, Word, Word word) -> Result<void> {
       TRY(o.grouping.group_sync, parse_group_sync(word));
       return {};
     }},
    {"--open-files-max", "files that the layout holds open, [16, 1000000] (4000)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.grouping.open_files_max, parse_number<std::size_t>(flag, word, 16, 1'000'000));
       return {};
     }},
    {"--seed", "of every choice and every byte that is written (1)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.seed, parse_number<std::uint64_t>(flag, word, 0, ~std::uint64_t{0}));
       return {};
     }},
    {"--partitions", "logs, [1, 64] (3)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.partitions, parse_number<std::int64_t>(flag, word, 1, 64));
       return {};
     }},
    {"--operations", "of each partition, then a clean end; 0: until killed (0)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.operations, parse_number<std::int64_t>(flag, word, 0, 1'000'000'000));
       return {};
     }},
    {"--segment-bytes", "where a segment ends, [4096, 1073741824] (98304)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.segment_bytes, parse_number<std::uint64_t>(flag, word, 4096, 1u << 30));
       return {};
     }},
    {"--survives",
     "synced, process: what the crash left; after a mere kill of the process all that "
     "was appended must be there (synced)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       constexpr std::array<Word, 2> names = {"synced", "process"};
       TRY(const std::size_t index, parse_word(flag, word, names));
       o.process_only = index == 1;
       return {};
     }},
    {"--kill-at", "N: SIGKILL to itself before its N-th disk operation; 0: never (0)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.kill_at, parse_number<std::uint64_t>(flag, word, 0, std::uint64_t{1} << 40));
       return {};
     }},
    {"--tear", "no, yes: with --kill-at, if that operation is a write, a part of it is done (no)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       constexpr std::array<Word, 2> names = {"no", "yes"};
       TRY(const std::size_t index, parse_word(flag, word, names));
       o.tear = index == 1;
       return {};
     }},
    {"--fault",
     "OPERATION:ERROR:N: the N-th disk operation of that kind fails, as sync:EIO:20. "
     "Operations: open read write sync truncate prepare rename remove sync_directory "
     "replace sync_filesystem; errors: EIO ENOSPC (none)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(o.fault, parse_fault(flag, word));
       return {};
     }},
    {"--mutant",
     "none, ack_before_append, ack_before_sync, ack_failed_sync, skip_directory_sync: "
     "a known-bad mode, which the check must catch (none)",
     [](CrashOptions& o, Word flag, Word word) -> Result<void> {
       TRY(const std::size_t index, parse_word(flag, word, mutant_names));
       o.mutant = static_cast<Mutant>(index);
       return {};
     }},
};

Result<void> set_flag(CrashOptions& options, std::string_view name, std::string_view word) {
  for (const Flag& flag : flags) {
    if (flag.name == name) return flag.set(options, name, word);
  }
  return fail(Errc::invalid, "{} is no flag; --help lists them", name);
}

}  // namespace

Result<CrashOptions> parse_crash_options(std::span<const std::string_view> words) {
  CrashOptions options;
  options.preparation.prepared_bytes = 1u << 20;
  options.grouping.open_files_max = 4000;
  if (words.empty() || (words[0] != "write" && words[0] != "check")) {
    return fail(Errc::invalid, "the first word is write or check; --help says more");
  }
  options.write = words[0] == "write";
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const bool in_one = equals != std::string_view::npos;
    if (!in_one && i + 1 == words.size()) {
      return fail(Errc::invalid, "{} lacks its value", words[i]);
    }
    const std::string_view name = in_one ? words[i].substr(0, equals) : words[i];
    TRY_VOID(set_flag(options, name, in_one ? words[i].substr(equals + 1) : words[++i]));
  }
  if (options.directory.empty()) return fail(Errc::invalid, "--dir is needed");
  if (options.journal.empty()) return fail(Errc::invalid, "--journal is needed");
  return options;
}

std::string crash_help() {
  std::string text =
      "qlab-storage-crash write|check --dir DIRECTORY --journal FILE [--flag value]...\n"
      "qlab-storage-crash list    prints the engines and layouts of this build as JSON\n\n"
      "Opens the logs in a directory on the real runtime, as they were left by whatever ended the\n"
      "last run, and checks them against what was promised (the journal): what was acknowledged "
      "is\n"
      "there, all that is served was written, what was dropped is named, and a second recovery\n"
      "finds nothing to do. The verdict is a line of JSON on stdout. `write` then goes on: "
      "appends,\n"
      "syncs, cuts, deletes, rolls, removes, and says in the journal what it did, until it is\n"
      "killed.\n\n"
      "Status: 0 all is well; 1 a promise was broken; 2 it could not run.\n\n";
  for (const Flag& flag : flags) text += fmt::format("  {:18} {}\n", flag.name, flag.words);
  return text;
}

}  // namespace qlab::storage
