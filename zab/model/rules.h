#pragma once
// What every step of a ZAB group must keep, by action and source.

#include "consensus/model/model.h"

namespace qlab::zab::model {

using consensus::model::Rule;

// Of every phase.
inline constexpr Rule recovers{"Restart", "Z III",
                               "the disk holds a prefix of the writes asked for"};
inline constexpr Rule message_epoch{"Send", "Z IV", "a message has the epoch of its session"};
inline constexpr Rule of_session{"Send", "ZK LearnerHandler",
                                 "what is said is of the session that both are in"};
inline constexpr Rule log_follows{"LeaderProcessRequest", "Z III",
                                  "entries follow the log, in the order of zxids"};
inline constexpr Rule committed_stays{"FollowerProcessTRUNC", "Z agreement",
                                      "what is committed is never cut"};
inline constexpr Rule one_history{"FollowerProcessCOMMIT", "Z total order",
                                  "one entry at an index"};
inline constexpr Rule agrees{"Status", "consensus/module.h", "the state the effects have made"};

// Phase 0. The paper takes it for an oracle.
inline constexpr Rule vote_known{"FLEVote", "ZK FastLeaderElection",
                                 "a vote is the own last epoch and entry, or was heard"};
inline constexpr Rule vote_of_voter{"FLEVote", "ZK-764, ZK-769",
                                    "who has no vote does not vote for itself"};
inline constexpr Rule vote_grows{"FLEVote", "ZK totalOrderPredicate",
                                 "within a round a vote gives way to a better one only"};
inline constexpr Rule elected{"FLEDecide", "ZK FastLeaderElection",
                              "a quorum has voted for who is to lead"};
inline constexpr Rule weightless{"FLEDecide", "ZK QuorumHierarchical",
                                 "who has no weight does not lead"};
inline constexpr Rule state_told{"FLEVote", "ZK checkLeader",
                                 "a notification tells what its sender is"};
inline constexpr Rule config_told{"FLEVote", "S 3", "a configuration told is one that was known"};

// Phase 1.
inline constexpr Rule promise_told{"ConnectAndFollowerSendFOLLOWERINFO", "Z f.1.1",
                                   "CEPOCH tells the last promise, to the leader chosen"};
inline constexpr Rule epoch_grows{"FollowerProcessLEADERINFO", "Z f.1.2",
                                  "acceptedEpoch and currentEpoch never go back"};
inline constexpr Rule epoch_proposed{"LeaderProcessFOLLOWERINFO", "Z l.1.1",
                                     "e' is new when a quorum has sent CEPOCH"};
inline constexpr Rule epoch_later{"LeaderProcessFOLLOWERINFO", "Z l.1.1",
                                  "e' is later than any e of a CEPOCH"};
inline constexpr Rule epoch_saved_first{"LeaderProcessFOLLOWERINFO", "ZK getEpochToPropose",
                                        "e' is durable here before it is proposed"};
inline constexpr Rule epoch_accepted{"FollowerProcessLEADERINFO", "Z f.1.2",
                                     "acceptedEpoch is what the leader proposed, and later"};
inline constexpr Rule accepted_durable{"FollowerProcessLEADERINFO", "Z f.1.2",
                                       "acceptedEpoch is durable before ACK-E leaves"};
inline constexpr Rule accepted_anew{"FollowerProcessLEADERINFO", "ZK registerWithLeader",
                                    "an epoch that was accepted before counts for nobody"};
inline constexpr Rule history_told{"FollowerProcessLEADERINFO", "Z f.1.2, ZK-2845",
                                   "ACK-E tells currentEpoch and the last entry, both durable"};
inline constexpr Rule epoch_quorum{"LeaderProcessACKEPOCH", "Z l.1.2",
                                   "a quorum has accepted e' before its history is chosen"};
inline constexpr Rule history_latest{"LeaderProcessACKEPOCH", "Z l.1.2",
                                     "the history of e' is the latest of that quorum"};
inline constexpr Rule one_leader{"LeaderProcessACKEPOCH", "Z l.1.2",
                                 "one leader, with one initial history, in an epoch"};

// Phase 2.
inline constexpr Rule who_leads{"SyncFollower", "Z l.2.1",
                                "a leader that is in its epoch sends what leaders send"};
inline constexpr Rule own_history{"SyncFollower", "Z l.2.1", "a leader sends what its log has"};
inline constexpr Rule in_order{"SyncFollower", "Z l.2.1, l.3.1",
                               "a learner is sent one history, each behind the one before"};
inline constexpr Rule trunc_back{"SyncFollower", "ZK syncFollower",
                                 "TRUNC names an entry that both have"};
inline constexpr Rule image_committed{"SyncFollower", "ZK syncFollower",
                                      "an image is of committed entries"};
inline constexpr Rule history_first{"SyncFollower", "Z l.2.1, ZK-3104",
                                    "NEWLEADER is sent behind the whole initial history"};
inline constexpr Rule cuts_excess{"FollowerProcessTRUNC", "ZK syncFollower",
                                  "what the leader lacks is cut, and nothing else"};
inline constexpr Rule image_whole{"FollowerProcessSNAP", "ZK-2872",
                                  "a leader's image, and all of it"};
inline constexpr Rule takes_diff{"FollowerProcessDIFF", "Z f.2.1, ZK-4925",
                                 "before NEWLEADER a learner appends what DIFF brings"};
inline constexpr Rule enters_epoch{"FollowerProcessNEWLEADER", "Z f.2.1",
                                   "currentEpoch is set by NEWLEADER of the epoch accepted"};
inline constexpr Rule same_history{"FollowerProcessNEWLEADER", "Z f.2.1, ZK-4643, ZK-4785",
                                   "who enters an epoch has its initial history"};
inline constexpr Rule history_durable{"FollowerProcessNEWLEADER", "Z f.2.1, ZK-3911, ZK-4646",
                                      "history and currentEpoch are durable before ACK-LD leaves"};
inline constexpr Rule established{"LeaderProcessACKLD", "Z l.2.2",
                                  "a quorum has acknowledged NEWLEADER before service begins"};
inline constexpr Rule has_committed{"LeaderProcessACKLD", "Z primary integrity",
                                    "who leads has all that earlier epochs committed"};
inline constexpr Rule activated{"LeaderActivate", "Z f.3.1",
                                "ready(e') once the initial history is committed"};
inline constexpr Rule deactivated{"LeaderShutdown", "consensus/module.h",
                                  "a primary is told when it leads no longer"};
inline constexpr Rule up_to_date{"LeaderProcessACKLD", "Z l.2.2, l.3.4",
                                 "UPTODATE for who acknowledged, from who serves"};
inline constexpr Rule leader_known{"FollowerProcessUPTODATE", "Z f.2.2",
                                   "a learner serves behind UPTODATE of who leads the epoch"};

// Phase 3.
inline constexpr Rule broadcasts{"LeaderProcessRequest", "Z l.3.1, f.3.1",
                                 "a leader proposes when it is established"};
inline constexpr Rule own_epoch{"LeaderProcessRequest", "Z l.3.1",
                                "a leader proposes in its own epoch"};
inline constexpr Rule counter_full{"LeaderProcessRequest", "ZK-1277",
                                   "an epoch ends when its counter is full"};
inline constexpr Rule accepts_proposals{"FollowerProcessPROPOSAL", "Z f.3.2",
                                        "a learner appends what was proposed, as it was received"};
inline constexpr Rule ack_durable{"FollowerProcessPROPOSAL", "Z f.3.2",
                                  "a proposal is durable before it is acknowledged"};
inline constexpr Rule commit_quorum{"LeaderProcessACK", "Z l.3.2",
                                    "a quorum of those in the epoch has acknowledged"};
inline constexpr Rule commit_grows{"LeaderProcessACK", "Z l.3.2", "commits are in order"};
inline constexpr Rule commit_former{"LeaderProcessACK", "Z l.2.2",
                                    "former epochs commit as the initial history, and whole"};
inline constexpr Rule commit_sent{"LeaderProcessACK", "Z l.3.2",
                                  "COMMIT is of what is committed and was sent"};
inline constexpr Rule commit_told{"FollowerProcessCOMMIT", "Z f.3.3",
                                  "a learner commits what its leader said"};
inline constexpr Rule commit_serving{"FollowerProcessCOMMIT", "Z f.2.2, ZK-4394",
                                     "a learner commits nothing before UPTODATE"};
inline constexpr Rule informs{"LeaderProcessACK", "ZK Leader.inform",
                              "INFORM is of what is committed"};
inline constexpr Rule to_voters{"LeaderProcessRequest", "ZK Leader.propose",
                                "PROPOSAL is for who votes"};
inline constexpr Rule answered{"LeaderProcessRequest", "Z l.3.2",
                               "a client is answered by what is committed"};
inline constexpr Rule read_fresh{"ReadReady", "docs/zab.md, reads",
                                 "a read has what was committed when it came"};
inline constexpr Rule read_confirmed{"ReadReady", "docs/zab.md, reads",
                                     "a quorum has answered a ping sent behind the read"};

// Membership.
inline constexpr Rule one_change{"ProposeReconfig", "S 3, ZK Leader.propose",
                                 "one change at a time"};
inline constexpr Rule both_halves{"ProposeReconfig", "S 3",
                                  "a change goes through quorums of the old and of the new"};
inline constexpr Rule joiners_synced{"ProposeReconfig", "ZK NewConfigNoQuorum",
                                     "a quorum of the new configuration follows already"};
inline constexpr Rule in_force{"ProposeReconfig", "S 3",
                               "the last configuration in the log counts"};
inline constexpr Rule activates_config{"ActivateReconfig", "S 3, ZK COMMITANDACTIVATE",
                                       "a configuration is activated when it is committed"};
inline constexpr Rule leader_votes{"ActivateReconfig", "S 3, ZK designatedLeader",
                                   "who has no vote in the configuration leads no longer"};

}  // namespace qlab::zab::model
