#pragma once
// Bugs that are put between KRaft's module and its model. For the model's tests.

#include <algorithm>

#include "consensus/model/mutated_messages.h"
#include "raft/kraft/kraft.h"
#include "raft/kraft/model/kraft_model.h"
#include "raft/kraft/model/rules.h"

namespace qlab::raft::kraft::model {

using consensus::Effect;
using consensus::Input;
using consensus::Status;
using consensus::WriteSeq;
using consensus::model::MutatedGroup;
using consensus::model::Mutation;
using Effects = std::vector<Effect>;

struct Bug {
  std::string_view name;
  Rule rule;  // That it breaks.
  Mutation mutation;
};

inline std::ostream& operator<<(std::ostream& words, const Bug& bug) {
  return words << bug.name;
}

inline Mutation hears(std::function<Input(const Input&, const Status&)> change) {
  Mutation mutation;
  mutation.hears = std::move(change);
  return mutation;
}
inline Mutation makes(std::function<void(const Input&, const Status&, Effects&)> change) {
  Mutation mutation;
  mutation.makes = std::move(change);
  return mutation;
}

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

// Whatever is of type T, in a step that has a W.
template <class W, class T>
void drops_with(const Input&, const Status&, Effects& effects) {
  const auto is_with = [](const Effect& effect) { return std::holds_alternative<W>(effect); };
  if (std::none_of(effects.begin(), effects.end(), is_with)) return;
  std::erase_if(effects, [](const Effect& effect) { return std::holds_alternative<T>(effect); });
}

struct Setting {
  bool pre_vote = true;
  bool changes = false;
  bool images = false;
};

inline MutatedGroup group_of(Setting setting) {
  MutatedGroup group{make_kraft, make_kraft_model, {}, setting.changes, setting.images};
  for (int i = 1; i <= 3; ++i) group.options.config.members.push_back({NodeId{i}});
  group.options.tuning.pre_vote = setting.pre_vote;
  group.options.tuning.snapshot_chunk_bytes = 4;
  return group;
}

// In words, if another rule is named than the one that the bug breaks; empty: it is that one.
inline std::string refused_otherwise(const MutatedGroup& group, const Bug& bug) {
  const auto refusal = consensus::model::first_refusal(group, bug.mutation, 50);
  if (!refusal) return "it is not refused";
  return refusal->rule.expected == bug.rule.expected ? "" : refusal->words();
}

}  // namespace qlab::raft::kraft::model
