#pragma once
// Which consensus group is meant: one per partition.

#include <compare>

#include "common/ids.h"

namespace qlab::replication {

struct GroupId {
  TopicId topic;
  PartitionIndex partition;
  auto operator<=>(const GroupId&) const = default;
};

}  // namespace qlab::replication
