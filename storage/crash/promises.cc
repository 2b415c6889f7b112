#include "storage/crash/promises.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::string_view line_end = " ;\n";
constexpr std::int64_t epochs_per_session = 1024;

using Numbers = std::vector<std::int64_t>;

LeaderEpoch epoch_of(std::int64_t number) {
  return LeaderEpoch{static_cast<std::int32_t>(number)};
}

Fence fence_of(const Numbers& numbers, std::size_t at) {
  return {epoch_of(numbers[at]), Offset{numbers[at + 1]}};
}

// incarnation, start_min, start_max, acknowledged, appended, epoch_max, fences...
Promises state_of(const Numbers& numbers) {
  Promises log;
  log.incarnation = numbers[1];
  log.start_min = Offset{numbers[2]};
  log.start_max = Offset{numbers[3]};
  log.acknowledged = Offset{numbers[4]};
  log.appended = Offset{numbers[5]};
  log.epoch_max = epoch_of(numbers[6]);
  for (std::size_t at = 7; at + 1 < numbers.size(); at += 2) {
    log.fences.push_back(fence_of(numbers, at));
  }
  return log;
}

std::string state_words(std::size_t partition, const Promises& log) {
  std::string words =
      fmt::format("state {} {} {} {} {} {} {}", partition, log.incarnation, log.start_min,
                  log.start_max, log.acknowledged, log.appended, log.epoch_max);
  for (const Fence& fence : log.fences) words += fmt::format(" {} {}", fence.epoch, fence.end);
  return words;
}

struct Verb {
  std::size_t numbers;  // At least, the partition's among them.
  void (*apply)(Promises& log, const Numbers& numbers);
};

const std::map<std::string, Verb, std::less<>> verbs = {
    {"state", {7, [](Promises& log, const Numbers& n) { log = state_of(n); }}},
    {"appended", {2, [](Promises& log, const Numbers& n) { log.note_appended(Offset{n[1]}); }}},
    {"acknowledged",
     {2, [](Promises& log, const Numbers& n) { log.note_acknowledged(Offset{n[1]}); }}},
    {"cut_begun", {3, [](Promises& log, const Numbers& n) { log.begin_cut(fence_of(n, 1)); }}},
    {"cut_done", {3, [](Promises& log, const Numbers&) { log.end_cut(); }}},
    {"delete_begun", {2, [](Promises& log, const Numbers& n) { log.begin_delete(Offset{n[1]}); }}},
    {"delete_done", {2, [](Promises& log, const Numbers& n) { log.end_delete(Offset{n[1]}); }}},
    {"reset_begun", {3, [](Promises& log, const Numbers& n) { log.begin_reset(fence_of(n, 1)); }}},
    {"reset_done", {3, [](Promises& log, const Numbers&) { log.end_reset(); }}},
    {"removing", {1, [](Promises& log, const Numbers&) { log.remove(); }}},
    {"created", {2, [](Promises& log, const Numbers& n) { log.create(epoch_of(n[1])); }}},
};

Result<void> apply_line(const std::string& line, History& history) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  const Numbers numbers(std::istream_iterator<std::int64_t>(words), {});
  if (verb == "snapshot" && numbers.size() == 1) {
    history.session = numbers[0];
    for (Promises& log : history.logs) log.epoch_max = first_epoch_of(history.session);
    return {};
  }
  if (verb == "ready") return {};
  const auto known = verbs.find(verb);
  const bool fits = known != verbs.end() && numbers.size() >= known->second.numbers &&
                    numbers[0] >= 0 && numbers[0] < static_cast<std::int64_t>(history.logs.size());
  if (!fits) return fail(Errc::corrupt, "the journal holds '{}'", line);
  known->second.apply(history.logs[static_cast<std::size_t>(numbers[0])], numbers);
  return {};
}

}  // namespace

void Promises::note_appended(Offset next) {
  appended = std::max(appended, next);
}

void Promises::note_acknowledged(Offset next) {
  acknowledged = std::max(acknowledged, next);
  note_appended(next);
}

void Promises::begin_cut(Fence fence) {
  cut = fence;
  epoch_max = fence.epoch;
  acknowledged = std::min(acknowledged, fence.end);
  appended = std::min(appended, fence.end);
}

void Promises::end_cut() {
  add_fence(*cut);
  cut.reset();
}

void Promises::begin_delete(Offset start) {
  start_max = std::max(start_max, start);
}

void Promises::end_delete(Offset start) {
  start_min = std::max(start_min, start);
  start_max = std::max(start_max, start_min);
}

void Promises::begin_reset(Fence fence) {
  resets.push_back(fence);
  epoch_max = fence.epoch;
}

void Promises::end_reset() {
  const Fence last = resets.back();
  fences.clear();
  add_fence(last);
  start_min = start_max = acknowledged = appended = last.end;
  resets.clear();
}

void Promises::remove() {
  const std::int64_t next = incarnation + 1;
  const LeaderEpoch epoch = epoch_max;
  *this = Promises{};
  incarnation = next;
  epoch_max = epoch;
}

void Promises::create(LeaderEpoch epoch) {
  add_fence({epoch, Offset{0}});
}

void Promises::recovered(LeaderEpoch epoch, Offset start, Offset end) {
  start_min = start_max = start;
  acknowledged = appended = end;
  cut.reset();
  resets.clear();
  // Of the fences that the log has passed only the last one still says something.
  const auto passed = std::find_if(fences.rbegin(), fences.rend(),
                                   [start](const Fence& fence) { return fence.end <= start; });
  if (passed != fences.rend()) fences.erase(fences.begin(), std::prev(passed.base()));
  add_fence({epoch, end});
}

// What began at or behind the new fence is gone, and the new one says so.
void Promises::add_fence(Fence fence) {
  while (!fences.empty() && fences.back().end >= fence.end) fences.pop_back();
  fences.push_back(fence);
  epoch_max = fence.epoch;
}

LeaderEpoch first_epoch_of(std::int64_t session) {
  return LeaderEpoch{static_cast<std::int32_t>(session * epochs_per_session)};
}

Result<History> read_journal(const std::string& path, std::int64_t partitions) {
  History history;
  history.logs.resize(static_cast<std::size_t>(partitions));
  std::ifstream file(path, std::ios::binary);
  if (!file) return history;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // What was before the last whole snapshot is told by the snapshot.
  std::size_t at = 0;
  const std::size_t ready = text.rfind("\nready ");
  if (ready != std::string::npos) {
    const std::size_t begins = text.rfind("\nsnapshot ", ready);
    if (begins == std::string::npos) return fail(Errc::corrupt, "{} has no snapshot", path);
    at = begins + 1;
  }
  while (at < text.size()) {
    const std::size_t line_break = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, line_break - at);
    at = line_break + 1;
    const bool whole = line.size() >= 2 && line.ends_with(" ;") && line_break < text.size();
    if (whole) TRY_VOID(apply_line(line.substr(0, line.size() - 2), history));
  }
  return history;
}

Result<Journal> Journal::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return fail(errno_error(errno, fmt::format("open {}", path)));
  Journal journal(fd);
  journal.write("\n");  // Behind a line that a kill cut short.
  return journal;
}

Journal::Journal(Journal&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

void Journal::say(std::string_view words) {
  write(fmt::format("{}{}", words, line_end));
}

void Journal::snapshot(std::int64_t session, std::span<const Promises> logs) {
  std::string text = fmt::format("snapshot {}{}", session, line_end);
  for (std::size_t i = 0; i < logs.size(); ++i) {
    text += fmt::format("{}{}", state_words(i, logs[i]), line_end);
  }
  write(text + fmt::format("ready {}{}", session, line_end));
}

void Journal::write(std::string_view text) {
  const ssize_t written = ::write(fd_, text.data(), text.size());
  CHECK_MSG(written == static_cast<ssize_t>(text.size()), "the journal cannot be written");
}

}  // namespace qlab::storage
