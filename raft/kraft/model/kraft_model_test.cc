// KRaft's model refuses what a module with a bug does, and names the rule: votes and leaders.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "raft/kraft/model/bugs.h"

namespace qlab::raft::kraft::model {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;

void answers_on_append(const Input& input, const Status& status, Effects& effects) {
  const auto* propose = std::get_if<in::Propose>(&input);
  if (propose == nullptr || status.role != "leader") return;
  effects.push_back(out::Outcome{propose->request, consensus::Fate::committed, status.last, {}});
}

void commits_at_once(const Input& input, const Status& status, Effects& effects) {
  if (!std::holds_alternative<in::Propose>(input) || status.role != "leader") return;
  effects.push_back(out::Commit{status.last.index, WriteSeq{0}});
}

void commits_again(const Input&, const Status&, Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    if (std::holds_alternative<out::Commit>(effect)) effects.push_back(effect);
  }
}

// Where the leader of an epoch begins is known by its leader change.
void commits_by_counting(const Input& input, const Status& status, Effects& effects) {
  static std::map<Epoch, LogIndex> begins;
  for (const Effect& effect : effects) {
    const auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || append->entries[0].kind != EntryKind::control) continue;
    begins[append->entries[0].id.epoch] = append->entries[0].id.index;
  }
  const auto* receive = std::get_if<in::Receive>(&input);
  if (status.role != "leader" || receive == nullptr) return;
  const Payload payload = decode(*receive->message).value();
  const auto* fetch = std::get_if<Fetch>(&payload);
  if (fetch == nullptr || receive->message->epoch != status.epoch) return;
  const LogIndex match = fetch->next.prev();
  if (match <= status.commit || match >= begins.at(status.epoch)) return;
  effects.push_back(out::Commit{match, WriteSeq{0}});
}

void activates_when_elected(const Input&, const Status& status, Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    const auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || append->entries[0].kind != EntryKind::control) continue;
    if (status.role == "leader") effects.push_back(out::Activate{status.epoch, status.last.index});
  }
}

void reads_at_once(const Input& input, const Status&, Effects& effects) {
  const auto* read = std::get_if<in::Read>(&input);
  if (read != nullptr) effects.assign(1, out::ReadReady{read->request, LogIndex{0}});
}

void says_yes_to_all_up_to_date(const Input& input, const Status& status, Effects& effects) {
  const auto* receive = std::get_if<in::Receive>(&input);
  if (receive == nullptr) return;
  const Payload payload = decode(*receive->message).value();
  const auto* vote = std::get_if<Vote>(&payload);
  if (vote == nullptr || !vote->pre_vote || vote->last < status.last) return;
  if (receive->message->epoch != status.epoch) return;
  const auto rewrite =
      rewrites<VoteResponse>([](out::Send&, VoteResponse& response) { response.granted = true; });
  rewrite(input, status, effects);
}

Input ignores_later_epochs(const Input& input, const Status& status) {
  const auto* receive = std::get_if<in::Receive>(&input);
  if (receive == nullptr || receive->message->epoch <= status.epoch) return input;
  return in::Applied{};
}

void votes_although_it_knows_the_leader(const Input& input, const Status& status,
                                        Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    const auto* trace = std::get_if<out::Trace>(&effect);
    if (trace == nullptr || trace->action != "RefuseVote" || trace->reason != "knows_leader") {
      continue;
    }
    const Payload payload = decode(*std::get<in::Receive>(input).message).value();
    const consensus::ReplicaKey candidate{trace->peer, std::get<Vote>(payload).candidate};
    effects.insert(effects.begin(),
                   out::SaveHardState{{}, {status.epoch, status.epoch, candidate, status.leader}});
  }
}

void sends_of_another_epoch(const Input&, const Status&, Effects& effects) {
  for (Effect& effect : effects) {
    auto* send = std::get_if<out::Send>(&effect);
    if (send == nullptr) continue;
    consensus::Message message = *send->message;
    message.epoch = message.epoch.next();
    send->message = std::make_shared<const consensus::Message>(std::move(message));
  }
}

void follows_another_too(const Input&, const Status&, Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    const auto* save = std::get_if<out::SaveHardState>(&effect);
    if (save == nullptr || !save->state.leader) continue;
    consensus::HardState next = save->state;
    next.leader = NodeId{9};
    effects.push_back(out::SaveHardState{save->seq.next(), next});
  }
}

void follows_whoever_asks(const Input& input, const Status&, Effects& effects) {
  const auto* receive = std::get_if<in::Receive>(&input);
  for (Effect& effect : effects) {
    auto* save = std::get_if<out::SaveHardState>(&effect);
    if (save == nullptr || receive == nullptr) continue;
    if (save->state.leader || save->state.vote) continue;
    save->state.leader = receive->from;
  }
}

const std::vector<Bug> bugs_of_votes = {
    {"votes whatever it said before", one_vote,
     makes(rewrites<VoteResponse>(
         [](out::Send&, VoteResponse& response) { response.granted = !response.pre_vote; }))},
    {"takes every log for the longest", vote_up_to_date,
     hears(mishears<Vote>(
         [](Vote& vote, const Status& status) { vote.last = std::max(vote.last, status.last); }))},
    {"votes before that is durable", vote_durable,
     makes(rewrites<VoteResponse>([](out::Send& send, VoteResponse& response) {
       if (response.granted) send.after = {};
     }))},
    {"does not write down for whom it voted", one_vote,
     makes(changes<out::SaveHardState>([](out::SaveHardState& save, const Status& status) {
       if (status.role == "unattached") save.state.vote.reset();
     }))},
    {"asks for votes before its own is durable", candidate_durable,
     makes(hastens<out::SaveHardState, Vote>())},
    {"tells of a longer log than it has", candidate_asks,
     makes(
         rewrites<Vote>([](out::Send&, Vote& vote) { vote.last.index = vote.last.index.next(); }))},
    {"takes a refusal for a vote", leader_elected,
     hears(mishears<VoteResponse>(
         [](VoteResponse& response, const Status&) { response.granted = true; }))},
    {"goes back an epoch", epoch_grows,
     makes(changes<out::SaveHardState>([](out::SaveHardState& save, const Status& status) {
       if (status.epoch > Epoch{2}) save.state.epoch = Epoch{1};
     }))},
    {"does not take a later epoch", epoch_adopted, hears(ignores_later_epochs)},
    {"takes a later epoch than it heard of", epoch_heard,
     makes(changes<out::SaveHardState>([](out::SaveHardState& save, const Status& status) {
       if (status.role != "follower" || save.state.vote) return;
       save.state.epoch = save.state.epoch.next();
     }))},
    {"sends messages of another epoch", message_epoch, makes(sends_of_another_epoch)},
    {"answers a question that was not asked", vote_asked,
     makes(rewrites<VoteResponse>(
         [](out::Send&, VoteResponse& response) { ++response.correlation.number; }))},
    {"follows two leaders in an epoch", one_leader, makes(follows_another_too)},
    {"names another leader", leader_named,
     makes(rewrites<VoteResponse>([](out::Send&, VoteResponse& response) {
       if (response.leader) response.leader = NodeId{9};
     }))},
    {"skips an epoch", candidate_next,
     makes(changes<out::SaveHardState>([](out::SaveHardState& save, const Status& status) {
       if (status.role == "candidate") save.state.epoch = save.state.epoch.next();
     }))},
    {"follows whoever asks it for a vote", leader_known, makes(follows_whoever_asks)},
    {"tells of an epoch before that is durable", epoch_durable,
     makes(hastens<out::SaveHardState, BeginQuorumEpochResponse>())},
};

const std::vector<Bug> bugs_of_pre_votes = {
    {"says yes to a log that is behind", pre_vote_up_to_date,
     hears(mishears<Vote>([](Vote& vote, const Status& status) {
       if (vote.pre_vote) vote.last = std::max(vote.last, status.last);
     }))},
    {"says yes while it hears its leader", pre_vote_unled, makes(says_yes_to_all_up_to_date)},
    {"asks about a longer log than it has", pre_vote_asks,
     makes(
         rewrites<Vote>([](out::Send&, Vote& vote) { vote.last.index = vote.last.index.next(); }))},
    {"campaigns although it was told no", pre_vote_won,
     hears(mishears<VoteResponse>(
         [](VoteResponse& response, const Status&) { response.granted |= response.pre_vote; }))},
};

const std::vector<Bug> bugs_of_leaders = {
    {"leads before that is durable", leadership_durable,
     makes(
         rewrites<BeginQuorumEpoch>([](out::Send& send, BeginQuorumEpoch&) { send.after = {}; }))},
    {"tells another disk that it leads", begin_to_voter,
     makes(rewrites<BeginQuorumEpoch>([](out::Send&, BeginQuorumEpoch& request) {
       request.voter = {9, 9};
     }))},
    {"begins with an entry of another epoch", own_epoch,
     makes(changes<out::Append>([](out::Append& append, const Status& status) {
       Entry& first = append.entries[0];
       if (first.kind == EntryKind::control && status.role == "leader") {
         first.id.epoch = first.id.epoch.prev();
       }
     }))},
    {"appends an index twice", log_follows,
     makes(changes<out::Append>([](out::Append& append, const Status& status) {
       if (status.role != "leader" || status.last.index < LogIndex{5}) return;
       append.entries[0].id.index = append.entries[0].id.index.prev();
     }))},
    {"commits what it has committed", watermark_grows, makes(commits_again)},
    {"begins without a leader change", leader_change,
     makes(changes<out::Append>([](out::Append& append, const Status&) {
       for (Entry& entry : append.entries) {
         if (entry.kind == EntryKind::control) entry.kind = EntryKind::data;
       }
     }))},
    {"is active when it is elected", active_leader, makes(activates_when_elected)},
    {"tells nobody that it is not active any more", active_leader, makes(drops<out::Deactivate>())},
    {"names others than voters as its successors", end_by_resigned,
     makes(rewrites<EndQuorumEpoch>([](out::Send&, EndQuorumEpoch& request) {
       request.preferred_successors.push_back({NodeId{9}, {}});
     }))},
    {"answers when it has appended", answered, makes(answers_on_append)},
    {"reads without asking", read_fresh, makes(reads_at_once)},
    {"commits what only it has", watermark_quorum, makes(commits_at_once)},
    {"commits by counting whatever epoch it is of", watermark_epoch, makes(commits_by_counting)},
    {"sends other entries than it has", response_log,
     makes(rewrites<FetchResponse>([](out::Send&, FetchResponse& response) {
       for (Entry& entry : response.entries) entry.body = std::make_shared<const Bytes>(9);
     }))},
    {"tells of a higher high watermark", response_watermark,
     makes(rewrites<FetchResponse>([](out::Send&, FetchResponse& response) {
       if (response.status == FetchStatus::ok) response.high_watermark = LogIndex{1000000};
     }))},
    {"tells the asker's own end where they diverge", response_diverging,
     makes(rewrites<FetchResponse>([](out::Send&, FetchResponse& response) {
       auto& diverging = response.diverging_epoch;
       if (diverging && diverging->index > LogIndex{0}) {
         diverging->index = diverging->index.prev();
       }
     }))},
    {"does not see that a follower diverges", response_diverging,
     makes(rewrites<FetchResponse>(
         [](out::Send&, FetchResponse& response) { response.diverging_epoch.reset(); }))},
    {"answers another request", answers_fetch,
     makes(rewrites<FetchResponse>(
         [](out::Send&, FetchResponse& response) { ++response.correlation.number; }))},
};

BOOST_AUTO_TEST_SUITE(kraft_model)

BOOST_AUTO_TEST_CASE(a_module_without_a_bug_is_not_refused) {
  for (const Setting setting : {Setting{}, Setting{false}, Setting{true, true, true}}) {
    const auto refusal = consensus::model::first_refusal(group_of(setting), {}, 20);
    BOOST_TEST(!refusal.has_value(), (refusal ? refusal->words() : ""));
  }
}

BOOST_DATA_TEST_CASE(a_bug_in_votes_is_refused, bugs_of_votes) {
  BOOST_TEST(refused_otherwise(group_of({.pre_vote = false}), sample) == "");
}
BOOST_DATA_TEST_CASE(a_bug_in_pre_votes_is_refused, bugs_of_pre_votes) {
  BOOST_TEST(refused_otherwise(group_of({}), sample) == "");
}
BOOST_DATA_TEST_CASE(a_bug_of_a_leader_is_refused, bugs_of_leaders) {
  BOOST_TEST(refused_otherwise(group_of({}), sample) == "");
}
// What the disk has of its leadership is kept from the module, but not from the model.
BOOST_AUTO_TEST_CASE(a_leader_that_does_not_know_that_it_led_before_a_restart_is_refused) {
  MutatedGroup group = group_of({});
  group.factory = [](consensus::ModuleContext context) {
    context.recovery.hard_state.leader.reset();
    return make_kraft(std::move(context));
  };
  BOOST_TEST(refused_otherwise(group, {"forgets", resigned_is_over, {}}) == "");
}

BOOST_AUTO_TEST_CASE(a_vote_where_the_leader_is_known_is_refused) {
  MutatedGroup group = group_of({.pre_vote = false});
  for (int i = 4; i <= 5; ++i) group.options.config.members.push_back({NodeId{i}});
  const Bug bug{"votes", vote_unled, makes(votes_although_it_knows_the_leader)};
  BOOST_TEST(refused_otherwise(group, bug) == "");
}

BOOST_AUTO_TEST_CASE(an_observer_that_campaigns_is_refused) {
  MutatedGroup group = group_of({});
  const consensus::Config listed{{{NodeId{1}}, {NodeId{2}}, {NodeId{3}}, {NodeId{4}}}};
  group.options.config.members.push_back({NodeId{4}, consensus::MemberRole::observer});
  group.factory = [listed](consensus::ModuleContext context) {
    if (context.self.id == NodeId{4}) context.recovery.config = context.recovery.base = listed;
    return make_kraft(std::move(context));
  };
  BOOST_TEST(refused_otherwise(group, {"takes itself for a voter", candidate_voter, {}}) == "");
}

BOOST_AUTO_TEST_CASE(a_leader_that_leads_on_without_a_quorum_is_refused) {
  MutatedGroup group = group_of({});
  group.factory = [](consensus::ModuleContext context) {
    context.tuning.check_quorum = false;
    return make_kraft(std::move(context));
  };
  BOOST_TEST(refused_otherwise(group, {"leads on", quorum_checked, {}}) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft::model
