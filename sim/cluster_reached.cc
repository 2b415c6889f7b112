#include "sim/cluster_reached.h"

#include <string_view>
#include <vector>

#include <fmt/ranges.h>

namespace qlab::sim {
namespace {

struct Named {
  std::string_view name;
  std::uint64_t ClusterReached::*count;
};

constexpr Named all[] = {
    {"topics_grown", &ClusterReached::topics_grown},
    {"moves_begun", &ClusterReached::moves_begun},
    {"moves_completed", &ClusterReached::moves_completed},
    {"moves_cancelled", &ClusterReached::moves_cancelled},
    {"elections", &ClusterReached::elections},
    {"configs_changed", &ClusterReached::configs_changed},
    {"creations_inherited", &ClusterReached::creations_inherited},
    {"fencings_inherited", &ClusterReached::fencings_inherited},
    {"moves_inherited", &ClusterReached::moves_inherited},
    {"batches_resent", &ClusterReached::batches_resent},
    {"session_fetches", &ClusterReached::session_fetches},
};

}  // namespace

ClusterReached& ClusterReached::operator+=(const ClusterReached& other) {
  for (const Named& one : all) this->*one.count += other.*one.count;
  return *this;
}

std::string ClusterReached::words() const {
  std::vector<std::string> words;
  for (const Named& one : all) words.push_back(fmt::format("{} {}", one.name, this->*one.count));
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string ClusterReached::to_json() const {
  std::vector<std::string> words;
  for (const Named& one : all) {
    words.push_back(fmt::format("\"{}\":{}", one.name, this->*one.count));
  }
  return fmt::format("{}", fmt::join(words, ","));
}

}  // namespace qlab::sim
