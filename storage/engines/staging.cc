#include "storage/engines/staging.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::uint64_t block = Staging::block_bytes;

std::uint64_t round_down(std::uint64_t position) {
  return position - position % block;
}
std::uint64_t round_up(std::uint64_t position) {
  return round_down(position + block - 1);
}

}  // namespace

Result<StagingPool::Buffer> StagingPool::take(bool large) {
  if (taken_bytes_ >= pressed_bytes && !holders_.empty()) {
    holders_.splice(holders_.end(), holders_, holders_.begin());
    holders_.back()->write_out();
  }
  auto& kept = large ? large_ : small_;
  const std::size_t bytes = large ? large_bytes : small_bytes;
  std::unique_ptr<runtime::IoBuffer> buffer;
  if (kept.empty()) {
    TRY(buffer, disk_.make_buffer(bytes));
  } else {
    buffer = std::move(kept.back());
    kept.pop_back();
    kept_bytes_ -= bytes;
  }
  taken_bytes_ += bytes;
  // Whoever uses it last gives it back, even when the engine has gone.
  return Buffer(buffer.release(), [pool = shared_from_this()](runtime::IoBuffer* used) {
    pool->give_back(std::unique_ptr<runtime::IoBuffer>(used));
  });
}

void StagingPool::give_back(std::unique_ptr<runtime::IoBuffer> buffer) {
  const std::size_t bytes = buffer->bytes().size();
  taken_bytes_ -= bytes;
  if (kept_bytes_ + bytes > kept_bytes_max) return;
  kept_bytes_ += bytes;
  (bytes == large_bytes ? large_ : small_).push_back(std::move(buffer));
}

ByteView Run::blocks() {
  const auto bytes = static_cast<std::size_t>(end - first);
  const auto whole = static_cast<std::size_t>(round_up(bytes));
  std::memset(data + bytes, 0, whole - bytes);
  return {data, whole};
}

void Staging::begin(std::uint64_t end, ByteView tail) {
  CHECK(tail.size() == end % block);
  CHECK(in_flight_ == 0);
  runs_.clear();
  buffer_.reset();
  end_ = end;
  tail_.assign(tail.begin(), tail.end());
}

Result<void> Staging::append(ByteView bytes) {
  while (!bytes.empty()) {
    if (runs_.empty() || runs_.back()->state != Run::State::filling) {
      TRY_VOID(open_run(bytes.size()));
    }
    Run& run = *runs_.back();
    const auto filled = static_cast<std::size_t>(run.end - run.first);
    const std::size_t count = std::min(bytes.size(), run.room - filled);
    std::memcpy(run.data + filled, bytes.data(), count);
    run.end += count;
    end_ += count;
    bytes = bytes.subspan(count);
    if (filled + count == run.room) close_run(run);
  }
  return {};
}

// Begins a run at end_, in front of `bytes` that are to be appended.
Result<void> Staging::open_run(std::size_t bytes) {
  const std::size_t left = buffer_ ? buffer_->bytes().size() - used_ : 0;
  // Who appends much at once gets one write for it.
  const bool too_small = bytes > left && bytes >= StagingPool::small_bytes;
  if (left < block || too_small) {
    const bool busy = std::max<std::uint64_t>(bytes, last_sent_) > StagingPool::small_bytes / 4;
    TRY(auto buffer, pool_->take(busy));
    buffer_ = std::move(buffer);
    used_ = 0;
  }
  auto run = std::make_shared<Run>();
  run->memory = buffer_;
  run->data = buffer_->bytes().data() + used_;
  run->room = buffer_->bytes().size() - used_;
  run->first = round_down(end_);
  run->from = run->end = end_;
  const auto tail = static_cast<std::size_t>(end_ - run->first);
  if (runs_.empty()) {
    std::copy(tail_.begin(), tail_.end(), run->data);
  } else {
    const Run& last = *runs_.back();
    std::memcpy(run->data, last.data + (run->first - last.first), tail);
  }
  runs_.push_back(std::move(run));
  return {};
}

void Staging::close_run(Run& run) {
  if (run.state == Run::State::filling) run.state = Run::State::closed;
  used_ = static_cast<std::size_t>(run.data - buffer_->bytes().data()) +
          static_cast<std::size_t>(round_up(run.end - run.first));
}

Staging::RunPtr Staging::next_due(std::uint64_t wanted) {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (!is_due(*runs_[i], wanted)) continue;
    if (first_block_is_busy(i)) {
      // That block waits its turn, and what is behind it goes when it is worth a write.
      if (runs_[i]->end - runs_[i]->first >= block + gathered_bytes_min) split(i);
      continue;
    }
    Run& run = *runs_[i];
    if (run.state == Run::State::filling) close_run(run);
    run.state = Run::State::sent;
    last_sent_ = run.end - run.from;
    in_flight_ += 1;
    return runs_[i];
  }
  return nullptr;
}

bool Staging::has_full() const {
  const std::size_t count = runs_.size();
  const auto is_closed = [](const RunPtr& run) { return run->state == Run::State::closed; };
  return (count > 0 && is_closed(runs_.back())) || (count > 1 && is_closed(runs_[count - 2]));
}

bool Staging::is_due(const Run& run, std::uint64_t wanted) const {
  if (run.state == Run::State::closed) return true;
  if (run.state != Run::State::filling || wanted <= run.from) return false;
  return in_flight_ == 0 || run.end - run.from >= gathered_bytes_min;
}

bool Staging::first_block_is_busy(std::size_t index) const {
  const Run& run = *runs_[index];
  return index > 0 && run.first < run.from && runs_[index - 1]->state != Run::State::landed;
}

void Staging::split(std::size_t index) {
  Run& head = *runs_[index];
  auto rest = std::make_shared<Run>(head);
  rest->data += block;
  rest->room -= block;
  rest->first = rest->from = head.first + block;
  head.room = block;
  head.end = rest->first;
  head.state = Run::State::closed;
  runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(rest));
}

void Staging::land(Run& run) {
  CHECK(run.state == Run::State::sent);
  run.state = Run::State::landed;
  in_flight_ -= 1;
  drop_landed();
}

void Staging::take_back(Run& run) {
  CHECK(run.state == Run::State::sent);
  run.state = Run::State::closed;
  in_flight_ -= 1;
}

void Staging::drop_landed() {
  while (!runs_.empty() && runs_.front()->state == Run::State::landed) {
    const RunPtr run = std::move(runs_.front());
    runs_.pop_front();
    if (!runs_.empty()) continue;
    const std::byte* const behind = run->data + (run->end - run->first);
    tail_.assign(behind - end_ % block, behind);
    buffer_.reset();
  }
}

bool Staging::truncate(std::uint64_t end) {
  CHECK(end <= end_);
  CHECK(in_flight_ == 0);
  bool tail_known = end % block == 0;
  if (runs_.empty() && round_down(end) == round_down(end_)) tail_known = true;
  if (runs_.empty() && tail_known) tail_.resize(static_cast<std::size_t>(end % block));
  while (!runs_.empty() && runs_.back()->from >= end) {
    const RunPtr run = std::move(runs_.back());
    runs_.pop_back();
    if (!runs_.empty() || run->first >= end) continue;
    tail_.assign(run->data, run->data + (end - run->first));
    tail_known = true;
  }
  end_ = end;
  if (runs_.empty()) {
    buffer_.reset();
    return tail_known;
  }
  Run& last = *runs_.back();
  last.end = end;
  buffer_ = last.memory;  // Of what was appended after it, nothing is left.
  close_run(last);
  return true;
}

void Staging::read(std::uint64_t position, std::span<std::byte> into) const {
  for (const RunPtr& run : runs_) {
    if (into.empty()) return;
    if (position >= run->end) continue;
    CHECK(position >= run->from);
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), run->end - position));
    std::memcpy(into.data(), run->data + (position - run->first), count);
    position += count;
    into = into.subspan(count);
  }
  CHECK(into.empty());
}

}  // namespace qlab::storage
