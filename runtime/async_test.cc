#include "runtime/async.h"

#include <string>

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/run.h"

namespace qlab::runtime {
namespace {

using std::chrono::milliseconds;

constexpr NodeId one{1};

struct OneNode {
  SimulatedWorld world{1};
  SimulatedNode& node = world.node(one);
};

BOOST_FIXTURE_TEST_SUITE(async, OneNode)

Task<void> append_after(Runtime& runtime, Duration delay, std::string& words, char word) {
  co_await sleep_for(runtime, delay);
  words += word;
}

BOOST_AUTO_TEST_CASE(sleepers_wake_in_the_order_of_their_times) {
  std::string words;
  Gate gate(node);
  for (const int delay : {3, 1, 2, 0}) {
    gate.start([&, delay] {
      return append_after(node, milliseconds(delay), words, static_cast<char>('0' + delay));
    });
  }
  const Time begun = world.now();
  run(world, one, gate.close());
  BOOST_TEST(words == "0123");
  BOOST_TEST(((world.now() - begun) == milliseconds(3)));
}

BOOST_AUTO_TEST_CASE(timers_of_one_instant_fire_in_the_order_in_which_they_were_set) {
  std::string words;
  const Time due = node.now() + milliseconds(5);
  for (const char word : {'a', 'b', 'c'}) node.call_at(due, [&words, word] { words += word; });
  node.call_at(node.now() - milliseconds(1), [&] { words += 'p'; });
  BOOST_TEST(words.empty());
  world.run_for(milliseconds(5));
  BOOST_TEST(words == "pabc");
}

BOOST_AUTO_TEST_CASE(a_cancelled_timer_never_fires_even_when_it_is_due_already) {
  std::string words;
  const Time due = node.now() + milliseconds(5);
  TimerId second;
  node.call_at(due, [&] {
    words += 'a';
    node.cancel(second);
  });
  second = node.call_at(due, [&] { words += 'b'; });
  node.cancel(TimerId(77));
  world.run_for(milliseconds(10));
  BOOST_TEST(words == "a");
}

BOOST_AUTO_TEST_CASE(a_completion_brings_its_value_in_either_order) {
  Completion<int> early(node.executor());
  early.set(1);
  BOOST_TEST(early.is_set());
  BOOST_TEST(run(world, one, early.wait()) == 1);

  Completion<int> late(node.executor());
  world.after(milliseconds(1), [late]() mutable { late.set(2); });
  BOOST_TEST(!late.is_set());
  BOOST_TEST(run(world, one, late.wait()) == 2);
}

BOOST_AUTO_TEST_CASE(a_waiter_goes_on_after_the_call_that_wakes_it) {
  Completion<int> completion(node.executor());
  const auto waiter = begin(world, one, completion.wait());
  world.run_for(milliseconds(1));
  completion.set(3);
  BOOST_TEST(!waiter->value.has_value());
  world.run_for(Duration{});
  BOOST_TEST(waiter->value.has_value());
}

BOOST_AUTO_TEST_CASE(an_event_wakes_all_who_wait_and_none_who_come_later) {
  Event event(node);
  const auto first = begin(world, one, event.wait());
  const auto second = begin(world, one, event.wait());
  world.run_for(milliseconds(1));
  event.notify_all();
  const auto late = begin(world, one, event.wait());
  world.run_for(milliseconds(1));
  BOOST_TEST(first->value.has_value());
  BOOST_TEST(second->value.has_value());
  BOOST_TEST(!late->value.has_value());
  event.notify_all();
  world.run_for(milliseconds(1));
  BOOST_TEST(late->value.has_value());
}

BOOST_AUTO_TEST_CASE(a_wait_with_a_limit_tells_which_of_the_two_came_first) {
  Event event(node);
  const Time begun = node.now();
  BOOST_TEST(!run(world, one, event.wait_until(begun + milliseconds(5))));
  BOOST_TEST((node.now() == begun + milliseconds(5)));

  world.after(milliseconds(2), [&] { event.notify_all(); });
  BOOST_TEST(run(world, one, event.wait_until(begun + milliseconds(50))));
  BOOST_TEST((node.now() == begun + milliseconds(7)));
}

BOOST_AUTO_TEST_CASE(an_event_may_go_once_it_was_notified) {
  auto event = std::make_unique<Event>(node);
  const auto waiter = begin(world, one, event->wait_until(node.now() + milliseconds(5)));
  world.run_for(milliseconds(1));
  event->notify_all();
  event.reset();
  world.run_for(milliseconds(10));
  BOOST_REQUIRE(waiter->value.has_value());
  BOOST_TEST(*waiter->value);
}

BOOST_AUTO_TEST_CASE(a_gate_closes_when_all_that_went_through_it_has_ended) {
  std::string words;
  Gate gate(node);
  gate.start([&] { return append_after(node, milliseconds(5), words, 'a'); });
  gate.start([&] { return append_after(node, milliseconds(9), words, 'b'); });
  BOOST_TEST(gate.running() == 2u);
  BOOST_TEST(words.empty());
  const Time begun = node.now();
  const auto closed = begin(world, one, gate.close());
  world.run_for(milliseconds(8));
  BOOST_TEST(gate.is_closed());
  BOOST_TEST(gate.running() == 1u);
  BOOST_TEST(!closed->value.has_value());
  run(world, one, gate.close());
  BOOST_TEST(words == "ab");
  BOOST_TEST((node.now() - begun == milliseconds(9)));
  BOOST_TEST(closed->value.has_value());
}

BOOST_AUTO_TEST_CASE(a_gate_through_which_nothing_went_closes_at_once) {
  Gate gate(node);
  run(world, one, gate.close());
  BOOST_TEST(gate.is_closed());
}

BOOST_AUTO_TEST_CASE(a_suspension_is_held_once_by_who_holds_it_when_its_waiter_has_gone_on) {
  const auto suspension = std::make_shared<Suspension>(node.executor());
  const auto keeper = suspension;
  const auto waiter = begin(world, one, Suspension::wait(suspension));
  world.run_for(milliseconds(1));
  suspension->resume();
  world.run_for(milliseconds(1));
  BOOST_TEST(waiter->value.has_value());
  BOOST_TEST(suspension.use_count() == 2);
}

// A program whose coroutines wait in every way there is, and that counts the frames of them.
struct Waiting {
  explicit Waiting(Runtime& r, int& frames) : runtime(r), frames_alive(frames) {
    gate.start([this] { return wait_for_event(); });
    gate.start([this] { return sleep(); });
    gate.start([this] { return wait_for_completion(); });
  }
  struct Frame {
    explicit Frame(Waiting& w) : waiting(w) { ++waiting.frames_alive; }
    ~Frame() {
      // All that the program owns is still there.
      BOOST_TEST(waiting.alive == 7);
      --waiting.frames_alive;
    }
    Waiting& waiting;
  };
  ~Waiting() { alive = 0; }
  Task<void> wait_for_event() {
    const Frame frame(*this);
    co_await event.wait_until(runtime.now() + std::chrono::hours(1));
    ++went_on;
  }
  Task<void> sleep() {
    const Frame frame(*this);
    co_await sleep_for(runtime, std::chrono::hours(1));
    ++went_on;
  }
  Task<void> wait_for_completion() {
    const Frame frame(*this);
    co_await completion.wait();
    ++went_on;
  }

  Runtime& runtime;
  int& frames_alive;
  int alive = 7;
  static inline int went_on = 0;
  Event event{runtime};
  Completion<int> completion{runtime.executor()};
  Gate gate{runtime};
};

BOOST_AUTO_TEST_CASE(a_crash_destroys_the_frames_of_all_who_wait_and_none_of_them_goes_on) {
  int frames = 0;
  Completion<int>* kept = nullptr;
  std::shared_ptr<Completion<int>> outlives;
  world.boot(one, [&](Runtime& runtime) {
    auto program = std::make_shared<Waiting>(runtime, frames);
    outlives = std::make_shared<Completion<int>>(program->completion);
    kept = outlives.get();
    return program;
  });
  world.run_for(milliseconds(1));
  BOOST_TEST(frames == 3);
  BOOST_TEST(node.coroutines_waiting() == 3u);
  world.crash(one);
  BOOST_TEST(frames == 0);
  kept->set(1);  // Whoever would have woken it may do so: nobody hears it.
  world.run_for(std::chrono::hours(2));
  BOOST_TEST(Waiting::went_on == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
