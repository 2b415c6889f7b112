#pragma once
// ZooKeeper's four-letter words: a client that sends one instead of a handshake gets a text and the
// end of the connection.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keeper/options.h"

namespace qlab::keeper {

// Of requests that were answered, in milliseconds.
struct Latencies {
  double min = 0;
  double max = 0;
  double sum = 0;
  std::uint64_t count = 0;
  void add(double ms);
  double average() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
};

struct ClientFigures {
  std::string remote;
  std::int64_t session = 0;
  std::int32_t timeout_ms = 0;
  std::size_t queued = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
};

// What the words tell.
struct Figures {
  Options options;
  std::string client_endpoint;
  std::string mode;  // leader, follower, observer; empty: nobody leads, and nobody is served.
  std::int64_t zxid = 0;
  Latencies latencies;
  std::vector<ClientFigures> clients;
  std::size_t outstanding = 0;
  std::size_t znodes = 0;
  std::size_t ephemerals = 0;
  std::uint64_t data_bytes = 0;
  std::size_t sessions = 0;
  std::size_t watches = 0;
  std::size_t watchers = 0;
  std::size_t watched_paths = 0;
  std::uint64_t garbage = 0;  // Messages and frames that did not decode.
};

bool is_word(std::string_view four_letters);
// Requires: is_word().
std::string answer_word(std::string_view word, const Figures& figures);

}  // namespace qlab::keeper
