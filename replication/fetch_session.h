#pragma once
// What one reader fetches, kept from one request to the next: requests then name only what is new
// to the reader, answers only what is new to it, and idle partitions cost neither side anything.
//
// Source: KIP-227; KIP-516 (topic ids, Fetch 13).

#include <map>
#include <vector>

#include "replication/change_feed.h"
#include "wire/kafka/fetch.h"

namespace qlab::replication {

// As the reader names it: by name before Fetch 13, by id since.
struct FetchTopic {
  std::string name;
  TopicId id;
  auto operator<=>(const FetchTopic&) const = default;
};

// Thread: the home shard.
class FetchSession {
 public:
  using Slot = ChangeFeed::Slot;
  struct Entry {
    const FetchTopic* topic = nullptr;  // nullptr: the slot is free.
    wire::FetchRequest::Partition wanted;
    Offset told_watermark{-1};  // What the reader heard last; -1: nothing, or an error.
    Offset told_log_start{-1};

    // Takes notice of what the reader is to hear; false when it is nothing new.
    bool tell(const wire::FetchResponse::Partition& answer);
  };

  // Requires: as of ChangeFeed.
  explicit FetchSession(std::vector<runtime::Runtime*> shards) : feed_(std::move(shards)) {}

  // Takes in what a request forgets, adds and changes. What it names is marked to be looked at, and
  // so is everything when the reader is another incarnation than before.
  void update(const wire::FetchRequest& request);

  Entry& at(Slot slot) { return entries_[slot]; }
  std::size_t size() const { return size_; }                         // Partitions.
  Slot slots() const { return static_cast<Slot>(entries_.size()); }  // One past the last.
  ChangeFeed& feed() { return feed_; }
  void mark_all();

 private:
  using Partitions = std::map<PartitionIndex, Slot>;
  using Topics = std::map<FetchTopic, Partitions>;

  void add(Topics::value_type& topic, const wire::FetchRequest::Partition& wanted);
  void forget(const wire::FetchRequest::ForgottenTopic& gone);

  ChangeFeed feed_;
  Topics topics_;
  std::vector<Entry> entries_;  // By slot.
  std::vector<Slot> free_;
  std::size_t size_ = 0;
  BrokerEpoch reader_epoch_{-1};
};

// Whose request it is: a broker's, or -1.
NodeId reader_of(const wire::FetchRequest& request);

}  // namespace qlab::replication
