#include "broker/dispatch.h"

#include <array>

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::ApiKey;

struct Row {
  ApiKey key;
  Handler handler;
};

constexpr std::array rows{
    Row{ApiKey::produce, handle_produce},
    Row{ApiKey::fetch, handle_fetch},
    Row{ApiKey::list_offsets, handle_list_offsets},
    Row{ApiKey::metadata, handle_metadata},
    Row{ApiKey::find_coordinator, handle_find_coordinator},
    Row{ApiKey::api_versions, handle_api_versions},
    Row{ApiKey::create_topics, handle_create_topics},
    Row{ApiKey::delete_topics, handle_delete_topics},
    Row{ApiKey::delete_records, handle_delete_records},
    Row{ApiKey::init_producer_id, handle_init_producer_id},
    Row{ApiKey::offset_for_leader_epoch, handle_offset_for_leader_epoch},
    Row{ApiKey::describe_configs, handle_describe_configs},
    Row{ApiKey::alter_configs, handle_alter_configs},
    Row{ApiKey::create_partitions, handle_create_partitions},
    Row{ApiKey::elect_leaders, handle_elect_leaders},
    Row{ApiKey::incremental_alter_configs, handle_incremental_alter_configs},
    Row{ApiKey::alter_partition_reassignments, handle_alter_partition_reassignments},
    Row{ApiKey::list_partition_reassignments, handle_list_partition_reassignments},
    Row{ApiKey::describe_cluster, handle_describe_cluster},
};

}  // namespace

std::vector<wire::ApiInfo> served_apis() {
  std::vector<wire::ApiInfo> apis;
  for (const Row& row : rows) apis.push_back(*wire::find_api(row.key));
  return apis;
}

Task<Result<Bytes>> Dispatch::handle(Request request) {
  const wire::RequestHeader& header = request.header;
  for (const Row& row : rows) {
    if (row.key != header.api_key) continue;
    if (speaks(header) == wire::Speaks::yes) {
      co_return co_await row.handler(services_, std::move(request));
    }
    if (row.key != ApiKey::api_versions) break;
    BytesWriter out;
    wire::encode_unsupported_api_versions_frame(out, header.correlation_id);
    co_return out.take();
  }
  if (speaks(header) == wire::Speaks::yes) {
    co_return fail(Errc::unsupported, "api key {} is for calls between nodes only",
                   static_cast<int>(header.api_key));
  }
  co_return fail(Errc::unsupported, "{}", explain(header));
}

}  // namespace qlab::broker
