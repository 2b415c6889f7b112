#include "controller/zk/reign.h"
namespace qlab::controller {
Task<Result<void>> Reign::take_over() {
  is_active_ = true;
  co_return Result<void>{};
}
Task<Result<void>> Reign::on_brokers_changed() {
  co_return Result<void>{};
}
Task<Result<void>> Reign::on_topics_changed() {
  co_return Result<void>{};
}
Task<Result<void>> Reign::on_topic_modified(std::string) {
  co_return Result<void>{};
}
Task<Result<void>> Reign::on_deletions_changed() {
  co_return Result<void>{};
}
Task<Result<void>> Reign::on_replicas_deleted(NodeId, std::vector<TopicPartition>,
                                              wire::StopReplicaResponse) {
  co_return Result<void>{};
}
Task<Result<std::vector<AlterationOutcome>>> Reign::alter_partition(AlterPartition) {
  co_return fail(Errc::unsupported, "AlterPartition");
}
Task<Result<std::vector<TopicPartition>>> Reign::shut_down(NodeId, BrokerEpoch) {
  co_return fail(Errc::unsupported, "ControlledShutdown");
}
Task<Result<void>> Reign::rebalance() {
  co_return Result<void>{};
}
Task<Result<Bytes>> Reign::administer(wire::ApiKey, Bytes) {
  co_return fail(Errc::unsupported, "administration");
}
Task<Result<std::vector<TopicOutcome>>> Reign::create_topics(std::vector<NewTopic>, bool, Time) {
  co_return fail(Errc::unsupported, "CreateTopics");
}
Task<Result<std::vector<TopicOutcome>>> Reign::delete_topics(std::vector<std::string>, Time) {
  co_return fail(Errc::unsupported, "DeleteTopics");
}
}  // namespace qlab::controller
