#pragma once
// What every step of a KRaft group must keep, by action and source.

#include "consensus/model/model.h"

namespace qlab::raft::kraft::model {

using consensus::model::Rule;

// Epochs, votes and leaders: hard_state.cc.
inline constexpr Rule recovers{"Restart", "KIP-595 Quorum State",
                               "the disk holds a prefix of the writes asked for"};
inline constexpr Rule epoch_grows{"QuorumState", "KIP-595 Quorum State",
                                  "an epoch never goes back"};
inline constexpr Rule epoch_heard{"QuorumState", "KIP-595 Quorum State",
                                  "a new epoch is a message's, our candidacy's, or follows the one "
                                  "that we resigned"};
inline constexpr Rule epoch_adopted{"QuorumState", "KIP-595 Quorum State",
                                    "whoever hears of a later epoch takes it"};
inline constexpr Rule epoch_durable{"QuorumState", "KIP-595 Quorum State",
                                    "an epoch is durable before anybody hears of it"};
inline constexpr Rule one_vote{"Vote", "KIP-595 Vote", "one vote in an epoch"};
inline constexpr Rule vote_asked{"Vote", "KIP-595 Vote, KIP-853 Vote",
                                 "a vote is for the replica that asks this replica for it"};
inline constexpr Rule vote_up_to_date{"Vote", "KIP-595 Vote",
                                      "a vote is for a log at least as up to date"};
inline constexpr Rule vote_unled{"Vote", "KIP-595 Vote",
                                 "no vote in an epoch whose leader is known"};
inline constexpr Rule vote_durable{"Vote", "KIP-595 Quorum State",
                                   "a vote is durable before it is given"};
inline constexpr Rule candidate_next{"Candidate", "KIP-595 Vote",
                                     "who is no leader campaigns in the next epoch"};
inline constexpr Rule candidate_voter{"Candidate", "KIP-853 Vote",
                                      "who campaigns is a voter, or was until a change that is not "
                                      "committed"};
inline constexpr Rule candidate_asks{"Candidate", "KIP-595 Vote",
                                     "a candidate tells its epoch, its log and whose vote it asks"};
inline constexpr Rule candidate_durable{"Candidate", "KIP-595 Quorum State",
                                        "a candidate has voted for itself, durably, when it asks"};
inline constexpr Rule pre_vote_asks{"PreVote", "KIP-996",
                                    "a prospective asks in its own epoch, with its own log"};
inline constexpr Rule pre_vote_won{"PreVote", "KIP-996",
                                   "who asks first has a quorum of yes before its candidacy"};
inline constexpr Rule pre_vote_up_to_date{"PreVote", "KIP-996",
                                          "yes is said to a log at least as up to date"};
inline constexpr Rule pre_vote_unled{"PreVote", "KIP-996",
                                     "who leads, or fetches from its leader, says no"};
inline constexpr Rule leader_elected{"Leader", "KIP-595 Vote",
                                     "a quorum gave its votes in this epoch"};
inline constexpr Rule one_leader{"Leader", "KIP-595 Vote", "one leader in an epoch"};
inline constexpr Rule leader_known{"Follower", "KIP-595 BeginQuorumEpoch",
                                   "a leader is who leads the epoch, and was named"};
inline constexpr Rule leader_named{"Response", "KIP-595 Vote",
                                   "a response names who leads its epoch, or nobody"};
inline constexpr Rule resigned_is_over{"Resigned", "KIP-595 EndQuorumEpoch, Quorum State",
                                       "who resigned, or restarted as leader, leads that epoch no "
                                       "more"};
inline constexpr Rule quorum_checked{"Leader", "KIP-595 Fetch, KAFKA-15489",
                                     "a leader that no quorum fetches from resigns, after 1.5 "
                                     "fetch timeouts"};

// The log and what is committed: log.cc.
inline constexpr Rule log_follows{"Append", "KIP-595 Fetch", "entries follow the log"};
inline constexpr Rule own_epoch{"Append", "KIP-595 Fetch",
                                "a leader appends entries of its own epoch"};
inline constexpr Rule leader_change{"LeaderChange", "KIP-595 LeaderChangeMessage",
                                    "a leader begins with a leader change, and has no second"};
inline constexpr Rule fetched{"Append", "KIP-595 Fetch",
                              "a follower appends what its leader answered to its last fetch"};
inline constexpr Rule cut_where_diverging{"Truncate", "KIP-595 Fetch, DivergingEpoch",
                                          "a follower cuts at the end of the diverging epoch, the "
                                          "smaller of the leader's and its own"};
inline constexpr Rule committed_stays{"Truncate", "KIP-595 Fetch",
                                      "what is below the high watermark is never cut"};
inline constexpr Rule watermark_grows{"HighWatermark", "KIP-595 Fetch",
                                      "a high watermark lies ahead"};
inline constexpr Rule watermark_quorum{"HighWatermark", "KIP-595 Fetch",
                                       "a quorum of voters has fetched beyond it, or flushed it"};
inline constexpr Rule watermark_epoch{"HighWatermark", "KIP-595 Fetch; Raft 5.4.2",
                                      "it is counted from the leader's epoch on"};
inline constexpr Rule watermark_told{"HighWatermark", "KIP-595 Fetch",
                                     "a follower's is the leader's, or the end of its log"};
inline constexpr Rule one_history{"HighWatermark", "Raft figure 3", "one entry at an index"};
inline constexpr Rule active_leader{"Activate", "KIP-595 LeaderChangeMessage; KAFKA-15345, 17333",
                                    "active is who leads and has committed its leader change"};
inline constexpr Rule answered{"Append", "KIP-595 Fetch",
                               "a client is answered once it is committed"};
inline constexpr Rule read_fresh{"Read", "Raft dissertation 6.4",
                                 "a read has what was committed when it came"};

// Voters: log.cc.
inline constexpr Rule one_change{"Voters", "KIP-853 AddVoter, RemoveVoter",
                                 "no change while another is not committed"};
inline constexpr Rule change_in_epoch{"Voters", "KIP-853 AddVoter, RemoveVoter",
                                      "no change before the leader change is committed"};
inline constexpr Rule one_voter{"Voters", "KIP-853 AddVoter, RemoveVoter",
                                "one voter more or less, with its directory"};
inline constexpr Rule joiner_caught_up{"Voters", "KIP-853 AddVoter",
                                       "who joins has fetched to the end of the log"};
inline constexpr Rule voters_in_force{"Voters", "KIP-853 Voter Set",
                                      "the last voters in the log count, and are told"};

// Messages: sent.cc.
inline constexpr Rule message_epoch{"Send", "KIP-595", "a message has its sender's epoch"};
inline constexpr Rule who_leads{"Leader", "KIP-595", "only a leader says what leaders say"};
inline constexpr Rule leadership_durable{"Leader", "KIP-595 Quorum State",
                                         "a leadership is durable before it is told or used"};
inline constexpr Rule begin_to_voter{"BeginQuorumEpoch", "KIP-595, KIP-853 BeginQuorumEpoch",
                                     "a leader tells voters, by their directory"};
inline constexpr Rule end_by_resigned{
    "EndQuorumEpoch", "KIP-595 EndQuorumEpoch",
    "who resigned ends its epoch, and names voters as successors"};
inline constexpr Rule fetch_end{"Fetch", "KIP-595 Fetch",
                                "a fetch tells the end of the log, its epoch and high watermark"};
inline constexpr Rule fetch_durable{"Fetch", "KIP-595 Fetch, KAFKA-17332",
                                    "the log is durable before the next fetch acknowledges it"};
inline constexpr Rule answers_fetch{"FetchResponse", "KIP-595 Fetch",
                                    "a response is to the last fetch of that replica"};
inline constexpr Rule response_log{"FetchResponse", "KIP-595 Fetch",
                                   "entries are the leader's, from where its log and the asker's "
                                   "agree"};
inline constexpr Rule response_watermark{"FetchResponse", "KIP-595 Fetch",
                                         "a leader tells its own high watermark"};
inline constexpr Rule response_diverging{"DivergingEpoch", "KIP-595 Fetch",
                                         "who diverges is told the largest epoch up to its own, "
                                         "and its end"};
inline constexpr Rule image_committed{"FetchSnapshot", "KIP-630 Snapshot",
                                      "an image is of committed entries, and of their voters"};
inline constexpr Rule image_in_order{"FetchSnapshot", "KIP-630 FetchSnapshot",
                                     "pieces are asked for, sent and kept in their order"};
inline constexpr Rule image_whole{"FetchSnapshot", "KIP-630 FetchSnapshot",
                                  "an image is put in place once it is whole, and lies ahead"};

inline constexpr Rule agrees{"Status", "consensus/module.h", "the state the effects have made"};

}  // namespace qlab::raft::kraft::model
