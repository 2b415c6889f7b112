#pragma once
// A node as ZAB's model sees it: what it leads, or whom it follows, beside what its disk has.

#include <set>

#include "consensus/model/replica.h"
#include "zab/messages.h"

namespace qlab::zab::model {

using consensus::Config;
using consensus::Entry;
using consensus::LogId;
using consensus::RequestId;
using consensus::model::Log;
using consensus::model::Replica;

// A learner as its leader knows it.
struct Learner {
  SessionNumber session = 0;
  std::uint32_t link = 0;
  Epoch accepted;
  std::optional<AckEpoch> ack;      // ACK-E.
  LogId sent;                       // The end of what it has when it has taken all we sent.
  std::uint64_t image_sent = 0;     // Of the image that is on its way.
  std::optional<LogId> new_leader;  // What NEWLEADER asked it to acknowledge.
  bool is_synced = false;           // ACK-LD.
  LogIndex acked;
  std::uint64_t round = 0;  // The last ping that it answered.
};

struct Leadership {
  struct Read {
    LogIndex committed;   // When it came.
    std::uint64_t round;  // Of the last ping by then.
  };
  Epoch epoch;          // e', from its proposal on.
  Epoch history_epoch;  // currentEpoch when we were elected.
  LogId history;        // The initial history ends here.
  bool is_in_epoch = false;
  bool is_established = false;
  std::map<NodeId, Learner> learners;
  std::map<RequestId, Read> reads;
  std::uint64_t round = 0;
};

// What a learner has with its leader.
struct Session {
  NodeId leader;
  SessionNumber number = 0;
  std::optional<std::uint32_t> link;  // From LEADERINFO on.
  Epoch epoch;
  bool is_acknowledged = false;  // ACK-LD was sent.
  bool is_up_to_date = false;
  LogIndex told;             // What we heard is committed.
  std::uint64_t stored = 0;  // Of the image under way.
};

struct Node : Replica {
  // Looking, unless one of the two is there.
  std::optional<Leadership> lead;
  std::optional<Session> session;
  bool is_active = false;
  Config in_force;                          // As it says, and so is
  std::optional<NodeId> known;              // who leads.
  std::set<std::pair<NodeId, Vote>> votes;  // Heard since it began to look.
  std::pair<std::uint64_t, Vote> voted;     // Told since then; with its round.
  std::map<NodeId, std::pair<std::uint32_t, FollowerInfo>> infos;  // The last heard, and where.
  std::map<LogId, Config> heard_configs;
  std::map<RequestId, std::pair<LogId, LogId>> proposed;
};

}  // namespace qlab::zab::model
