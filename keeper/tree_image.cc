// Records of slots, as they lie in an image, and a tree made of them.
//
// A record is 0 next:u32 of a free slot, else
//   1 parent:u32 name data czxid:i64 mzxid:i64 pzxid:i64 ctime:i64 mtime:i64 owner:i64
//   version:i32 cversion:i32 aversion:i32
// with name and data in jute's encoding.

#include <algorithm>

#include "common/check.h"
#include "keeper/path.h"
#include "keeper/tree.h"

namespace qlab::keeper {

void Tree::put_record(BytesWriter& out, Slot slot) const {
  const Znode& node = at(slot);
  const bool live = node.parent != free_slot;
  out.put(static_cast<std::uint8_t>(live));
  if (!live) return out.put(node.next);
  out.put(node.parent);
  wire::keeper::put_string(out, name_of(slot));
  wire::keeper::put_data(out, data_of(slot));
  for (const std::int64_t value :
       {node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime, node.owner}) {
    out.put(value);
  }
  for (const std::int32_t value : {node.version, node.cversion, node.aversion}) out.put(value);
}

Tree::Image::Image(std::shared_ptr<Tree> tree)
    : tree_(std::move(tree)), slots_(tree_->slots_), first_free_(tree_->first_free_) {
  tree_->images_.push_back(this);
}

Tree::Image::~Image() {
  std::erase(tree_->images_, this);
}

void Tree::Image::put_next(BytesWriter& out) {
  CHECK(!at_end());
  if (const auto kept = before_.extract(next_); !kept.empty()) {
    out.put_bytes(kept.mapped());
  } else {
    tree_->put_record(out, next_);
  }
  ++next_;
}

Result<std::shared_ptr<Tree>> Tree::begin_restore(Slot slots, Slot first_free) {
  if (slots == 0 || slots > slots_max) return fail(Errc::corrupt, "an image of {} slots", slots);
  if (first_free != no_slot && first_free >= slots) {
    return fail(Errc::corrupt, "free slot {} of an image of {}", first_free, slots);
  }
  std::shared_ptr<Tree> tree(new Tree(Empty{}));
  tree->first_free_ = first_free;
  tree->slots_expected_ = slots;
  return tree;
}

// Memory is taken as records come, not as the head says.
Result<void> Tree::restore_next(ByteView record) {
  const Slot slot = slots_;
  const Slot slots = slots_expected_;
  if (slot >= slots) return fail(Errc::corrupt, "an image has more slots than it says");
  add_slot();
  BytesReader in(record);
  Znode& node = get(slot);
  if (in.get<std::uint8_t>() == 0) {
    node.next = in.get<Slot>();
    if (node.next != no_slot && node.next >= slots) in.fail_with("a free slot's successor");
    return in.status();
  }
  node.parent = in.get<Slot>();
  const std::string name = wire::keeper::get_string(in);
  const wire::keeper::Data data = wire::keeper::get_data(in);
  for (std::int64_t* value :
       {&node.czxid, &node.mzxid, &node.pzxid, &node.ctime, &node.mtime, &node.owner}) {
    *value = in.get<std::int64_t>();
  }
  for (std::int32_t* value : {&node.version, &node.cversion, &node.aversion}) {
    *value = in.get<std::int32_t>();
  }
  const bool has_parent = node.parent < slots && node.parent != slot;
  if (has_parent == (slot == root)) in.fail_with("a slot's parent");
  if (name.empty() != (slot == root)) in.fail_with("a znode's name");
  if (in.left() > 0) in.fail_with("bytes behind a slot's record");
  TRY_VOID(in.status());
  set_bytes(node, name, data ? std::optional<ByteView>(*data) : std::nullopt);
  return {};
}

// Everything hangs on the root, and every other slot is free.
Result<void> Tree::finish_restore() {
  if (slots_ != slots_expected_) {
    return fail(Errc::corrupt, "{} of {} slots are in an image", slots_, slots_expected_);
  }
  live_ = 1;
  for (Slot slot = root + 1; slot < slots_; ++slot) {
    const Znode& node = at(slot);
    if (node.parent == free_slot) continue;
    if (child_of(node.parent, name_of(slot)) != no_slot) {
      return fail(Errc::corrupt, "two children {}", name_of(slot));
    }
    link(slot);
  }
  std::size_t reached = 0;
  std::vector<Slot> waiting = {root};
  while (!waiting.empty()) {
    const Slot slot = waiting.back();
    waiting.pop_back();
    ++reached;
    if (at(slot).parent == free_slot) return fail(Errc::corrupt, "slot {} is free", slot);
    for (Slot child = at(slot).first_child; child != no_slot; child = at(child).next) {
      waiting.push_back(child);
    }
  }
  std::size_t free = 0;
  for (Slot slot = first_free_; slot != no_slot; slot = at(slot).next) {
    if (at(slot).parent != free_slot || ++free > slots_) {
      return fail(Errc::corrupt, "the list of free slots meets slot {}", slot);
    }
  }
  if (reached != live_ || reached + free != slots_) {
    return fail(Errc::corrupt, "{} of {} znodes hang on the root, and {} of {} slots are free",
                reached, live_, free, slots_);
  }
  return {};
}

}  // namespace qlab::keeper
