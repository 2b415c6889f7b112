#include "storage/crash/examination.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "common/record_batch.h"
#include "runtime/aligned_buffer.h"
#include "runtime/disk.h"

namespace qlab::storage {
namespace {

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::size_t data_end_step = 1u << 20;

// Which epochs may stand at the offsets of a batch. Nothing: all is well.
std::optional<std::string> misplaced(const BatchHeader& header, const Promises& promises) {
  if (header.leader_epoch > promises.epoch_max) {
    return fmt::format("leader epoch {} has not begun", header.leader_epoch);
  }
  for (const Fence& fence : promises.fences) {
    if (header.leader_epoch < fence.epoch && header.next_offset() > fence.end) {
      return fmt::format(
          "the log was cut at offset {} before leader epoch {}, and this one of "
          "epoch {} came back",
          fence.end, fence.epoch, header.leader_epoch);
    }
    if (header.leader_epoch >= fence.epoch && header.base_offset < fence.end) {
      return fmt::format("leader epoch {} began at offset {}", fence.epoch, fence.end);
    }
  }
  return {};
}

Result<BatchHeader> compare_batch(ByteView bytes, const LogIdentity& identity,
                                  const Promises& promises, Offset expected) {
  const auto header = check_batch(bytes);
  if (!header) {
    return fail(Errc::corrupt, "what is served at offset {} is no batch: {}", expected,
                header.error().message());
  }
  if (header->base_offset != expected) {
    return fail(Errc::corrupt, "a batch with base offset {} is served where {} is expected",
                header->base_offset, expected);
  }
  if (const auto why = misplaced(*header, promises)) {
    return fail(Errc::corrupt, "the batch at offset {}: {}", expected, *why);
  }
  const Bytes written = batch_of(identity, header->leader_epoch, header->base_offset);
  const ByteView served = bytes.first(header->total_bytes());
  if (!std::equal(served.begin(), served.end(), written.begin(), written.end())) {
    return fail(Errc::corrupt, "the batch at offset {} was never written", expected);
  }
  return *header;
}

// One past the last byte that is not zero. Read past the page cache, where the file system can:
// after a failed sync the cache shows what the disk never saw, and it is not for the examiner to
// make it forget.
std::optional<std::uint64_t> data_end(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (fd < 0 && errno == EINVAL) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  runtime::AlignedBuffer buffer(data_end_step);
  const std::span<std::byte> bytes = buffer.bytes();
  std::uint64_t at = 0;
  std::uint64_t end = 0;
  ssize_t got = 1;
  while (got > 0) {
    got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    const std::size_t count = got > 0 ? static_cast<std::size_t>(got) : 0;
    for (std::size_t i = count; i > 0; --i) {
      if (bytes[i - 1] == std::byte{0}) continue;
      end = at + i;
      break;
    }
    at += count;
    if (count % runtime::direct_alignment != 0)
      got = 0;  // The end; a read from here is misaligned.
  }
  ::close(fd);
  if (got < 0) return {};
  return end;
}

}  // namespace

bool is_refusal(const Error& error) {
  return error.code == Errc::io || error.code == Errc::no_space;
}

std::optional<std::vector<FileEnd>> data_ends(const std::string& directory) {
  std::vector<FileEnd> ends;
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  for (const std::filesystem::directory_iterator none; !error && at != none; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.ends_with(".log")) continue;
    FileEnd file;
    std::from_chars(name.data(), name.data() + name.size(), file.base);
    const auto end = data_end(at->path());
    if (!end) return {};
    file.end = *end;
    ends.push_back(file);
  }
  if (error && error != std::errc::no_such_file_or_directory) return {};
  return ends;
}

Task<Result<void>> read_and_compare(Log& log, LogIdentity identity, const Promises& promises,
                                    Offset from, Offset to, std::vector<Offset>* bases) {
  bool first = true;
  while (from < to) {
    CO_TRY(const ReadResult read, co_await log.read(from, to, read_bytes));
    ByteView rest = read.batches;
    if (rest.empty()) {
      co_return fail(Errc::corrupt, "nothing is served at offset {}, and {} is promised", from, to);
    }
    while (!rest.empty()) {
      if (first) {
        CO_TRY(const BatchHeader header, decode_batch_header(rest));
        const bool holds = header.base_offset <= from && header.next_offset() > from;
        if (!holds) {
          co_return fail(Errc::corrupt, "a read of offset {} gives [{}, {})", from,
                         header.base_offset, header.next_offset());
        }
        from = header.base_offset;
        first = false;
      }
      CO_TRY(const BatchHeader header, compare_batch(rest, identity, promises, from));
      if (bases != nullptr) bases->push_back(from);
      from = header.next_offset();
      rest = rest.subspan(header.total_bytes());
    }
    if (read.next != from) {
      co_return fail(Errc::corrupt, "a read says it ends at offset {}, and ends at {}", read.next,
                     from);
    }
  }
  co_return Result<void>{};
}

Task<Result<std::unique_ptr<Log>>> Examination::open_log(LogIdentity identity,
                                                         LogOptions log_options) {
  LogName name{identity.partition_name(), identity.topic()};
  co_return co_await layout_.open(std::move(name), log_options);
}

Task<LogVerdict> Examination::open(LogIdentity identity, Promises promises, LogOptions log_options,
                                   std::unique_ptr<Log>& log) {
  const std::string directory = options_.directory + "/" + identity.partition_name();
  const auto before = data_ends(directory);
  LogVerdict verdict;
  auto opened = co_await open_log(identity, log_options);
  if (!opened) {
    const std::string words = fmt::format("does not open: {}", opened.error().message());
    if (is_refusal(opened.error())) {
      verdict.stopped = words;
    } else {
      verdict.violations.push_back(words);
    }
    co_return verdict;
  }
  log = std::move(*opened);
  verdict.start = log->start();
  verdict.end = log->end();
  verdict.dropped = log->recovery().dropped;
  verdict.bytes_truncated = log->recovery().bytes_truncated;
  compare_bounds(*log, promises, verdict);
  // What a change under way left behind, or a log of the past, need not be named.
  const bool ours = !promises.fences.empty() && !promises.is_being_changed();
  const auto after = data_ends(directory);
  if (ours && before && after) compare_files(*before, *after, verdict);
  const auto read =
      co_await read_and_compare(*log, identity, promises, log->start(), log->end(), &verdict.bases);
  if (!read && is_refusal(read.error())) verdict.stopped = read.error().message();
  if (!read && !is_refusal(read.error())) verdict.violations.push_back(read.error().message());
  co_return verdict;
}

void Examination::compare_bounds(const Log& log, const Promises& promises,
                                 LogVerdict& verdict) const {
  for (const Fence& reset : promises.resets) {
    if (log.start() == reset.end) return;  // It was done, and nothing was said since.
  }
  if (log.start() < promises.start_min || log.start() > promises.start_max) {
    verdict.violations.push_back(fmt::format("starts at offset {}, and [{}, {}] was promised",
                                             log.start(), promises.start_min, promises.start_max));
  }
  const Offset promised = options_.process_only ? promises.appended : promises.acknowledged;
  if (log.end() < promised) {
    verdict.violations.push_back(fmt::format("ends at offset {}, and {} was {}", log.end(),
                                             promised,
                                             options_.process_only ? "appended" : "acknowledged"));
  }
  if (log.durable_end() != log.end()) {
    verdict.violations.push_back(
        fmt::format("is durable to offset {} of {} once recovered", log.durable_end(), log.end()));
  }
}

void Examination::compare_files(const std::vector<FileEnd>& before,
                                const std::vector<FileEnd>& after, LogVerdict& verdict) const {
  for (const FileEnd& file : before) {
    if (file.base < verdict.start.value()) continue;  // Deleted as it was to be.
    const auto left = std::find_if(after.begin(), after.end(),
                                   [&](const FileEnd& each) { return each.base == file.base; });
    const std::uint64_t end = left == after.end() ? 0 : left->end;
    if (file.end > end) verdict.bytes_vanished += file.end - end;
  }
  if (verdict.bytes_vanished > 0 && !verdict.dropped) {
    verdict.violations.push_back(
        fmt::format("{} bytes vanished from data files without a word", verdict.bytes_vanished));
  }
}

Task<void> Examination::open_again(LogIdentity identity, LogOptions log_options,
                                   std::unique_ptr<Log>& log, LogVerdict& verdict) {
  auto opened = co_await open_log(identity, log_options);
  if (!opened) {
    const std::string words = "does not open again: " + opened.error().message();
    if (is_refusal(opened.error())) {
      verdict.stopped = words;
    } else {
      verdict.violations.push_back(words);
    }
    co_return;
  }
  log = std::move(*opened);
  const RecoveryReport& report = log->recovery();
  if (report.dropped || report.bytes_truncated > 0) {
    verdict.violations.push_back("a second recovery still drops: " + report.dropped.value_or(""));
  }
  if (log->start() != verdict.start || log->end() != verdict.end) {
    verdict.violations.push_back(fmt::format("is [{}, {}) when opened again, and was [{}, {})",
                                             log->start(), log->end(), verdict.start, verdict.end));
  }
}

}  // namespace qlab::storage
