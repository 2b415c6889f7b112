#include "consensus/proposals.h"

#include "consensus/driver.h"

namespace qlab::consensus {

bool Proposals::add(std::vector<Bytes>& bodies, std::optional<Epoch> expect_epoch,
                    std::size_t bytes_max, const Waiter& waiter) {
  std::size_t bytes = 0;
  for (const Bytes& body : bodies) bytes += body.size();
  if (lingers() &&
      (gathering_.expect_epoch != expect_epoch || gathering_bytes_ + bytes > bytes_max)) {
    return false;
  }
  gathering_.expect_epoch = expect_epoch;
  gathering_bytes_ += bytes;
  for (Call& call : gathering_calls_) {
    call.entries_behind += static_cast<std::int64_t>(bodies.size());
  }
  for (Bytes& body : bodies) {
    gathering_.bodies.push_back(std::make_shared<const Bytes>(std::move(body)));
  }
  gathering_calls_.push_back({0, waiter});
  return true;
}

in::Propose Proposals::take(RequestId request) {
  CHECK(lingers());
  gathering_.request = request;
  undecided_.emplace(request, std::exchange(gathering_calls_, {}));
  gathering_bytes_ = 0;
  return std::exchange(gathering_, {});
}

void Proposals::answer(Calls& calls, const out::Outcome& outcome) {
  for (Call& call : calls) {
    ProposeResult result{outcome.fate, {}, outcome.hint};
    if (outcome.fate == Fate::committed) {
      result.at = {outcome.at.epoch, outcome.at.index.plus(-call.entries_behind)};
    }
    call.waiter.set(result);
  }
}

void Proposals::decide(const out::Outcome& outcome) {
  auto calls = undecided_.extract(outcome.request);
  if (calls.empty()) return;  // Of a read.
  if (outcome.fate == Fate::committed) {
    committed_.emplace(outcome.at.index, std::pair(outcome, std::move(calls.mapped())));
  } else {
    answer(calls.mapped(), outcome);
  }
}

void Proposals::applied(LogIndex up_to) {
  while (!committed_.empty() && committed_.begin()->first <= up_to) {
    auto [outcome, calls] = std::move(committed_.begin()->second);
    committed_.erase(committed_.begin());
    answer(calls, outcome);
  }
}

void Proposals::abandon() {
  Calls rejected = std::exchange(gathering_calls_, {});
  gathering_ = {};
  answer(rejected, {RequestId{}, Fate::rejected, {}, std::nullopt});
  for (auto& [request, calls] : std::exchange(undecided_, {})) {
    answer(calls, {request, Fate::unknown, {}, std::nullopt});
  }
  for (auto& [index, entry] : std::exchange(committed_, {})) answer(entry.second, entry.first);
}

}  // namespace qlab::consensus
