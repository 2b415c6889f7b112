// The part of the active controller that answers calls of administration.

#include <iterator>

#include "controller/administer.h"
#include "controller/quorum/active_controller.h"
#include "controller/quorum/admin_decisions.h"

namespace qlab::controller {

// Decides on the request and answers once that is committed.
template <class Request, class Decide>
Task<Result<Bytes>> ActiveController::carry_out_call(Bytes request, Decide decide) {
  CO_TRY(const Request message, decode_newest<Request>(request));
  auto decision = decide(*decided_, message);
  CO_TRY_VOID(co_await commit(std::move(decision.records)));
  co_return encode_newest(decision.answer);
}

// An election of all partitions comes in pieces.
Task<Result<Bytes>> ActiveController::elect_all(Bytes request) {
  CO_TRY(const auto message, decode_newest<wire::ElectLeadersRequest>(request));
  wire::ElectLeadersResponse response;
  for (bool goes_on = true; goes_on;) {
    if (!epoch_)
      co_return fail(Errc::not_leader, "this node is not the active controller any more");
    auto decision = decide_elections(*decided_, message, options_);
    // One piece is all of it when the partitions are named.
    goes_on = !decision.records.empty() && !message.topic_partitions;
    auto& results = decision.answer.replica_election_results;
    std::move(results.begin(), results.end(),
              std::back_inserter(response.replica_election_results));
    response.error_code = decision.answer.error_code;
    CO_TRY_VOID(co_await commit(std::move(decision.records)));
  }
  co_return encode_newest(response);
}

Task<Result<Bytes>> ActiveController::administer(std::int16_t api_key, Bytes request) {
  if (!epoch_) co_return fail(Errc::not_leader, "this node is not the active controller");
  using metadata::Image;
  switch (static_cast<wire::ApiKey>(api_key)) {
    case wire::ApiKey::elect_leaders:
      co_return co_await elect_all(std::move(request));
    case wire::ApiKey::alter_partition_reassignments: {
      using Request = wire::AlterPartitionReassignmentsRequest;
      const auto decide = [this](const Image& image, const Request& message) {
        return decide_reassignments(image, message, options_);
      };
      co_return co_await carry_out_call<Request>(std::move(request), decide);
    }
    case wire::ApiKey::list_partition_reassignments: {
      using Request = wire::ListPartitionReassignmentsRequest;
      const auto decide = [](const Image& image, const Request& message) {
        return Decision<wire::ListPartitionReassignmentsResponse>{
            {}, list_reassignments(image, message)};
      };
      co_return co_await carry_out_call<Request>(std::move(request), decide);
    }
    case wire::ApiKey::create_partitions: {
      using Request = wire::CreatePartitionsRequest;
      const auto decide = [this](const Image& image, const Request& message) {
        return decide_growth(image, message, runtime_.random());
      };
      co_return co_await carry_out_call<Request>(std::move(request), decide);
    }
    case wire::ApiKey::alter_configs: {
      using Request = wire::AlterConfigsRequest;
      const auto decide = [](const Image& image, const Request& message) {
        return decide_configs(image, message);
      };
      co_return co_await carry_out_call<Request>(std::move(request), decide);
    }
    case wire::ApiKey::incremental_alter_configs: {
      using Request = wire::IncrementalAlterConfigsRequest;
      const auto decide = [](const Image& image, const Request& message) {
        return decide_configs(image, message);
      };
      co_return co_await carry_out_call<Request>(std::move(request), decide);
    }
    default:
      co_return fail(Errc::unsupported, "controller call {} is unknown", api_key);
  }
}

}  // namespace qlab::controller
