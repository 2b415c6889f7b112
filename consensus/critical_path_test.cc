// What a commit costs, counted: the table of docs/consensus.md, held against the driver over the
// simulated runtime.
#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

constexpr Duration hop = milliseconds(1);
constexpr Duration sync_time = milliseconds(100);
constexpr std::size_t value_bytes = 1024;

// In the order of the table's columns. The first four are per commit; the last two are the hops and
// the syncs that a commit waits for, one after the other.
constexpr std::array names{"from the leader", "to the leader", "bytes",
                           "syncs",           "hops waited",   "syncs waited"};
using Row = std::array<double, names.size()>;

// Delays that are all the same, and no message but those that commits need.
GroupOptions steady(const NamedModule& module) {
  GroupOptions options = group_of(module);
  options.tuning.election_timeout = hours(1);
  options.tuning.heartbeat_interval = std::chrono::minutes(10);
  options.world.network = {hop, hop};
  options.world.disk_read = options.world.disk_write = {};
  options.world.disk_sync = {sync_time, sync_time};
  options.world.trace_lines_max = 0;
  return options;
}

class Counted {
 public:
  explicit Counted(const NamedModule& module) : group_(1, counting(steady(module))) {
    BOOST_REQUIRE(group_.eventually([this] { return group_.leader() != nullptr; }, hours(20)));
    leader_ = group_.leader_id();
    for (const NodeId id : group_.ids()) {
      group_.world.node(id).disk().set_fault_hook([this](const runtime::DiskAccess& access) {
        syncs_ += access.operation == runtime::DiskOperation::sync ? 1 : 0;
        return runtime::DiskFault{};
      });
    }
  }
  ~Counted() {
    for (const NodeId id : group_.ids()) group_.world.node(id).disk().set_fault_hook({});
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  // Keeps `window` proposals under way until `commits` more are committed, and then waits until
  // nothing is on its way.
  Row run(int window, int commits) {
    const std::array before{out_, in_, bytes_, syncs_};
    const Time begun = group_.world.now();
    Duration waited{};
    const std::size_t end = group_.fates.size() + static_cast<std::size_t>(commits);
    while (group_.fates.size() < end) {
      const std::size_t width = std::min(static_cast<std::size_t>(window), end - proposed_);
      while (proposed_ - group_.fates.size() < width) propose();
      const std::size_t known = group_.fates.size();
      BOOST_REQUIRE(group_.eventually([&] { return group_.fates.size() > known; }));
      if (window > 1) continue;
      waited += group_.world.now() - std::exchange(last_, Time{});
      group_.world.run_for(10 * sync_time);
    }
    group_.world.run_for(10 * sync_time);
    BOOST_REQUIRE(group_.world.now() - begun < std::chrono::minutes(10));
    BOOST_REQUIRE(group_.count(Fate::committed) == group_.fates.size());
    const auto per_commit = [commits](std::size_t now, std::size_t then) {
      return static_cast<double>(now - then) / commits;
    };
    const std::size_t waited_each = ticks(waited) / static_cast<std::size_t>(commits);
    const std::size_t rest = waited_each % ticks(sync_time);
    return {per_commit(out_, before[0]),
            per_commit(in_, before[1]),
            per_commit(bytes_, before[2]),
            per_commit(syncs_, before[3]),
            as_number(rest) / as_number(ticks(hop)),
            as_number(waited_each / ticks(sync_time))};
  }

 private:
  static double as_number(std::size_t value) { return static_cast<double>(value); }
  static std::size_t ticks(Duration duration) {
    return static_cast<std::size_t>(duration / microseconds(1));
  }
  GroupOptions counting(GroupOptions options) {
    options.on_message = [this](NodeId from, NodeId to, runtime::LinkEpoch, ByteView bytes) {
      out_ += from == leader_ ? 1 : 0;
      in_ += to == leader_ ? 1 : 0;
      bytes_ += bytes.size();
    };
    return options;
  }
  void propose() {
    std::string body = fmt::format("{:0{}}", ++proposed_, value_bytes);
    last_ = group_.world.now();
    group_.node(leader_)->propose(std::move(body), std::nullopt, group_.fates);
  }

  NodeId leader_ = no_node;
  std::size_t out_ = 0;
  std::size_t in_ = 0;
  std::size_t bytes_ = 0;
  std::size_t syncs_ = 0;
  std::size_t proposed_ = 0;
  Time last_;  // When the last was proposed.
  ContractGroup group_;
};

// The cells behind `| module | window |`.
std::optional<Row> row_of(std::string_view module, int window) {
  std::ifstream page("docs/consensus.md");
  const std::string start = fmt::format("| `{}` | {} |", module, window);
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with(start)) continue;
    std::istringstream cells(line.substr(start.size()));
    Row row{};
    for (double& cell : row) {
      std::string bar;
      if (!(cells >> cell >> bar) || bar != "|") return std::nullopt;
    }
    return row;
  }
  return std::nullopt;
}

void check_row(const NamedModule& module, int window, const Row& counted, double tolerance) {
  std::string words = fmt::format("| `{}` | {} |", module.name, window);
  for (const double cell : counted) words += fmt::format(" {:.6g} |", std::round(cell * 100) / 100);
  const auto written = row_of(module.name, window);
  BOOST_REQUIRE_MESSAGE(written.has_value(), "docs/consensus.md lacks " << words);
  for (std::size_t i = 0; i < counted.size(); ++i) {
    const double off = std::abs(counted[i] - (*written)[i]);
    BOOST_TEST(off <= std::max(0.0051, tolerance * counted[i]),
               names[i] << " is not as docs/consensus.md says; counted: " << words);
  }
}

BOOST_AUTO_TEST_SUITE(consensus_critical_path)

BOOST_DATA_TEST_CASE(one_proposal_at_a_time_costs_what_the_table_says, all_modules()) {
  Counted group(sample);
  group.run(1, 20);
  check_row(sample, 1, group.run(1, 100), 0);
}

// How many commits share a message and a sync depends on the delays; these are ours.
BOOST_DATA_TEST_CASE(a_window_of_64_costs_what_the_table_says, all_modules()) {
  Counted group(sample);
  group.run(64, 640);
  Row row = group.run(64, 1280);
  row[4] = row[5] = 0;  // Not counted.
  check_row(sample, 64, row, 0.1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
