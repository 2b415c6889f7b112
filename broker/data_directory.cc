#include "broker/data_directory.h"

namespace qlab::broker {
namespace {

constexpr std::string_view file_name = "meta.properties";
constexpr std::string_view version = "1";  // Kafka's, of a directory in KRaft mode.

Result<DirectoryId> format(runtime::Disk& disk, const DataOwner& owner, std::string_view name,
                           Prng& random) {
  TRY(const auto entries, disk.list(""));
  for (const std::string& entry : entries) {
    // What a process leaves that died while formatting.
    if (entry == ".lock" || entry == "lost+found" || entry.starts_with(file_name)) continue;
    return fail(Errc::invalid, "{} has {} but no {}; allowed: an empty directory, or a node's own",
                name, entry, file_name);
  }
  const std::uint64_t high = random.next();
  const DirectoryId id = Uuid::from_random(high, random.next());
  std::string text = fmt::format("version={}\ncluster.id={}\nnode.id={}\ndirectory.id={}\n",
                                 version, owner.cluster_id, owner.node, id.to_string());
  for (const auto& [key, value] : owner.fixed) text += fmt::format("{}={}\n", key, value);
  TRY_VOID(disk.write_file_atomically(file_name, as_view(text)));
  return id;
}

std::map<std::string, std::string, std::less<>> parse(std::string_view text) {
  std::map<std::string, std::string, std::less<>> values;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || equals == std::string_view::npos) continue;
    values.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return values;
}

}  // namespace

Result<DirectoryId> open_data_directory(runtime::Disk& disk, const DataOwner& owner,
                                        std::string_view name, Prng& random) {
  const auto bytes = disk.read_file(file_name);
  if (!bytes && bytes.error().code == Errc::not_found) return format(disk, owner, name, random);
  if (!bytes) return fail(bytes.error());

  const auto values = parse(as_text(*bytes));
  const auto expect = [&](std::string_view key, std::string_view wanted) -> Result<void> {
    const auto at = values.find(key);
    if (at == values.end()) {
      return fail(Errc::corrupt, "{}/{} does not say {}", name, file_name, key);
    }
    if (at->second == wanted) return {};
    return fail(Errc::invalid, "{} belongs to {}={}; allowed here: {}={}", name, key, at->second,
                key, wanted);
  };
  TRY_VOID(expect("version", version));
  TRY_VOID(expect("cluster.id", owner.cluster_id));
  TRY_VOID(expect("node.id", std::to_string(owner.node.value())));
  for (const auto& [key, value] : owner.fixed) TRY_VOID(expect(key, value));
  const auto id = values.find("directory.id");
  if (id == values.end()) {
    return fail(Errc::corrupt, "{}/{} does not say directory.id", name, file_name);
  }
  return Uuid::parse(id->second);
}

}  // namespace qlab::broker
