// ZAB's model refuses bugs in broadcast, reads and changes of the configuration.
#include "consensus/config.h"
#include "zab/model/mutants_test.h"

namespace qlab::zab::model {
namespace {

using consensus::EntryKind;
using consensus::Fate;

BOOST_AUTO_TEST_SUITE(zab_model_broadcast)

BOOST_AUTO_TEST_CASE(a_module_without_a_bug_is_not_refused) {
  for (const MutatedGroup& group : {group_of_three(), group_that_changes(), group_with_images()}) {
    const auto refusal = consensus::model::first_refusal(group, Mutation{}, 20);
    BOOST_TEST(!refusal.has_value(), (refusal ? refusal->words() : ""));
  }
}

BOOST_AUTO_TEST_CASE(a_proposal_before_service_begins) {
  const auto proposes_early = [](const Input& input, const Status& status, Effects& effects) {
    const auto* propose = std::get_if<in::Propose>(&input);
    if (propose == nullptr || !is_about_to_lead(status)) return;
    Entry entry{{status.epoch, status.last.index.next()}, EntryKind::data, propose->bodies[0]};
    effects.push_back(out::Append{{}, {std::move(entry)}});
  };
  expect_refused(broadcasts, makes(proposes_early));
}

BOOST_AUTO_TEST_CASE(a_proposal_of_an_epoch_that_is_over) {
  expect_refused(own_epoch, alters<out::Append>([](out::Append& append, const Status& status) {
                   if (!leads(status)) return;
                   for (Entry& entry : append.entries) entry.id.epoch = entry.id.epoch.prev();
                 }));
}

BOOST_AUTO_TEST_CASE(an_epoch_that_goes_on_when_its_counter_is_full) {
  MutatedGroup group = group_of_three();
  group.model = [] { return make_zab_model(3); };
  expect_refused(counter_full, Mutation{}, group);
}

BOOST_AUTO_TEST_CASE(proposals_out_of_their_order) {
  expect_refused(in_order, rewrites<Proposal>([](out::Send&, Proposal& proposal) {
                   proposal.previous = proposal.entries.front().id;
                   proposal.entries.erase(proposal.entries.begin());
                 }));
}

BOOST_AUTO_TEST_CASE(a_proposal_that_is_changed) {
  const auto changes = [](out::Append& append, const Status& status) {
    if (status.role == "leading" || !status.leader) return;
    append.entries.back().body = std::make_shared<const Bytes>(9);
  };
  expect_refused(accepts_proposals, alters<out::Append>(changes));
}

BOOST_AUTO_TEST_CASE(a_hole_in_the_history) {
  const auto skips = [](out::Append& append, const Status&) {
    if (append.entries.size() > 1) append.entries.erase(append.entries.begin());
  };
  expect_refused(log_follows, alters<out::Append>(skips));
}

BOOST_AUTO_TEST_CASE(a_proposal_acknowledged_before_it_is_durable) {
  expect_refused(ack_durable, sends_early<Ack>());
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_of_what_is_not_there) {
  expect_refused(ack_durable,
                 rewrites<Ack>([](out::Send&, Ack& ack) { ack.up_to = ack.up_to.next(); }));
}

BOOST_AUTO_TEST_CASE(a_commit_of_what_only_the_leader_has) {
  const auto commits_at_once = [](const Input& input, const Status& status, Effects& effects) {
    if (!std::holds_alternative<in::Propose>(input) || !leads(status)) return;
    if (status.last.index > status.commit) effects.push_back(out::Commit{status.last.index, {}});
  };
  expect_refused(commit_quorum, makes(commits_at_once));
}

BOOST_AUTO_TEST_CASE(a_commit_of_a_former_epoch_before_its_history_is_synced) {
  const auto commits_early = [](const Input&, const Status& status, Effects& effects) {
    if (!is_about_to_lead(status) || status.last.index == status.commit) return;
    effects.push_back(out::Commit{status.last.index, {}});
  };
  expect_refused(commit_former, makes(commits_early));
}

BOOST_AUTO_TEST_CASE(a_commit_that_goes_back) {
  expect_refused(commit_grows, alters<out::Commit>([](out::Commit& commit, const Status&) {
                   commit.up_to = LogIndex{0};
                 }));
}

BOOST_AUTO_TEST_CASE(COMMIT_of_what_is_not_committed) {
  expect_refused(commit_sent, rewrites<Commit>([](out::Send&, Commit& commit) {
                   commit.up_to = commit.up_to.next();
                 }));
}

BOOST_AUTO_TEST_CASE(a_follower_that_commits_what_is_proposed) {
  const auto commits_at_once = [](const Input& input, const Status& status, Effects& effects) {
    if (!heard<Proposal>(input) || !status.leader || status.last.index == status.commit) return;
    effects.push_back(out::Commit{status.last.index, {}});
  };
  expect_refused(commit_told, makes(commits_at_once));
}

BOOST_AUTO_TEST_CASE(a_commit_between_NEWLEADER_and_UPTODATE) {
  const auto commits_early = [](const Input& input, const Status& status, Effects& effects) {
    const auto commit = heard<Commit>(input);
    if (!commit || status.role == "looking" || status.leader) return;
    effects.push_back(out::Commit{status.last.index, {}});
  };
  expect_refused(commit_serving, makes(commits_early));
}

BOOST_AUTO_TEST_CASE(an_observer_informed_of_what_is_not_committed) {
  expect_refused(informs, turns<Proposal, Inform>([](const Proposal& proposal) {
                   return Inform{proposal.session, proposal.previous, proposal.entries};
                 }));
}

BOOST_AUTO_TEST_CASE(a_proposal_to_who_has_no_vote) {
  expect_refused(to_voters, turns<Inform, Proposal>([](const Inform& inform) {
                   return Proposal{inform.session, inform.previous, inform.entries};
                 }));
}

BOOST_AUTO_TEST_CASE(a_client_answered_when_its_proposal_is_appended) {
  const auto answers = [](const Input& input, const Status& status, Effects& effects) {
    const auto* propose = std::get_if<in::Propose>(&input);
    if (propose == nullptr || !leads(status)) return;
    effects.push_back(out::Outcome{propose->request, Fate::committed, status.last, {}});
  };
  expect_refused(answered, makes(answers));
}

BOOST_AUTO_TEST_CASE(a_client_told_that_it_was_superseded_when_nobody_knows) {
  expect_refused(answered, alters<out::Outcome>([](out::Outcome& outcome, const Status&) {
                   if (outcome.fate == Fate::unknown) outcome.fate = Fate::superseded;
                 }));
}

BOOST_AUTO_TEST_CASE(a_read_that_asks_nobody) {
  const auto reads_at_once = [](const Input& input, const Status& status, Effects& effects) {
    const auto* read = std::get_if<in::Read>(&input);
    if (read == nullptr || !leads(status)) return;
    effects.push_back(out::ReadReady{read->request, status.commit});
  };
  expect_refused(read_confirmed, makes(reads_at_once));
}

BOOST_AUTO_TEST_CASE(a_read_of_what_was_committed_before) {
  expect_refused(read_fresh, alters<out::ReadReady>([](out::ReadReady& ready, const Status&) {
                   ready.wait_applied = ready.wait_applied.prev();
                 }));
}

BOOST_AUTO_TEST_CASE(a_cut_that_is_not_asked_of_the_disk) {
  const auto forgets = [](const Input&, const Status&, Effects& effects) {
    std::erase_if(effects, [](const Effect& effect) {
      return std::holds_alternative<out::Truncate>(effect);
    });
  };
  expect_refused(agrees, makes(forgets));
}

BOOST_AUTO_TEST_CASE(a_message_of_another_session) {
  expect_refused(of_session, rewrites<Ack>([](out::Send&, Ack& ack) { ++ack.session; }));
}

BOOST_AUTO_TEST_CASE(a_session_that_outlives_its_stream) {
  const auto sees_one_stream = [](const Input& input, const Status&) -> Input {
    if (std::holds_alternative<in::LinkDown>(input)) return in::Applied{};
    auto changed = input;
    if (auto* receive = std::get_if<in::Receive>(&changed)) receive->link = 1;
    return changed;
  };
  expect_refused(of_session, hears(sees_one_stream));
}

BOOST_AUTO_TEST_CASE(a_message_of_another_epoch) {
  expect_refused(message_epoch, rewrites<Proposal>([](out::Send& send, Proposal&) {
                   auto copy = std::make_shared<consensus::Message>(*send.message);
                   copy->epoch = copy->epoch.next();
                   send.message = std::move(copy);
                 }));
}

// Changes the configurations that a leader proposes.
Mutation proposes_config(std::function<void(consensus::Config&)> change) {
  return alters<out::Append>([change](out::Append& append, const Status& status) {
    for (Entry& entry : append.entries) {
      if (entry.kind != EntryKind::config || status.role != "leading") continue;
      consensus::Config config = consensus::decode_config(*entry.body).value();
      change(config);
      entry.body = std::make_shared<const Bytes>(consensus::encode_config(config));
    }
  });
}

BOOST_AUTO_TEST_CASE(a_change_in_one_step) {
  const auto at_once = [](consensus::Config& config) { config.outgoing.clear(); };
  expect_refused(both_halves, proposes_config(at_once), group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_change_before_the_last_is_over) {
  const auto twice = [](const Input&, const Status&, Effects& effects) {
    for (std::size_t i = 0; i < effects.size(); ++i) {
      const auto* append = std::get_if<out::Append>(&effects[i]);
      if (append == nullptr || append->entries[0].kind != EntryKind::config) continue;
      out::Append again = *append;
      again.entries[0].id.index = again.entries[0].id.index.next();
      effects.insert(effects.begin() + static_cast<std::ptrdiff_t>(i) + 1, again);
      return;
    }
  };
  expect_refused(one_change, makes(twice), group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_change_to_members_that_do_not_follow) {
  const auto obeys = [](const Input& input, const Status& status, Effects& effects) {
    const auto* change = std::get_if<in::Reconfigure>(&input);
    const auto* outcome = effects.empty() ? nullptr : std::get_if<out::Outcome>(&effects[0]);
    if (change == nullptr || outcome == nullptr) return;
    if (outcome->reason != "no_quorum_of_the_new_is_synced") return;
    consensus::Config joint = change->target;
    joint.outgoing = group_of_three().options.config.members;
    auto body = std::make_shared<const Bytes>(consensus::encode_config(joint));
    Entry entry{{status.epoch, status.last.index.next()}, EntryKind::config, std::move(body)};
    effects.assign(1, out::Append{{}, {std::move(entry)}});
  };
  expect_refused(joiners_synced, makes(obeys), group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_configuration_in_force_that_is_not_in_the_log) {
  expect_refused(in_force, alters<out::ConfigActive>([](out::ConfigActive& active, const Status&) {
                   active.config.members.pop_back();
                 }),
                 group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_configuration_activated_for_nobody) {
  expect_refused(activates_config,
                 rewrites<CommitAndActivate>(
                     [](out::Send&, CommitAndActivate& message) { message.designated = no_node; }),
                 group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_leader_that_stays_when_it_has_no_vote) {
  const auto stays = [](const Input&, const Status&, Effects& effects) {
    const auto leaves = std::find_if(effects.begin(), effects.end(), [](const Effect& effect) {
      const auto* trace = std::get_if<out::Trace>(&effect);
      return trace != nullptr && trace->reason == "handed_over";
    });
    effects.erase(leaves, effects.end());
  };
  expect_refused(leader_votes, makes(stays), group_that_changes());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab::model
