// KRaft's model refuses what a module with a bug does, and names the rule.
#include "raft/kraft/model/kraft_model.h"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/model/mutated_messages.h"
#include "raft/kraft/kraft.h"
#include "raft/kraft/model/rules.h"

namespace qlab::raft::kraft::model {
namespace {

using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Input;
using consensus::LogId;
using consensus::Status;
using consensus::WriteSeq;
using consensus::model::MutatedGroup;
using consensus::model::Mutation;
using Effects = std::vector<Effect>;

template <class T>
auto rewrites(std::function<void(out::Send&, T&)> change) {
  return consensus::model::Messages<encode, decode>::rewrites<T>(std::move(change));
}
template <class T>
auto mishears(std::function<void(T&, const Status&)> change) {
  return consensus::model::Messages<encode, decode>::mishears<T>(std::move(change));
}
// Messages of type T leave one write early, in a step that also asks for a W.
template <class W, class T>
auto hastens() {
  const auto rewrite = rewrites<T>([](out::Send& send, T&) {
    if (send.after > WriteSeq{0}) send.after = send.after.prev();
  });
  return [rewrite](const Input& input, const Status& status, Effects& effects) {
    const auto is_write = [](const Effect& effect) { return std::holds_alternative<W>(effect); };
    if (std::any_of(effects.begin(), effects.end(), is_write)) rewrite(input, status, effects);
  };
}
template <class T>
auto changes(std::function<void(T&, const Status&)> change) {
  return [change](const Input&, const Status& status, Effects& effects) {
    for (Effect& effect : effects) {
      if (auto* one = std::get_if<T>(&effect)) change(*one, status);
    }
  };
}
template <class T>
auto drops() {
  return [](const Input&, const Status&, Effects& effects) {
    std::erase_if(effects, [](const Effect& effect) { return std::holds_alternative<T>(effect); });
  };
}

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

// Whatever is of type T, in a step that has a W.
template <class W, class T>
void drops_with(const Input&, const Status&, Effects& effects) {
  const auto is_with = [](const Effect& effect) { return std::holds_alternative<W>(effect); };
  if (std::none_of(effects.begin(), effects.end(), is_with)) return;
  std::erase_if(effects, [](const Effect& effect) { return std::holds_alternative<T>(effect); });
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

void follows_whoever_asks(const Input& input, const Status&, Effects& effects) {
  const auto* receive = std::get_if<in::Receive>(&input);
  for (Effect& effect : effects) {
    auto* save = std::get_if<out::SaveHardState>(&effect);
    if (save == nullptr || receive == nullptr) continue;
    if (save->state.leader || save->state.vote) continue;
    save->state.leader = receive->from;
  }
}

Entry change_after(LogId last) {
  consensus::Config config;
  for (int i = 1; i <= 2; ++i) config.members.push_back({NodeId{i}});
  return {{last.epoch, last.index.next()},
          EntryKind::config,
          std::make_shared<const Bytes>(consensus::encode_config(config))};
}

void appends_another_change(const Input&, const Status& status, Effects& effects) {
  for (Effect& effect : Effects(effects)) {
    auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || status.role != "leader") continue;
    if (append->entries.back().kind != EntryKind::config) continue;
    effects.push_back(out::Append{append->seq.next(), {change_after(append->entries.back().id)}});
  }
}

void changes_voters_when_elected(const Input&, const Status& status, Effects& effects) {
  for (Effect& effect : Effects(effects)) {
    auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || status.role != "leader") continue;
    if (append->entries.back().kind != EntryKind::control) continue;
    effects.push_back(out::Append{append->seq.next(), {change_after(append->entries.back().id)}});
  }
}

void installs_the_first_piece(const Input&, const Status&, Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    const auto* store = std::get_if<out::StoreSnapshot>(&effect);
    if (store == nullptr || store->bytes->size() == store->meta.size) continue;
    effects.push_back(out::InstallSnapshot{store->seq.next(), store->meta});
  }
}

// The configuration that a leader appends, changed.
auto proposes_voters(std::function<void(consensus::Config&)> change) {
  return changes<out::Append>([change](out::Append& append, const Status& status) {
    for (Entry& entry : append.entries) {
      if (entry.kind != EntryKind::config || status.role != "leader") continue;
      auto config = consensus::decode_config(*entry.body).value();
      change(config);
      entry.body = std::make_shared<const Bytes>(consensus::encode_config(config));
    }
  });
}

struct Bug {
  std::string_view name;
  Rule rule;  // That it breaks.
  Mutation mutation;
};

std::ostream& operator<<(std::ostream& words, const Bug& bug) {
  return words << bug.name;
}

Mutation hears(std::function<Input(const Input&, const Status&)> change) {
  Mutation mutation;
  mutation.hears = std::move(change);
  return mutation;
}
Mutation makes(std::function<void(const Input&, const Status&, Effects&)> change) {
  Mutation mutation;
  mutation.makes = std::move(change);
  return mutation;
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

const std::vector<Bug> bugs_of_followers = {
    {"fetches on before its log is durable", fetch_durable, makes(hastens<out::Append, Fetch>())},
    {"fetches on before its cut is durable", fetch_durable, makes(hastens<out::Truncate, Fetch>())},
    {"acknowledges more than it has", fetch_end,
     makes(rewrites<Fetch>([](out::Send&, Fetch& fetch) {
       if (fetch.next > LogIndex{1}) fetch.next = fetch.next.next();
     }))},
    {"appends other entries than it was sent", fetched,
     makes(changes<out::Append>([](out::Append& append, const Status& status) {
       if (status.role != "follower") return;
       for (Entry& entry : append.entries) entry.body = std::make_shared<const Bytes>(9);
     }))},
    {"cuts an entry more than diverges", cut_where_diverging,
     makes(changes<out::Truncate>([](out::Truncate& cut, const Status&) {
       if (cut.from > LogIndex{1}) cut.from = cut.from.prev();
     }))},
    {"commits all that it has", watermark_told,
     hears(mishears<FetchResponse>([](FetchResponse& response, const Status&) {
       if (response.status == FetchStatus::ok) response.high_watermark = LogIndex{1000000};
     }))},
};

const std::vector<Bug> bugs_of_voters = {
    {"adds a voter without a word to its application", voters_in_force,
     makes(drops_with<out::Append, out::ConfigActive>)},
    {"keeps the voters whose entry it cuts", voters_in_force,
     makes(drops_with<out::Truncate, out::ConfigActive>)},
    {"changes two voters at once", one_voter, makes(proposes_voters([](consensus::Config& config) {
       for (consensus::Member& member : config.members) {
         member.role = consensus::MemberRole::observer;
       }
       config.members[0].role = consensus::MemberRole::voter;
     }))},
    {"adds a voter that has fetched nothing", joiner_caught_up,
     makes(proposes_voters(
         [](consensus::Config& config) { config.members.push_back({NodeId{9}}); }))},
    {"changes voters while another change is not committed", one_change,
     makes(appends_another_change)},
    {"changes voters before its leader change is committed", change_in_epoch,
     makes(changes_voters_when_elected)},
};

const std::vector<Bug> bugs_of_images = {
    {"asks for the next piece before the last is durable", fetch_durable,
     makes(hastens<out::StoreSnapshot, FetchSnapshot>())},
    {"asks for a piece further on", image_in_order,
     makes(rewrites<FetchSnapshot>([](out::Send&, FetchSnapshot& request) {
       if (request.position > 0) ++request.position;
     }))},
    {"names an image of what is not committed", image_committed,
     makes(rewrites<FetchResponse>([](out::Send&, FetchResponse& response) {
       if (response.snapshot) response.snapshot->index = LogIndex{1000000};
     }))},
    {"sends an image with other voters", image_committed,
     makes(rewrites<FetchSnapshotResponse>([](out::Send&, FetchSnapshotResponse& response) {
       if (!response.found) return;
       auto config = consensus::decode_config(response.config).value();
       config.members.pop_back();
       response.config = consensus::encode_config(config);
     }))},
    {"sends a piece of something else", image_in_order,
     makes(rewrites<FetchSnapshotResponse>([](out::Send&, FetchSnapshotResponse& response) {
       if (!response.bytes.empty()) response.bytes[0] ^= std::byte{1};
     }))},
    {"keeps a piece of something else", image_in_order,
     makes(changes<out::StoreSnapshot>([](out::StoreSnapshot& store, const Status&) {
       store.bytes = std::make_shared<const Bytes>(store.bytes->size() + 1);
     }))},
    {"puts an image in place that is not whole", image_whole, makes(installs_the_first_piece)},
};

struct Setting {
  bool pre_vote = true;
  bool changes = false;
  bool images = false;
};

MutatedGroup group_of(Setting setting) {
  MutatedGroup group{make_kraft, make_kraft_model, {}, setting.changes, setting.images};
  for (int i = 1; i <= 3; ++i) group.options.config.members.push_back({NodeId{i}});
  group.options.tuning.pre_vote = setting.pre_vote;
  group.options.tuning.snapshot_chunk_bytes = 4;
  return group;
}

void check_refused(const MutatedGroup& group, const Bug& bug) {
  const auto refusal = consensus::model::first_refusal(group, bug.mutation, 50);
  BOOST_REQUIRE(refusal.has_value());
  BOOST_TEST(refusal->rule.expected == bug.rule.expected, refusal->words());
}

BOOST_AUTO_TEST_SUITE(kraft_model)

BOOST_AUTO_TEST_CASE(a_module_without_a_bug_is_not_refused) {
  for (const Setting setting : {Setting{}, Setting{false}, Setting{true, true, true}}) {
    const auto refusal = consensus::model::first_refusal(group_of(setting), {}, 20);
    BOOST_TEST(!refusal.has_value(), (refusal ? refusal->words() : ""));
  }
}

BOOST_DATA_TEST_CASE(a_bug_in_votes_is_refused, bugs_of_votes) {
  check_refused(group_of({.pre_vote = false}), sample);
}
BOOST_DATA_TEST_CASE(a_bug_in_pre_votes_is_refused, bugs_of_pre_votes) {
  check_refused(group_of({}), sample);
}
BOOST_DATA_TEST_CASE(a_bug_of_a_leader_is_refused, bugs_of_leaders) {
  check_refused(group_of({}), sample);
}
BOOST_DATA_TEST_CASE(a_bug_of_a_follower_is_refused, bugs_of_followers) {
  check_refused(group_of({}), sample);
}
BOOST_DATA_TEST_CASE(a_bug_in_changes_of_voters_is_refused, bugs_of_voters) {
  check_refused(group_of({.changes = true}), sample);
}
BOOST_DATA_TEST_CASE(a_bug_in_images_is_refused, bugs_of_images) {
  check_refused(group_of({.images = true}), sample);
}

// What the disk has of its leadership is kept from the module, but not from the model.
BOOST_AUTO_TEST_CASE(a_leader_that_does_not_know_that_it_led_before_a_restart_is_refused) {
  MutatedGroup group = group_of({});
  group.factory = [](consensus::ModuleContext context) {
    context.recovery.hard_state.leader.reset();
    return make_kraft(std::move(context));
  };
  check_refused(group, {"forgets that it led", resigned_is_over, {}});
}

BOOST_AUTO_TEST_CASE(a_leader_that_leads_on_without_a_quorum_is_refused) {
  MutatedGroup group = group_of({});
  group.factory = [](consensus::ModuleContext context) {
    context.tuning.check_quorum = false;
    return make_kraft(std::move(context));
  };
  check_refused(group, {"does not check its quorum", quorum_checked, {}});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft::model
