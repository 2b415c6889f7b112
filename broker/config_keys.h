#pragma once
// The keys of a node's configuration, as a table: parsing, the words of an error and the help text
// are all made from it.

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config.h"

namespace qlab::broker {

struct Key {
  // False: the value is not allowed.
  using Set = std::function<bool(NodeConfig&, const std::string&)>;

  std::string_view name;
  std::optional<std::string> fallback;  // As it would stand in the file; nothing: must be given.
  std::string allowed;
  std::string_view meaning;
  Set set;
};

struct Bounds {
  std::int64_t fallback;
  std::int64_t min;
  std::int64_t max;
};
inline constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();

// A key whose value is an integer, a time in milliseconds, or one of some words.
Key number(std::string_view name, Bounds bounds, std::string_view meaning,
           std::function<void(NodeConfig&, std::int64_t)> store);
Key millis(std::string_view name, Bounds bounds, std::string_view meaning,
           std::function<Duration&(NodeConfig&)> field);
Key word(std::string_view name, std::string fallback, std::vector<std::string_view> words,
         std::string_view meaning, std::function<void(NodeConfig&, const std::string&)> store);
// Sets the field of a key whose value is host:port. False: it is not.
bool set_endpoint(runtime::Endpoint& field, const std::string& text);

// Nodes by id: `id@host:port[,id@host:port...]`, each id once. False: they are not.
bool set_nodes(std::map<NodeId, runtime::Endpoint>& field, const std::string& text);

// The tables, by subject.
std::vector<Key> storage_keys();
std::vector<Key> file_keys();
std::vector<Key> cleaning_keys();
std::vector<Key> topic_keys();
std::vector<Key> plane_keys();
std::vector<Key> replicator_keys();
std::vector<Key> controller_keys();

}  // namespace qlab::broker
