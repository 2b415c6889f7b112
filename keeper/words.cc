#include "keeper/words.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace qlab::keeper {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 8> words = {"ruok", "srvr", "stat", "mntr",
                                                   "cons", "wchs", "conf", "isro"};
constexpr std::string_view not_serving =
    "This ZooKeeper instance is not currently serving requests\n";
constexpr std::string_view version = "qlab-keeper 0.1.0, by the protocol of ZooKeeper 3.8";

std::uint64_t received(const Figures& figures) {
  std::uint64_t sum = 0;
  for (const ClientFigures& client : figures.clients) sum += client.received;
  return sum;
}
std::uint64_t sent(const Figures& figures) {
  std::uint64_t sum = 0;
  for (const ClientFigures& client : figures.clients) sum += client.sent;
  return sum;
}

std::string clients(const Figures& figures) {
  std::string text;
  for (const ClientFigures& client : figures.clients) {
    text +=
        fmt::format(" /{}[1](queued={},recved={},sent={},sid=0x{:x},to={})\n", client.remote,
                    client.queued, client.received, client.sent, client.session, client.timeout_ms);
  }
  return text;
}

std::string server(const Figures& figures) {
  return fmt::format(
      "Latency min/avg/max: {:.1f}/{:.4f}/{:.1f}\nReceived: {}\nSent: {}\nConnections: {}\n"
      "Outstanding: {}\nZxid: 0x{:x}\nMode: {}\nNode count: {}\n",
      figures.latencies.min, figures.latencies.average(), figures.latencies.max, received(figures),
      sent(figures), figures.clients.size(), figures.outstanding, figures.zxid, figures.mode,
      figures.znodes);
}

std::string monitor(const Figures& figures) {
  std::string text;
  const auto line = [&](std::string_view name, const auto& value) {
    text += fmt::format("zk_{}\t{}\n", name, value);
  };
  line("version", version);
  line("server_state", figures.mode);
  line("avg_latency", figures.latencies.average());
  line("max_latency", figures.latencies.max);
  line("min_latency", figures.latencies.min);
  line("packets_received", received(figures));
  line("packets_sent", sent(figures));
  line("num_alive_connections", figures.clients.size());
  line("outstanding_requests", figures.outstanding);
  line("znode_count", figures.znodes);
  line("watch_count", figures.watches);
  line("ephemerals_count", figures.ephemerals);
  line("approximate_data_size", figures.data_bytes);
  line("global_sessions", figures.sessions);
  line("malformed_messages", figures.garbage);
  return text;
}

std::string configuration(const Figures& figures) {
  const auto ms = [](Duration d) { return duration_cast<milliseconds>(d).count(); };
  const Options& options = figures.options;
  return fmt::format(
      "client={}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n"
      "serverId={}\njute.maxbuffer={}\nsync={}\n",
      figures.client_endpoint, ms(options.tick), options.connections_max, ms(options.session_min()),
      ms(options.session_max()), options.id, options.znode_bytes_max,
      options.quorum_sync ? "quorum" : "zk");
}

}  // namespace

void Latencies::add(double ms) {
  min = count == 0 ? ms : std::min(min, ms);
  max = std::max(max, ms);
  sum += ms;
  ++count;
}

bool is_word(std::string_view four_letters) {
  return std::find(words.begin(), words.end(), four_letters) != words.end();
}

std::string answer_word(std::string_view word, const Figures& figures) {
  if (word == "ruok") return "imok";
  if (word == "conf") return configuration(figures);
  if (word == "isro") return figures.mode.empty() ? "null" : "rw";
  if (figures.mode.empty()) return std::string(not_serving);
  if (word == "cons") return clients(figures) + "\n";
  if (word == "mntr") return monitor(figures);
  if (word == "wchs") {
    return fmt::format("{} connections watching {} paths\nTotal watches:{}\n", figures.watchers,
                       figures.watched_paths, figures.watches);
  }
  const std::string head = fmt::format("Zookeeper version: {}\n", version);
  if (word == "stat") return head + "Clients:\n" + clients(figures) + "\n" + server(figures);
  return head + server(figures);
}

}  // namespace qlab::keeper
