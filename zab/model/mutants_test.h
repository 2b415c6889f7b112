#pragma once
// Bugs that ZAB's model must refuse, each by the rule that it breaks: what the tests of them share.

#include <boost/test/unit_test.hpp>

#include "consensus/model/mutated_messages.h"
#include "zab/messages.h"
#include "zab/model/rules.h"
#include "zab/model/zab_model.h"
#include "zab/zab.h"

namespace qlab::zab::model {

using consensus::Effect;
using consensus::Entry;
using consensus::Input;
using consensus::Status;
using consensus::WriteSeq;
using consensus::model::MutatedGroup;
using consensus::model::Mutation;
using Effects = std::vector<Effect>;

// Members 1 to 3, and 4, which observes.
inline MutatedGroup group_of_three() {
  MutatedGroup group{make_zab, [] { return make_zab_model(); }, {}};
  for (int i = 1; i <= 3; ++i) group.options.config.members.push_back({NodeId{i}});
  group.options.config.members.push_back({NodeId{4}, consensus::MemberRole::observer});
  group.options.tuning.snapshot_chunk_bytes = 4;
  return group;
}
inline MutatedGroup group_that_changes() {
  MutatedGroup group = group_of_three();
  group.changes = true;
  return group;
}
inline MutatedGroup group_with_images() {
  MutatedGroup group = group_of_three();
  group.images = true;
  return group;
}

// A bug in what a module starts with.
inline MutatedGroup starts_with(MutatedGroup group,
                                std::function<void(consensus::ModuleContext&)> change) {
  const auto factory = group.factory;
  group.factory = [factory, change = std::move(change)](consensus::ModuleContext context) {
    change(context);
    return factory(std::move(context));
  };
  return group;
}

inline void expect_refused(const Rule& rule, const Mutation& mutation,
                           const MutatedGroup& group = group_of_three()) {
  const auto refusal = consensus::model::first_refusal(group, mutation, 200);
  BOOST_REQUIRE(refusal.has_value());
  BOOST_TEST_MESSAGE(refusal->words());
  BOOST_TEST(refusal->rule.expected == rule.expected, refusal->words());
}

inline Mutation makes(std::function<void(const Input&, const Status&, Effects&)> change) {
  Mutation mutation;
  mutation.makes = std::move(change);
  return mutation;
}
inline Mutation hears(std::function<Input(const Input&, const Status&)> change) {
  Mutation mutation;
  mutation.hears = std::move(change);
  return mutation;
}

// Changes the messages of type T that a node sends, or hears.
using Messages = consensus::model::Messages<encode, decode>;
template <class T>
Mutation rewrites(std::function<void(out::Send&, T&)> change) {
  return makes(Messages::rewrites<T>(std::move(change)));
}
template <class T>
Mutation mishears(std::function<void(T&, const Status&)> change) {
  return hears(Messages::mishears<T>(std::move(change)));
}
template <class T>
Mutation sends_early() {
  return rewrites<T>([](out::Send& send, T&) { send.after = {}; });
}

// Leaves out the messages of type T that a node sends.
template <class T>
Mutation drops() {
  return makes([](const Input&, const Status&, Effects& effects) {
    std::erase_if(effects, [](const Effect& effect) {
      const auto* send = std::get_if<out::Send>(&effect);
      return send != nullptr && std::holds_alternative<T>(decode(*send->message).value());
    });
  });
}

// Sends a U, made of it, in place of each T.
template <class T, class U>
Mutation turns(std::function<U(const T&)> into) {
  return makes([into](const Input&, const Status&, Effects& effects) {
    for (Effect& effect : effects) {
      auto* send = std::get_if<out::Send>(&effect);
      if (send == nullptr) continue;
      const Payload payload = decode(*send->message).value();
      const auto* found = std::get_if<T>(&payload);
      if (found == nullptr) continue;
      const auto turned = encode(send->message->epoch, into(*found));
      send->message = std::make_shared<const consensus::Message>(turned);
    }
  });
}

// Changes effects of type T.
template <class T>
Mutation alters(std::function<void(T&, const Status&)> change) {
  return makes([change](const Input&, const Status& status, Effects& effects) {
    for (Effect& effect : effects) {
      if (auto* found = std::get_if<T>(&effect)) change(*found, status);
    }
  });
}

inline bool has_traced(const Effects& effects, std::string_view action) {
  return std::any_of(effects.begin(), effects.end(), [action](const Effect& effect) {
    const auto* trace = std::get_if<out::Trace>(&effect);
    return trace != nullptr && trace->action == action;
  });
}

// The input, when it is a T that says something.
template <class T>
std::optional<T> heard(const Input& input) {
  const auto* receive = std::get_if<in::Receive>(&input);
  if (receive == nullptr) return std::nullopt;
  const Payload payload = decode(*receive->message).value();
  const auto* message = std::get_if<T>(&payload);
  return message == nullptr ? std::nullopt : std::optional<T>(*message);
}

inline bool leads(const Status& status) {
  return status.role == "leading" && status.leader.has_value();
}
inline bool is_about_to_lead(const Status& status) {
  return status.role == "leading" && !status.leader.has_value();
}

}  // namespace qlab::zab::model
