#pragma once
// The parts of a group's frames on the disk (group_log.h) and of its messages (outbox.h).

#include "common/bytes.h"
#include "consensus/types.h"
#include "replication/groups/group_id.h"

namespace qlab::replication {

// Reading never fails by itself: ask the reader.
void put_group(BytesWriter& out, const GroupId& group);
GroupId get_group(BytesReader& in);

void put_hard_state(BytesWriter& out, const consensus::HardState& state);
consensus::HardState get_hard_state(BytesReader& in);

// All of an entry but its body, which follows.
void put_entry_head(BytesWriter& out, const consensus::Entry& entry);
consensus::Entry get_entry(BytesReader& in);

// The body of an entry of data is what a log takes as a follower: whole batches, with offsets and
// leader epoch. Or it says that all records below an offset are deleted: -1:i64 before:i64.
Bytes encode_delete(Offset before);
// Of batches: the offset of the first record. Nothing: the entry has none.
std::optional<Offset> first_offset_of(const consensus::Entry& entry);
// Nothing: the entry deletes nothing.
std::optional<Offset> deleted_before(const consensus::Entry& entry);

}  // namespace qlab::replication
