#include "runtime/simulated/files.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::runtime {
namespace {

void overwrite(Bytes& content, std::uint64_t position, ByteView bytes) {
  if (content.size() < position + bytes.size()) content.resize(position + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(position));
}

// How many pages hold this many bytes; also the number of the first page that lies behind them.
std::uint64_t pages_up_to(std::uint64_t bytes) {
  return (bytes + Inode::page_bytes - 1) / Inode::page_bytes;
}

bool is_below(std::string_view path, std::string_view directory) {
  return directory.empty() || (path.size() > directory.size() && path.starts_with(directory) &&
                               path[directory.size()] == '/');
}

}  // namespace

Result<std::string> normal_path(std::string_view path) {
  if (path.starts_with('/')) return fail(Errc::invalid, "path '{}' is absolute", path);
  std::string normal;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part == "." || part == "..") return fail(Errc::invalid, "a path must not have . or ..");
    if (part.empty()) continue;
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash));
}

Inode::ChangeId Inode::begin_write(std::uint64_t position, ByteView bytes) {
  overwrite(cached_, position, bytes);
  changes_.push_back({++last_, position, Bytes(bytes.begin(), bytes.end()), false, false});
  return last_;
}

Inode::ChangeId Inode::begin_direct_write(std::uint64_t position, ByteView bytes) {
  lost_pages_.erase(lost_pages_.lower_bound(position / page_bytes),
                    lost_pages_.lower_bound(pages_up_to(position + bytes.size())));
  return begin_write(position, bytes);
}

Inode::ChangeId Inode::begin_truncate(std::uint64_t size) {
  cached_.resize(size);
  lost_pages_.erase(lost_pages_.lower_bound(pages_up_to(size)), lost_pages_.end());
  changes_.push_back({++last_, size, {}, true, false});
  return last_;
}

void Inode::end(ChangeId change) {
  for (Change& c : changes_) {
    if (c.id == change) c.ended = true;
  }
}

void Inode::end_truncate(ChangeId change) {
  const auto at = std::find_if(changes_.begin(), changes_.end(),
                               [&](const Change& c) { return c.id == change; });
  if (at == changes_.end()) return;
  const Change truncation = *at;
  apply(truncation);
  // What was written before it, beyond the new size, must not come back.
  for (auto c = changes_.begin(); c != at; ++c) {
    const std::uint64_t kept =
        c->position >= truncation.position ? 0 : truncation.position - c->position;
    if (!c->truncates && c->bytes.size() > kept) c->bytes.resize(kept);
  }
  changes_.erase(at);
}

std::vector<Inode::ChangeId> Inode::begin_sync() const {
  std::vector<ChangeId> ended;
  for (const Change& c : changes_) {
    if (c.ended) ended.push_back(c.id);
  }
  return ended;
}

void Inode::end_sync(const std::vector<ChangeId>& changes) {
  std::vector<Change> left;
  for (Change& c : changes_) {
    if (!std::binary_search(changes.begin(), changes.end(), c.id)) {
      left.push_back(std::move(c));
      continue;
    }
    apply(c);
    if (!c.truncates) forget(left, c.position, c.position + c.bytes.size());
  }
  changes_ = std::move(left);
}

void Inode::forget(std::vector<Change>& earlier, std::uint64_t from, std::uint64_t to) {
  std::vector<Change> kept;
  for (Change& c : earlier) {
    const std::uint64_t end = c.position + c.bytes.size();
    if (c.truncates || end <= from || c.position >= to) {
      kept.push_back(std::move(c));
      continue;
    }
    const auto keep = [&](std::uint64_t first, std::uint64_t last) {
      if (first >= last) return;
      const ByteView bytes = ByteView(c.bytes).subspan(first - c.position, last - first);
      kept.push_back({c.id, first, Bytes(bytes.begin(), bytes.end()), false, c.ended});
    };
    keep(c.position, from);
    keep(to, end);
  }
  earlier = std::move(kept);
}

void Inode::fail_sync(const std::vector<ChangeId>& changes, Prng& random) {
  const bool loses_pages = random.chance(0.5);
  const std::uint64_t first_new = pages_up_to(durable_.size());
  std::erase_if(changes_, [&](const Change& c) {
    if (!std::binary_search(changes.begin(), changes.end(), c.id)) return false;
    const std::uint64_t first = std::max(first_new, c.position / page_bytes);
    const std::uint64_t end = pages_up_to(c.position + c.bytes.size());
    const bool is_lost = loses_pages && !c.truncates && !c.bytes.empty();
    for (std::uint64_t page = first; is_lost && page < end; ++page) lost_pages_.insert(page);
    // A truncation has no pages that could be lost.
    if (c.truncates) {
      apply(c);
    } else {
      apply_sectors(c, random);
    }
    return true;
  });
}

void Inode::forget_cached() {
  lost_pages_.clear();
  const std::size_t size = cached_.size();
  cached_ = durable_;
  for (const Change& c : changes_) {
    if (c.truncates) {
      cached_.resize(c.position);
    } else if (!c.bytes.empty()) {
      overwrite(cached_, c.position, c.bytes);
    }
  }
  cached_.resize(size);
}

void Inode::replace(ByteView bytes) {
  changes_.clear();
  lost_pages_.clear();
  cached_.assign(bytes.begin(), bytes.end());
  durable_ = cached_;
}

void Inode::lose_unsynced(Prng& random) {
  std::uint64_t size = durable_.size();
  for (const Change& c : changes_) {
    // What a truncation took all bytes of does not make the file longer either.
    if (!c.bytes.empty()) size = std::max(size, c.position + c.bytes.size());
  }
  const auto survival = static_cast<Survival>(random.below(5));
  std::size_t whole = survival == Survival::all ? changes_.size() : 0;
  const bool prefix = survival == Survival::prefix && !changes_.empty();
  if (prefix) whole = random.below(changes_.size());
  for (std::size_t i = 0; i < whole; ++i) apply(changes_[i]);
  if (prefix) apply_torn(changes_[whole], random);
  if (survival == Survival::sectors || survival == Survival::sectors_and_size) {
    for (const Change& c : changes_) apply_sectors(c, random);
  }
  // The size got to the disk, and some of the data did not: zeros.
  if (survival == Survival::sectors_and_size && durable_.size() < size) durable_.resize(size);
  changes_.clear();
  lost_pages_.clear();
  cached_ = durable_;
}

void Inode::end_all() {
  for (Change& c : changes_) c.ended = true;
}

void Inode::apply(const Change& change) {
  if (change.truncates) {
    durable_.resize(change.position);
  } else if (!change.bytes.empty()) {
    reach_disk(change.position, change.bytes);
  }
}

void Inode::reach_disk(std::uint64_t position, ByteView bytes) {
  if (durable_.size() < position + bytes.size()) durable_.resize(position + bytes.size());
  while (!bytes.empty()) {
    const ByteView here =
        bytes.first(std::min<std::size_t>(bytes.size(), page_bytes - position % page_bytes));
    if (!lost_pages_.contains(position / page_bytes)) overwrite(durable_, position, here);
    position += here.size();
    bytes = bytes.subspan(here.size());
  }
}

void Inode::apply_sectors(const Change& change, Prng& random) {
  if (change.truncates) {
    if (random.chance(0.5)) apply(change);
    return;
  }
  const ByteView bytes = change.bytes;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t position = change.position + at;
    const std::size_t count =
        std::min<std::size_t>(bytes.size() - at, sector_bytes - position % sector_bytes);
    if (random.chance(0.5)) reach_disk(position, bytes.subspan(at, count));
    at += count;
  }
}

void Inode::apply_torn(const Change& change, Prng& random) {
  if (change.truncates) return;
  const std::uint64_t end = change.position + random.below(change.bytes.size() + 1);
  const std::uint64_t torn = end - end % sector_bytes;
  if (torn <= change.position) return;
  reach_disk(change.position, ByteView(change.bytes).first(torn - change.position));
}

SimulatedFiles::InodeRef SimulatedFiles::find(const std::string& path) const {
  const auto found = seen_.files.find(path);
  return found == seen_.files.end() ? nullptr : found->second;
}

SimulatedFiles::InodeRef SimulatedFiles::create(const std::string& path) {
  CHECK(!seen_.files.contains(path));
  CHECK(is_directory(parent_of(path)));
  auto inode = std::make_shared<Inode>();
  change({.directory = parent_of(path),
          .unlinked = {},
          .linked = {{path, inode}},
          .directories_gone = {},
          .directories_come = {}});
  return inode;
}

void SimulatedFiles::make_directories(const std::string& path) {
  for (std::string at = path; !at.empty(); at = parent_of(at)) {
    seen_.directories.insert(at);
    durable_.directories.insert(at);
    new_.erase(at);
    for (NameChange& c : changes_) std::erase(c.directories_gone, at);
  }
}

void SimulatedFiles::make_directory(const std::string& path) {
  if (is_directory(path)) return;
  CHECK(is_directory(parent_of(path)));
  seen_.directories.insert(path);
  new_.insert(path);
  for (NameChange& c : changes_) std::erase(c.directories_gone, path);
}

void SimulatedFiles::lose_directory(const std::string& path) {
  std::erase_if(durable_.files, [&](const auto& file) { return is_below(file.first, path); });
  std::erase_if(durable_.directories,
                [&](const std::string& name) { return name == path || is_below(name, path); });
}

Result<void> SimulatedFiles::rename(const std::string& from, const std::string& to) {
  if (is_directory(to)) return fail(Errc::exists, "'{}' is a directory", to);
  if (!is_directory(parent_of(to))) return fail(Errc::not_found, "no directory for '{}'", to);
  NameChange moved{.directory = parent_of(to),
                   .unlinked = {},
                   .linked = {},
                   .directories_gone = {},
                   .directories_come = {}};
  if (const InodeRef inode = find(from)) {
    if (from == to) return {};
    moved.unlinked.emplace_back(from, inode);
    moved.linked.emplace_back(to, inode);
    change(std::move(moved));
    return {};
  }
  if (from.empty() || !is_directory(from)) return fail(Errc::not_found, "no file '{}'", from);
  if (is_below(to, from)) return fail(Errc::invalid, "'{}' is below '{}'", to, from);
  for (const auto& [path, inode] : seen_.files) {
    if (!is_below(path, from)) continue;
    moved.unlinked.emplace_back(path, inode);
    moved.linked.emplace_back(to + path.substr(from.size()), inode);
  }
  for (const std::string& path : seen_.directories) {
    if (path != from && !is_below(path, from)) continue;
    moved.directories_gone.push_back(path);
    moved.directories_come.push_back(to + path.substr(from.size()));
  }
  for (const std::string& path : moved.directories_gone) new_.erase(path);
  change(std::move(moved));
  return {};
}

void SimulatedFiles::remove(const std::string& path) {
  const InodeRef inode = find(path);
  if (!inode) return;
  change({.directory = parent_of(path),
          .unlinked = {{path, inode}},
          .linked = {},
          .directories_gone = {},
          .directories_come = {}});
}

void SimulatedFiles::remove_all(const std::string& directory) {
  NameChange gone{.directory = parent_of(directory),
                  .unlinked = {},
                  .linked = {},
                  .directories_gone = {},
                  .directories_come = {}};
  for (const auto& [path, inode] : seen_.files) {
    if (is_below(path, directory)) gone.unlinked.emplace_back(path, inode);
  }
  for (const std::string& path : seen_.directories) {
    if (path == directory || is_below(path, directory)) gone.directories_gone.push_back(path);
  }
  if (gone.unlinked.empty() && gone.directories_gone.empty()) return;
  for (const std::string& path : gone.directories_gone) new_.erase(path);
  change(std::move(gone));
}

void SimulatedFiles::sync_directory(const std::string& directory) {
  std::erase_if(new_, [&](const std::string& name) {
    if (parent_of(name) != directory) return false;
    durable_.directories.insert(name);
    return true;
  });
  std::vector<NameChange> left;
  for (NameChange& c : changes_) {
    if (c.directory != directory) {
      left.push_back(std::move(c));
      continue;
    }
    durable_.apply(c);
    // A name that is durably gone does not come with a later sync of the directory it was made in.
    for (NameChange& earlier : left) {
      std::erase_if(earlier.linked,
                    [&](const auto& name) { return std::ranges::count(c.unlinked, name) > 0; });
    }
  }
  changes_ = std::move(left);
}

SimulatedFiles::SyncAll SimulatedFiles::begin_sync_all() {
  for (const std::string& name : new_) durable_.directories.insert(name);
  new_.clear();
  for (const NameChange& c : changes_) durable_.apply(c);
  changes_.clear();
  SyncAll sync;
  for (const auto& [path, inode] : seen_.files)
    sync.inodes.emplace_back(inode, inode->begin_sync());
  return sync;
}

void SimulatedFiles::replace(const std::string& path, ByteView bytes) {
  auto inode = std::make_shared<Inode>();
  inode->replace(bytes);
  sync_directory(parent_of(path));
  seen_.files[path] = inode;
  durable_.files[path] = inode;
}

std::vector<std::string> SimulatedFiles::list(const std::string& directory) const {
  std::set<std::string> names;
  const std::size_t skip = directory.empty() ? 0 : directory.size() + 1;
  const auto add = [&](const std::string& path) {
    if (is_below(path, directory) && path.find('/', skip) == std::string::npos) {
      names.insert(path.substr(skip));
    }
  };
  for (const auto& [path, inode] : seen_.files) add(path);
  for (const std::string& path : seen_.directories) add(path);
  return {names.begin(), names.end()};
}

std::optional<Bytes> SimulatedFiles::durable(const std::string& path) const {
  const auto found = durable_.files.find(path);
  if (found == durable_.files.end()) return std::nullopt;
  return found->second->durable();
}

void SimulatedFiles::crash(bool lose, Prng& random) {
  if (!lose) {
    for (const auto& [path, inode] : seen_.files) inode->end_all();
    return;
  }
  const bool ordered = random.chance(0.5);  // As a journal keeps it, or as POSIX allows it.
  std::size_t kept = ordered ? random.below(changes_.size() + 1) : 0;
  for (const NameChange& c : changes_) {
    const bool survives = ordered ? kept > 0 : random.chance(0.5);
    if (kept > 0) --kept;
    if (survives && durable_.has_all(c.unlinked)) durable_.apply(c);
  }
  changes_.clear();
  for (const std::string& name : new_) {
    const bool survives = random.chance(0.5);
    if (survives) durable_.directories.insert(name);
    if (!survives) lose_directory(name);
  }
  new_.clear();
  for (const auto& [path, inode] : durable_.files) {
    for (std::string at = parent_of(path); !at.empty(); at = parent_of(at)) {
      durable_.directories.insert(at);
    }
  }
  seen_ = durable_;
  for (const auto& [path, inode] : seen_.files) inode->lose_unsynced(random);
}

void SimulatedFiles::change(NameChange change) {
  seen_.apply(change);
  changes_.push_back(std::move(change));
}

bool SimulatedFiles::Names::has_all(
    const std::vector<std::pair<std::string, InodeRef>>& names) const {
  return std::all_of(names.begin(), names.end(), [&](const auto& name) {
    const auto found = files.find(name.first);
    return found != files.end() && found->second == name.second;
  });
}

void SimulatedFiles::Names::apply(const NameChange& change) {
  // By inode: a name that stands for another file by now stays.
  for (const auto& [path, inode] : change.unlinked) {
    const auto found = files.find(path);
    if (found != files.end() && found->second == inode) files.erase(found);
  }
  for (const std::string& path : change.directories_come) directories.insert(path);
  for (const auto& [path, inode] : change.linked) {
    files[path] = inode;
    for (std::string at = parent_of(path); !at.empty(); at = parent_of(at)) directories.insert(at);
  }
  for (const std::string& path : change.directories_gone) {
    const auto next = files.lower_bound(path + '/');
    if (next == files.end() || !is_below(next->first, path)) directories.erase(path);
  }
}

}  // namespace qlab::runtime
