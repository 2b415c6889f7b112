#include "replication/change_feed.h"

#include <boost/asio/post.hpp>

#include "common/check.h"

namespace qlab::replication {

// Outlives the feed for as long as a change is on its way.
struct ChangeFeed::Marks {
  explicit Marks(runtime::Runtime& home) : changed(home) {}

  void mark(Slot slot) {
    if (slot >= is_marked.size()) is_marked.resize(slot + 1);
    if (is_marked[slot]) return;
    is_marked[slot] = true;
    queue.push_back(slot);
    changed.notify_all();
  }

  std::vector<bool> is_marked;  // By slot: it is in the queue.
  std::deque<Slot> queue;
  bool is_woken = false;
  runtime::Event changed;
};

ChangeFeed::ChangeFeed(std::vector<runtime::Runtime*> shards)
    : shards_(std::move(shards)),
      marks_(std::make_shared<Marks>(*shards_.at(0))),
      parts_(shards_.size()) {}

ChangeFeed::~ChangeFeed() {
  for (std::size_t shard = 1; shard < parts_.size(); ++shard) {
    if (parts_[shard] == nullptr) continue;
    // What listens on a shard is touched there only, and ends there.
    boost::asio::post(shards_[shard]->executor(), [part = std::move(parts_[shard])] {});
  }
}

void ChangeFeed::mark(Slot slot) {
  marks_->mark(slot);
}

void ChangeFeed::mark_first(Slot slot) {
  if (marks_->is_marked.at(slot)) return;
  marks_->is_marked[slot] = true;
  marks_->queue.push_front(slot);
}

bool ChangeFeed::is_empty() const {
  return marks_->queue.empty();
}

std::optional<ChangeFeed::Slot> ChangeFeed::next() {
  if (marks_->queue.empty()) return std::nullopt;
  const Slot slot = marks_->queue.front();
  marks_->queue.pop_front();
  marks_->is_marked[slot] = false;
  return slot;
}

Task<void> ChangeFeed::wait_until(Time due) {
  if (marks_->queue.empty() && !marks_->is_woken) co_await marks_->changed.wait_until(due);
  marks_->is_woken = false;
}

void ChangeFeed::wake() {
  marks_->is_woken = true;
  marks_->changed.notify_all();
}

ChangeFeed::Part& ChangeFeed::part(Slot slot, std::size_t shard) {
  CHECK(shard < parts_.size());
  if (slot >= shard_of_.size()) shard_of_.resize(slot + 1);
  if (shard_of_[slot] != shard) forget(slot);
  shard_of_[slot] = shard;
  if (parts_[shard] == nullptr) {
    parts_[shard] = std::make_shared<Part>(*shards_[0], *shards_[shard], marks_);
  }
  return *parts_[shard];
}

void ChangeFeed::forget(Slot slot) {
  if (slot >= shard_of_.size() || !shard_of_[slot]) return;
  const std::size_t shard = *std::exchange(shard_of_[slot], std::nullopt);
  if (shard == 0) return parts_[0]->forget(slot);
  boost::asio::post(shards_[shard]->executor(), [part = std::weak_ptr<Part>(parts_[shard]), slot] {
    if (const auto alive = part.lock()) alive->forget(slot);
  });
}

ChangeFeed::Part::Part(runtime::Runtime& home, runtime::Runtime& shard, std::weak_ptr<Marks> marks)
    : home_(home), shard_(shard), marks_(std::move(marks)) {}

void ChangeFeed::Part::look(Slot slot, Replicator& replica) {
  Ear& ear = ears_.try_emplace(slot, *this, slot).first->second;
  ear.is_told = false;
  replica.changed().tell(ear);
}

void ChangeFeed::Part::Ear::on_change() {
  if (!std::exchange(is_told, true)) part.tell(slot);
}

void ChangeFeed::Part::tell(Slot slot) {
  if (&home_ == &shard_) {
    if (const auto marks = marks_.lock()) marks->mark(slot);
    return;
  }
  told_.push_back(slot);
  if (told_.size() > 1) return;  // The flush is on its way.
  boost::asio::post(shard_.executor(), [part = weak_from_this()] {
    if (const auto alive = part.lock()) alive->flush();
  });
}

void ChangeFeed::Part::flush() {
  boost::asio::post(home_.executor(), [marks = marks_, slots = std::exchange(told_, {})] {
    const auto alive = marks.lock();
    if (alive == nullptr) return;
    for (const Slot slot : slots) alive->mark(slot);
  });
}

}  // namespace qlab::replication
