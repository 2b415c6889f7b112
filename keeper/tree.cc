#include "keeper/tree.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace qlab::keeper {
namespace {

using wire::keeper::is_session_owner;
using wire::keeper::Stat;

std::uint32_t hash_of(Slot parent, std::string_view name) {
  std::uint64_t hash = std::hash<std::string_view>{}(name);
  hash ^= (parent + 1) * 0x9e3779b97f4a7c15;
  hash *= 0xff51afd7ed558ccd;
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace

Tree::Tree() {
  Znode& top = get(take_slot());
  top.parent = no_slot;
  set_bytes(top, {}, ByteView{});
  live_ = 1;
  const Slot own = create(root, "zookeeper", ByteView{}, 0, 0, {});
  create(own, "config", ByteView{}, 0, 0, {});
  create(own, "quota", ByteView{}, 0, 0, {});
}

Tree::~Tree() {
  CHECK(images_.empty());
}

Slot Tree::child_of(Slot parent, std::string_view name) const {
  const std::uint32_t hash = hash_of(parent, name);
  return index_.find(hash, [&](Slot slot) {
    const Znode& node = at(slot);
    return node.parent == parent && name_of(slot) == name;
  });
}

Slot Tree::find(std::string_view path) const {
  if (path.empty() || path[0] != '/') return no_slot;
  Slot slot = root;
  for (std::size_t at = 1; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    slot = child_of(slot, path.substr(at, end - at));
    if (slot == no_slot) return no_slot;
    at = end + 1;
  }
  return slot;
}

std::string_view Tree::name_of(Slot slot) const {
  const Znode& node = at(slot);
  return {reinterpret_cast<const char*>(node.bytes.get()), node.name_bytes};
}

std::string Tree::path_of(Slot slot) const {
  if (slot == root) return "/";
  std::vector<std::string_view> names;
  for (; slot != root; slot = at(slot).parent) names.push_back(name_of(slot));
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(*name);
  return path;
}

std::optional<ByteView> Tree::data_of(Slot slot) const {
  const Znode& node = at(slot);
  if (node.data_bytes < 0) return std::nullopt;
  return ByteView(node.bytes.get() + node.name_bytes, static_cast<std::size_t>(node.data_bytes));
}

// The cversion that clients see counts children that came and children that went.
Stat Tree::stat_of(Slot slot) const {
  const Znode& node = at(slot);
  Stat stat;
  stat.czxid = node.czxid;
  stat.mzxid = node.mzxid;
  stat.ctime = node.ctime;
  stat.mtime = node.mtime;
  stat.version = node.version;
  stat.num_children = static_cast<std::int32_t>(node.children);
  stat.cversion = node.cversion * 2 - stat.num_children;
  stat.aversion = node.aversion;
  stat.ephemeral_owner = node.owner;
  stat.data_length = std::max(node.data_bytes, 0);
  stat.pzxid = node.pzxid;
  return stat;
}

std::vector<std::string> Tree::children_of(Slot slot) const {
  std::vector<std::string> names;
  names.reserve(at(slot).children);
  for (Slot child = at(slot).first_child; child != no_slot; child = at(child).next) {
    names.emplace_back(name_of(child));
  }
  return names;
}

const std::set<Slot>* Tree::ephemerals_of(std::int64_t session) const {
  const auto found = ephemerals_.find(session);
  return found == ephemerals_.end() ? nullptr : &found->second;
}

Znode& Tree::change(Slot slot) {
  for (Image* image : images_) {
    if (slot < image->next_ || slot >= image->slots_ || image->before_.contains(slot)) continue;
    BytesWriter out;
    put_record(out, slot);
    image->before_.emplace(slot, out.take());
  }
  return get(slot);
}

void Tree::add_slot() {
  CHECK(slots_ < slots_max);
  if (slots_ % chunk_slots == 0) chunks_.push_back(std::make_unique<Znode[]>(chunk_slots));
  ++slots_;
}

Slot Tree::take_slot() {
  if (first_free_ == no_slot) {
    add_slot();
    return slots_ - 1;
  }
  const Slot slot = first_free_;
  first_free_ = change(slot).next;
  return slot;
}

void Tree::set_bytes(Znode& node, std::string_view name, std::optional<ByteView> data) {
  const std::size_t count = name.size() + (data ? data->size() : 0);
  auto bytes = std::make_unique_for_overwrite<std::byte[]>(count);
  std::copy_n(as_view(name).begin(), name.size(), bytes.get());
  if (data) std::copy_n(data->begin(), data->size(), bytes.get() + name.size());
  node.name_bytes = static_cast<std::uint32_t>(name.size());
  node.data_bytes = data ? static_cast<std::int32_t>(data->size()) : -1;
  node.bytes = std::move(bytes);  // Last: the name may lie in what was there.
}

// Into the index, its parent's list and the tables of its owner.
void Tree::link(Slot slot) {
  Znode& node = get(slot);
  index_.insert(hash_of(node.parent, name_of(slot)), slot);
  Znode& parent = get(node.parent);
  node.previous = no_slot;
  node.next = std::exchange(parent.first_child, slot);
  if (node.next != no_slot) get(node.next).previous = slot;
  ++parent.children;
  ++live_;
  data_bytes_ += node.name_bytes + static_cast<std::uint64_t>(std::max(node.data_bytes, 0));
  note_owner(slot, true);
}

void Tree::unlink(Slot slot) {
  note_owner(slot, false);
  Znode& node = get(slot);
  index_.erase(hash_of(node.parent, name_of(slot)), slot);
  Znode& parent = get(node.parent);
  (node.previous == no_slot ? parent.first_child : get(node.previous).next) = node.next;
  if (node.next != no_slot) get(node.next).previous = node.previous;
  --parent.children;
  --live_;
  data_bytes_ -= node.name_bytes + static_cast<std::uint64_t>(std::max(node.data_bytes, 0));
}

void Tree::note_owner(Slot slot, bool owned) {
  const std::int64_t owner = at(slot).owner;
  if (owner == 0) return;
  if (!is_session_owner(owner)) {
    owned ? static_cast<void>(temporary_.insert(slot)) : static_cast<void>(temporary_.erase(slot));
    return;
  }
  if (owned) {
    ephemerals_[owner].insert(slot);
    ++ephemeral_count_;
    return;
  }
  const auto found = ephemerals_.find(owner);
  found->second.erase(slot);
  --ephemeral_count_;
  if (found->second.empty()) ephemerals_.erase(found);
}

Slot Tree::create(Slot parent, std::string_view name, std::optional<ByteView> data,
                  std::int64_t owner, std::int32_t parent_cversion, When when) {
  CHECK(child_of(parent, name) == no_slot);
  Znode& above = change(parent);
  if (parent_cversion > above.cversion) {
    above.cversion = parent_cversion;
    above.pzxid = when.zxid;
  }
  const Slot slot = take_slot();
  Znode& node = get(slot);
  node = Znode{};
  node.czxid = node.mzxid = node.pzxid = when.zxid;
  node.ctime = node.mtime = when.time_ms;
  node.owner = owner;
  node.parent = parent;
  set_bytes(node, name, data);
  link(slot);
  return slot;
}

void Tree::remove(Slot slot, When when) {
  CHECK(slot != root);
  CHECK(at(slot).children == 0);
  Znode& above = change(at(slot).parent);
  above.pzxid = std::max(above.pzxid, when.zxid);
  Znode& node = change(slot);
  unlink(slot);
  node = Znode{};
  node.next = std::exchange(first_free_, slot);
}

void Tree::set_data(Slot slot, std::optional<ByteView> data, std::int32_t version, When when) {
  Znode& node = change(slot);
  data_bytes_ -= static_cast<std::uint64_t>(std::max(node.data_bytes, 0));
  set_bytes(node, name_of(slot), data);
  data_bytes_ += static_cast<std::uint64_t>(std::max(node.data_bytes, 0));
  node.version = version;
  node.mzxid = when.zxid;
  node.mtime = when.time_ms;
}

void Tree::set_aversion(Slot slot, std::int32_t aversion) {
  change(slot).aversion = aversion;
}

}  // namespace qlab::keeper
