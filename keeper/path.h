#pragma once
// Names of znodes.

#include <cstdint>
#include <string_view>

namespace qlab::keeper {

// Begins with `/`, ends without one (but for the root), has no empty component, no `.` or `..`, and
// no character that ZooKeeper forbids: controls, and what lies in U+D800 to U+F8FF or beyond U+FFEF
// in the basic plane.
bool is_valid_path(std::string_view path);

// `/a` of `/a/b`, `/` of `/a`. Requires: it begins with `/`.
std::string_view parent_of(std::string_view path);
// `b` of `/a/b`.
std::string_view name_of(std::string_view path);

// ZooKeeper's own part of the tree, which nobody removes.
bool is_reserved(std::string_view path);

}  // namespace qlab::keeper
