#pragma once
// What every step of a Raft group must keep, by action and source.

#include "consensus/model/model.h"

namespace qlab::raft::model {

using consensus::model::Rule;

inline constexpr Rule recovers{"Restart", "P 5.1",
                               "the disk holds a prefix of the writes asked for"};
inline constexpr Rule term_grows{"UpdateTerm", "P 5.1", "a term never goes back"};
inline constexpr Rule term_heard{"UpdateTerm", "P 5.1",
                                 "a new term is a message's, or our candidacy's"};
inline constexpr Rule term_adopted{"UpdateTerm", "P 5.1",
                                   "whoever hears of a higher term takes it"};
inline constexpr Rule one_vote{"HandleRequestVoteRequest", "P 5.2", "one vote in a term"};
inline constexpr Rule vote_asked{"HandleRequestVoteRequest", "P 5.2",
                                 "a vote is for who asks for it"};
inline constexpr Rule vote_up_to_date{"HandleRequestVoteRequest", "P 5.4.1",
                                      "a vote is for a log at least as up to date"};
inline constexpr Rule vote_durable{"HandleRequestVoteRequest", "P 5.2",
                                   "a vote is durable before it is given"};
inline constexpr Rule timeout_next{"Timeout", "P 5.2",
                                   "who is no leader campaigns in the next term"};
inline constexpr Rule vote_request{"RequestVote", "P 5.4.1",
                                   "a candidate tells its term and its log"};
inline constexpr Rule own_vote_durable{"RequestVote", "P 5.2",
                                       "a candidate has voted for itself, durably, when it asks"};
inline constexpr Rule leader_elected{"BecomeLeader", "P 5.2",
                                     "a quorum gave its votes in this term"};
inline constexpr Rule one_leader{"BecomeLeader", "P figure 3", "one leader in a term"};
inline constexpr Rule witness_follows{"BecomeLeader", "docs/raft.md, witnesses",
                                      "a witness never leads"};
inline constexpr Rule leader_known{"HandleAppendEntriesRequest", "P 5.2",
                                   "a leader is who leads the term"};
inline constexpr Rule log_follows{"ClientRequest", "P figure 2", "entries follow the log"};
inline constexpr Rule own_term{"ClientRequest", "P 5.3",
                               "a leader appends entries of its own term"};
inline constexpr Rule no_op_first{"BecomeLeader", "P 8", "a leader begins with a no-op"};
inline constexpr Rule who_appends{"AppendEntries", "P 5.3",
                                  "a follower appends what its leader sent"};
inline constexpr Rule only_conflicts{
    "ConflictAppendEntriesRequest", "P 5.3",
    "a follower cuts what conflicts with its leader, and nothing else"};
inline constexpr Rule committed_stays{"ConflictAppendEntriesRequest", "P figure 3",
                                      "what is committed is never cut"};
inline constexpr Rule one_change{"ChangeConfiguration", "D 4.1", "one change at a time"};
inline constexpr Rule own_epoch_first{"ChangeConfiguration", "Ongaro, raft-dev 2015",
                                      "a change after an entry of the own term is committed"};
inline constexpr Rule step_of_change{"ChangeConfiguration", "D 4.1, 4.3",
                                     "one voter at a time, or through both halves"};
inline constexpr Rule in_force{"ChangeConfiguration", "D 4.1",
                               "the last configuration in the log counts"};
inline constexpr Rule commit_grows{"AdvanceCommitIndex", "P figure 2", "a commit index lies ahead"};
inline constexpr Rule commit_quorum{"AdvanceCommitIndex", "P 5.3", "a quorum has it on its disks"};
inline constexpr Rule commit_in_full{"AdvanceCommitIndex", "docs/raft.md, witnesses",
                                     "a replica with bodies has it on its disk"};
inline constexpr Rule commit_own_term{"AdvanceCommitIndex", "P 5.4.2",
                                      "only the own term by counting"};
inline constexpr Rule commit_told{"HandleAppendEntriesRequest", "P figure 2",
                                  "commit is min(leader's, last new entry)"};
inline constexpr Rule one_history{"AdvanceCommitIndex", "P figure 3", "one entry at an index"};
inline constexpr Rule append_own_log{"AppendEntries", "P 5.3", "a leader sends what its log has"};
inline constexpr Rule message_term{"Send", "P 5.1", "a message has its sender's term"};
inline constexpr Rule who_leads{"AppendEntries", "P 5.2", "only a leader sends what leaders send"};
inline constexpr Rule commit_sent{"AppendEntries", "P 5.3", "a leader tells of what is committed"};
inline constexpr Rule beat_acked{"AppendEntries", "docs/raft.md",
                                 "a commit index without a log check is of what was acknowledged"};
inline constexpr Rule ack_matches{"HandleAppendEntriesRequest", "P 5.3",
                                  "what is acknowledged is what the leader sent"};
inline constexpr Rule ack_durable{"HandleAppendEntriesRequest", "P 5.3, D 10.2.1",
                                  "log and term are durable before they are acknowledged"};
inline constexpr Rule term_durable{"UpdateTerm", "P figure 2",
                                   "a term is durable before it is answered"};
inline constexpr Rule image_whole{"InstallSnapshot", "P 7", "a leader's image, and all of it"};
inline constexpr Rule image_committed{"InstallSnapshot", "P 7", "an image is of committed entries"};
inline constexpr Rule transfer_ready{"TimeoutNow", "D 3.10",
                                     "the successor has all of the leader's log"};
inline constexpr Rule active_leader{"AdvanceCommitIndex", "P 8",
                                    "its own first entry is committed"};
inline constexpr Rule answered{"ClientRequest", "P 5.3",
                               "a client is answered once it is committed"};
inline constexpr Rule read_fresh{"ReadIndex", "D 6.4",
                                 "a read has what was committed when it came"};
inline constexpr Rule agrees{"Status", "consensus/module.h", "the state the effects have made"};

}  // namespace qlab::raft::model
