#include "broker/config_keys.h"
#include "broker/modules.h"

namespace qlab::broker {

namespace {

constexpr std::int64_t records_per_entry_max = controller::records_per_entry_max;
constexpr std::int64_t records_per_move_max = controller::records_per_move_max;

// `words` and the word that leaves the choice to the plane.
std::vector<std::string_view> or_plane(std::vector<std::string_view> words) {
  words.insert(words.begin(), "plane");
  return words;
}

bool set_servers(std::vector<runtime::Endpoint>& field, const std::string& text) {
  field.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string item(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    if (!set_endpoint(field.emplace_back(), item) || field.back().port == 0) return false;
  }
  return text.empty() || text.back() != ',';
}

}  // namespace

// A plane is set before what it is a preset of.
std::vector<Key> plane_keys() {
  return {
      word("plane", "raft", plane_names(),
           "Preset of the next two: raft is a quorum controller on raft, kraft one on kraft, zk a "
           "ZooKeeper-style controller over a keeper on zab.",
           [](NodeConfig& c, const std::string& text) {
             c.design = find_plane(text)->design;
             c.consensus_module = find_plane(text)->consensus_module;
           }),
      word("controller.design", "plane", or_plane(controller_designs()),
           "Who decides: the quorum that keeps the metadata log, or a broker elected through "
           "znodes.",
           [](NodeConfig& c, const std::string& text) {
             if (text != "plane") c.design = text;
           }),
      word("consensus.module", "plane", or_plane(consensus_modules()),
           "The protocol of the metadata log, or of the keeper's.",
           [](NodeConfig& c, const std::string& text) {
             if (text != "plane") c.consensus_module = text;
           }),
      {"keeper.listener", "", "host:port, or nothing",
       "With controller.design=zk: where a controller, which is a server of the keeper, takes the "
       "keeper's clients; port 0: any.",
       [](NodeConfig& c, const std::string& text) {
         return text.empty() || set_endpoint(c.keeper.listener.emplace(), text);
       }},
      {"keeper.connect", "", "host:port[,host:port...], or nothing",
       "With controller.design=zk: the keeper's servers, as a broker reaches them.",
       [](NodeConfig& c, const std::string& text) { return set_servers(c.keeper.connect, text); }},
      millis("keeper.tick.ms", {2000, 10, 60'000},
             "With controller.design=zk: the keeper's tick; a session lasts for 2 to 20 of them.",
             [](NodeConfig& c) -> Duration& { return c.keeper.tick; }),
      millis("zookeeper.session.timeout.ms", {18'000, 100, 300'000},
             "With controller.design=zk: a broker that the keeper has not heard of for so long is "
             "gone.",
             [](NodeConfig& c) -> Duration& { return c.keeper.session_timeout; }),
      number(
          "zookeeper.max.in.flight.requests", {10, 1, 1000},
          "With controller.design=zk: how many requests the controller has under way at the "
          "keeper when it reads or writes many znodes.",
          [](NodeConfig& c, std::int64_t v) { c.keeper.in_flight = static_cast<std::size_t>(v); }),
  };
}

std::vector<Key> controller_keys() {
  return {
      millis("broker.session.timeout.ms", {9000, 100, 300'000},
             "With controller.design=quorum: a broker that was not heard of for so long is fenced.",
             [](NodeConfig& c) -> Duration& { return c.controller.session_timeout; }),
      millis("controller.quorum.election.timeout.ms", {1000, 10, 600'000},
             "T: a voter that hears no leader campaigns after a time uniform in [T, 2T).",
             [](NodeConfig& c) -> Duration& { return c.consensus.election_timeout; }),
      millis(
          "controller.quorum.fetch.timeout.ms", {0, 0, 600'000},
          "kraft: without an answer to a fetch for so long a voter suspects its leader; 0: as the "
          "election timeout.",
          [](NodeConfig& c) -> Duration& { return c.consensus.fetch_timeout; }),
      millis("controller.quorum.heartbeat.interval.ms", {200, 1, 60'000},
             "Between two heartbeats of the quorum's leader; kraft: how long a fetch is parked.",
             [](NodeConfig& c) -> Duration& { return c.consensus.heartbeat_interval; }),
      millis("controller.quorum.append.linger.ms", {0, 0, 1000},
             "How long the controller's decisions wait for company in one write.",
             [](NodeConfig& c) -> Duration& { return c.append_linger; }),
      word("auto.leader.rebalance.enable", "true", {"true", "false"},
           "Elect preferred leaders when too many partitions are led by others.",
           [](NodeConfig& c, const std::string& text) {
             c.controller.auto_rebalance = text == "true";
           }),
      number("leader.imbalance.check.interval.seconds", {300, 1, 1'000'000},
             "How often that is looked at.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.rebalance_interval = std::chrono::seconds(v);
             }),
      number("leader.imbalance.per.broker.percentage", {10, 0, 100},
             "Too many are more than so many in a hundred, over all brokers.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.imbalance_percentage = static_cast<std::int32_t>(v);
             }),
      number("controller.records.per.entry", {records_per_entry_max, 1, records_per_entry_max},
             "Most records in one entry of the metadata log; fewer for tests of what a controller "
             "leaves half done.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.records_per_entry = static_cast<std::size_t>(v);
             }),
      number("controller.records.per.move", {records_per_move_max, 1, records_per_move_max},
             "Most records that are decided in one go when partitions are moved.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.records_per_move = static_cast<std::size_t>(v);
             }),
      number("metadata.log.max.record.bytes.between.snapshots",
             {20 << 20, 1000, std::int64_t{1} << 40},
             "An image of the metadata is made, and the log before it dropped, after so much more.",
             [](NodeConfig& c, std::int64_t v) {
               c.snapshot_interval_bytes = static_cast<std::uint64_t>(v);
             }),
  };
}

}  // namespace qlab::broker
