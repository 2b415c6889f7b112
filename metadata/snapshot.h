#pragma once
// An image as bytes: written and read piece by piece, in memory that does not grow with it.
//
// It is a series of entries (entry.h), each with its length (uint32) before it, that make the image
// of the empty one; a length of 0 ends it. The same image gives the same bytes, wherever it was
// made and however it came to be.
//
// Source: KIP-630, whose snapshots are records too.

#include <memory>

#include "metadata/image.h"

namespace qlab::metadata {

// Requires: `image` does not change, as no image does; it is kept until the end.
class SnapshotWriter {
 public:
  explicit SnapshotWriter(ImagePtr image);
  // About `bytes_max` more; empty at the end.
  Bytes next(std::size_t bytes_max);

 private:
  void put(const Records& records);
  void put_brokers();
  bool put_topics();  // Some of them; false when there is none left.

  enum class Part : std::uint8_t { brokers, topics, forming, end, done };

  ImagePtr image_;
  PersistentMap<std::string, TopicPtr>::Cursor topics_;
  std::map<TopicId, TopicPtr>::const_iterator forming_;
  TopicPtr topic_;             // Being written, and
  std::size_t partition_ = 0;  // which of its partitions comes next.
  Part part_ = Part::brokers;
  BytesWriter out_;
};

class SnapshotReader {
 public:
  // Errors: corrupt, unsupported. Requires: none came before.
  Result<void> add(ByteView piece);
  // The image, with all that it holds as its delta. Errors: corrupt, when the end is missing.
  Result<Image> finish(LogIndex at, Delta& delta);

 private:
  Bytes left_;  // Of an entry of which the rest is to come.
  Image image_;
  Delta delta_;
  bool ended_ = false;
};

}  // namespace qlab::metadata
