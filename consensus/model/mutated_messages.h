#pragma once
// Bugs in messages: one kind of them is changed between a module and its model. For tests.

#include "consensus/model/mutated_walk.h"

namespace qlab::consensus::model {

// Of the protocol whose messages.h has these two, over a variant of all its messages.
template <auto encode, auto decode>
struct Messages {
  using Payload = std::decay_t<decltype(decode(std::declval<const Message&>()).value())>;

  // Mutation::makes: changes the messages of type T that a node sends.
  template <class T>
  static auto rewrites(std::function<void(out::Send&, T&)> change) {
    return [change](const Input&, const Status&, std::vector<Effect>& effects) {
      for (Effect& effect : effects) {
        auto* send = std::get_if<out::Send>(&effect);
        if (send == nullptr) continue;
        Payload payload = decode(*send->message).value();
        auto* message = std::get_if<T>(&payload);
        if (message == nullptr) continue;
        change(*send, *message);
        send->message = std::make_shared<Message>(encode(send->message->epoch, payload));
      }
    };
  }

  // Mutation::hears: changes the messages of type T that a node hears.
  template <class T>
  static auto mishears(std::function<void(T&, const Status&)> change) {
    return [change](const Input& input, const Status& status) -> Input {
      const auto* receive = std::get_if<in::Receive>(&input);
      if (receive == nullptr) return input;
      Payload payload = decode(*receive->message).value();
      auto* message = std::get_if<T>(&payload);
      if (message == nullptr) return input;
      change(*message, status);
      auto copy = std::make_shared<Message>(encode(receive->message->epoch, payload));
      return in::Receive{receive->from, receive->link, std::move(copy)};
    };
  }
};

}  // namespace qlab::consensus::model
