#pragma once
// Whose data a directory holds: Kafka's meta.properties, with the directory's own id (KIP-853).

#include <map>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/prng.h"
#include "common/result.h"
#include "runtime/disk.h"

namespace qlab::broker {

struct DataOwner {
  NodeId node;
  std::string cluster_id;
  // Settings that say what the files mean, by key: others would not understand them.
  std::map<std::string, std::string> fixed = {};
};

// Returns the id of the disk's root directory. An empty one is formatted for `owner`.
// `name` is what error messages call the directory.
//
// Durability: a directory that was formatted stays so.
// Errors: invalid, when it belongs to another node or cluster or was formatted with other fixed
// settings, when it has no meta.properties but is not empty, or is of another version; corrupt; io.
Result<DirectoryId> open_data_directory(runtime::Disk& disk, const DataOwner& owner,
                                        std::string_view name, Prng& random);

}  // namespace qlab::broker
