#pragma once
// The znodes of a keeper, compactly: one fixed record and one allocation (name and data) per znode.
//
// Records lie in slots that are numbered and reused, the last one freed first, so that equal
// histories give equal slots: an image is the slots in their order. Children are found by one hash
// table over (parent's slot, name), and counted and listed by links through their records.
//
// Thread: one. Nothing here decides whether a change is right (keeper/primary.h does).

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "keeper/slot_index.h"
#include "wire/keeper/messages.h"

namespace qlab::keeper {

// When a change happened.
struct When {
  std::int64_t zxid = 0;
  std::int64_t time_ms = 0;  // Milliseconds since 1970, by the leader's clock.
};

struct Znode {
  std::int64_t czxid = 0;
  std::int64_t mzxid = 0;
  std::int64_t pzxid = 0;
  std::int64_t ctime = 0;
  std::int64_t mtime = 0;
  std::int64_t owner = 0;              // ephemeralOwner: wire/keeper/codes.h.
  std::unique_ptr<std::byte[]> bytes;  // The name, then the data.
  Slot parent = free_slot;             // The root's is no_slot.
  Slot next = no_slot;                 // Sibling; of a free slot, the one freed before it.
  Slot previous = no_slot;
  Slot first_child = no_slot;
  std::uint32_t children = 0;
  std::int32_t version = 0;
  std::int32_t cversion = 0;  // Children ever created; what a sequential name ends with.
  std::int32_t aversion = 0;
  std::uint32_t name_bytes = 0;
  std::int32_t data_bytes = -1;  // -1: no data, which is not the same as empty.
};

class Tree {
 public:
  static constexpr Slot root = 0;

  // With the root and ZooKeeper's reserved znodes.
  Tree();
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Slot find(std::string_view path) const;                   // no_slot: there is none.
  Slot child_of(Slot parent, std::string_view name) const;  // Likewise.
  const Znode& at(Slot slot) const { return chunks_[slot / chunk_slots][slot % chunk_slots]; }
  std::string_view name_of(Slot slot) const;
  std::string path_of(Slot slot) const;
  std::optional<ByteView> data_of(Slot slot) const;
  wire::keeper::Stat stat_of(Slot slot) const;
  std::vector<std::string> children_of(Slot slot) const;
  std::size_t size() const { return live_; }
  std::uint64_t data_bytes() const { return data_bytes_; }  // Names and data.

  // By session; null: it owns none.
  const std::set<Slot>* ephemerals_of(std::int64_t session) const;
  std::size_t ephemerals() const { return ephemeral_count_; }
  // Containers and znodes with a time to live.
  const std::set<Slot>& temporary() const { return temporary_; }

  // Requires: `parent` is live and has no child of that name. The parent's cversion never goes
  // back, so that a change that is applied again does no harm.
  Slot create(Slot parent, std::string_view name, std::optional<ByteView> data, std::int64_t owner,
              std::int32_t parent_cversion, When when);
  // Requires: live, without children, not the root.
  void remove(Slot slot, When when);
  void set_data(Slot slot, std::optional<ByteView> data, std::int32_t version, When when);
  void set_aversion(Slot slot, std::int32_t aversion);

  // The slots as they were when it was made, one record at a time; the tree may change meanwhile.
  // Cost: what changes before it was read is kept a second time.
  class Image {
   public:
    explicit Image(std::shared_ptr<Tree> tree);
    ~Image();
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;
    Slot slots() const { return slots_; }
    Slot first_free() const { return first_free_; }
    bool at_end() const { return next_ == slots_; }
    void put_next(BytesWriter& out);  // Requires: not at_end().

   private:
    friend class Tree;
    const std::shared_ptr<Tree> tree_;
    const Slot slots_;
    const Slot first_free_;
    Slot next_ = 0;
    std::unordered_map<Slot, Bytes> before_;  // Of slots in [next_, slots_) that changed since.
  };

  // An empty tree that an image's records are put into, in order, before finish_restore().
  // Errors: corrupt, when they are no tree.
  static Result<std::shared_ptr<Tree>> begin_restore(Slot slots, Slot first_free);
  Result<void> restore_next(ByteView record);
  Result<void> finish_restore();

 private:
  struct Empty {};
  explicit Tree(Empty) {}

  static constexpr std::size_t chunk_slots = 4096;
  static constexpr Slot slots_max = 1u << 31;

  Znode& get(Slot slot) { return chunks_[slot / chunk_slots][slot % chunk_slots]; }
  Znode& change(Slot slot);  // As get(), after images have kept what it was.
  Slot take_slot();
  void add_slot();
  void link(Slot slot);
  void unlink(Slot slot);
  void note_owner(Slot slot, bool owned);
  void put_record(BytesWriter& out, Slot slot) const;
  static void set_bytes(Znode& node, std::string_view name, std::optional<ByteView> data);

  std::vector<std::unique_ptr<Znode[]>> chunks_;
  Slot slots_ = 0;  // Live and free ones.
  Slot first_free_ = no_slot;
  std::size_t live_ = 0;
  std::uint64_t data_bytes_ = 0;
  SlotIndex index_;
  std::map<std::int64_t, std::set<Slot>> ephemerals_;  // By session; none is empty.
  std::size_t ephemeral_count_ = 0;
  std::set<Slot> temporary_;
  std::vector<Image*> images_;
  Slot slots_expected_ = 0;  // While it is restored.
};

}  // namespace qlab::keeper
