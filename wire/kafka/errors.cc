#include "wire/kafka/errors.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace qlab::wire {

namespace {

struct Row {
  KafkaError error;
  std::string_view name;
  bool is_retriable;
};

constexpr std::array<Row, 101> rows{
    Row{KafkaError::unknown_server_error, "UNKNOWN_SERVER_ERROR", false},
    Row{KafkaError::none, "NONE", false},
    Row{KafkaError::offset_out_of_range, "OFFSET_OUT_OF_RANGE", false},
    Row{KafkaError::corrupt_message, "CORRUPT_MESSAGE", true},
    Row{KafkaError::unknown_topic_or_partition, "UNKNOWN_TOPIC_OR_PARTITION", true},
    Row{KafkaError::invalid_fetch_size, "INVALID_FETCH_SIZE", false},
    Row{KafkaError::leader_not_available, "LEADER_NOT_AVAILABLE", true},
    Row{KafkaError::not_leader_or_follower, "NOT_LEADER_OR_FOLLOWER", true},
    Row{KafkaError::request_timed_out, "REQUEST_TIMED_OUT", true},
    Row{KafkaError::broker_not_available, "BROKER_NOT_AVAILABLE", false},
    Row{KafkaError::replica_not_available, "REPLICA_NOT_AVAILABLE", true},
    Row{KafkaError::message_too_large, "MESSAGE_TOO_LARGE", false},
    Row{KafkaError::stale_controller_epoch, "STALE_CONTROLLER_EPOCH", false},
    Row{KafkaError::offset_metadata_too_large, "OFFSET_METADATA_TOO_LARGE", false},
    Row{KafkaError::network_exception, "NETWORK_EXCEPTION", true},
    Row{KafkaError::coordinator_load_in_progress, "COORDINATOR_LOAD_IN_PROGRESS", true},
    Row{KafkaError::coordinator_not_available, "COORDINATOR_NOT_AVAILABLE", true},
    Row{KafkaError::not_coordinator, "NOT_COORDINATOR", true},
    Row{KafkaError::invalid_topic_exception, "INVALID_TOPIC_EXCEPTION", false},
    Row{KafkaError::record_list_too_large, "RECORD_LIST_TOO_LARGE", false},
    Row{KafkaError::not_enough_replicas, "NOT_ENOUGH_REPLICAS", true},
    Row{KafkaError::not_enough_replicas_after_append, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true},
    Row{KafkaError::invalid_required_acks, "INVALID_REQUIRED_ACKS", false},
    Row{KafkaError::illegal_generation, "ILLEGAL_GENERATION", false},
    Row{KafkaError::inconsistent_group_protocol, "INCONSISTENT_GROUP_PROTOCOL", false},
    Row{KafkaError::invalid_group_id, "INVALID_GROUP_ID", false},
    Row{KafkaError::unknown_member_id, "UNKNOWN_MEMBER_ID", false},
    Row{KafkaError::invalid_session_timeout, "INVALID_SESSION_TIMEOUT", false},
    Row{KafkaError::rebalance_in_progress, "REBALANCE_IN_PROGRESS", false},
    Row{KafkaError::invalid_commit_offset_size, "INVALID_COMMIT_OFFSET_SIZE", false},
    Row{KafkaError::topic_authorization_failed, "TOPIC_AUTHORIZATION_FAILED", false},
    Row{KafkaError::group_authorization_failed, "GROUP_AUTHORIZATION_FAILED", false},
    Row{KafkaError::cluster_authorization_failed, "CLUSTER_AUTHORIZATION_FAILED", false},
    Row{KafkaError::invalid_timestamp, "INVALID_TIMESTAMP", false},
    Row{KafkaError::unsupported_sasl_mechanism, "UNSUPPORTED_SASL_MECHANISM", false},
    Row{KafkaError::illegal_sasl_state, "ILLEGAL_SASL_STATE", false},
    Row{KafkaError::unsupported_version, "UNSUPPORTED_VERSION", false},
    Row{KafkaError::topic_already_exists, "TOPIC_ALREADY_EXISTS", false},
    Row{KafkaError::invalid_partitions, "INVALID_PARTITIONS", false},
    Row{KafkaError::invalid_replication_factor, "INVALID_REPLICATION_FACTOR", false},
    Row{KafkaError::invalid_replica_assignment, "INVALID_REPLICA_ASSIGNMENT", false},
    Row{KafkaError::invalid_config, "INVALID_CONFIG", false},
    Row{KafkaError::not_controller, "NOT_CONTROLLER", true},
    Row{KafkaError::invalid_request, "INVALID_REQUEST", false},
    Row{KafkaError::unsupported_for_message_format, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false},
    Row{KafkaError::policy_violation, "POLICY_VIOLATION", false},
    Row{KafkaError::out_of_order_sequence_number, "OUT_OF_ORDER_SEQUENCE_NUMBER", false},
    Row{KafkaError::duplicate_sequence_number, "DUPLICATE_SEQUENCE_NUMBER", false},
    Row{KafkaError::invalid_producer_epoch, "INVALID_PRODUCER_EPOCH", false},
    Row{KafkaError::invalid_txn_state, "INVALID_TXN_STATE", false},
    Row{KafkaError::invalid_producer_id_mapping, "INVALID_PRODUCER_ID_MAPPING", false},
    Row{KafkaError::invalid_transaction_timeout, "INVALID_TRANSACTION_TIMEOUT", false},
    Row{KafkaError::concurrent_transactions, "CONCURRENT_TRANSACTIONS", true},
    Row{KafkaError::transaction_coordinator_fenced, "TRANSACTION_COORDINATOR_FENCED", false},
    Row{KafkaError::transactional_id_authorization_failed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        false},
    Row{KafkaError::security_disabled, "SECURITY_DISABLED", false},
    Row{KafkaError::operation_not_attempted, "OPERATION_NOT_ATTEMPTED", false},
    Row{KafkaError::kafka_storage_error, "KAFKA_STORAGE_ERROR", true},
    Row{KafkaError::log_dir_not_found, "LOG_DIR_NOT_FOUND", false},
    Row{KafkaError::sasl_authentication_failed, "SASL_AUTHENTICATION_FAILED", false},
    Row{KafkaError::unknown_producer_id, "UNKNOWN_PRODUCER_ID", false},
    Row{KafkaError::reassignment_in_progress, "REASSIGNMENT_IN_PROGRESS", false},
    Row{KafkaError::non_empty_group, "NON_EMPTY_GROUP", false},
    Row{KafkaError::group_id_not_found, "GROUP_ID_NOT_FOUND", false},
    Row{KafkaError::fetch_session_id_not_found, "FETCH_SESSION_ID_NOT_FOUND", true},
    Row{KafkaError::invalid_fetch_session_epoch, "INVALID_FETCH_SESSION_EPOCH", true},
    Row{KafkaError::listener_not_found, "LISTENER_NOT_FOUND", true},
    Row{KafkaError::topic_deletion_disabled, "TOPIC_DELETION_DISABLED", false},
    Row{KafkaError::fenced_leader_epoch, "FENCED_LEADER_EPOCH", true},
    Row{KafkaError::unknown_leader_epoch, "UNKNOWN_LEADER_EPOCH", true},
    Row{KafkaError::unsupported_compression_type, "UNSUPPORTED_COMPRESSION_TYPE", false},
    Row{KafkaError::stale_broker_epoch, "STALE_BROKER_EPOCH", false},
    Row{KafkaError::offset_not_available, "OFFSET_NOT_AVAILABLE", true},
    Row{KafkaError::member_id_required, "MEMBER_ID_REQUIRED", false},
    Row{KafkaError::preferred_leader_not_available, "PREFERRED_LEADER_NOT_AVAILABLE", true},
    Row{KafkaError::group_max_size_reached, "GROUP_MAX_SIZE_REACHED", false},
    Row{KafkaError::fenced_instance_id, "FENCED_INSTANCE_ID", false},
    Row{KafkaError::eligible_leaders_not_available, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true},
    Row{KafkaError::election_not_needed, "ELECTION_NOT_NEEDED", true},
    Row{KafkaError::no_reassignment_in_progress, "NO_REASSIGNMENT_IN_PROGRESS", false},
    Row{KafkaError::group_subscribed_to_topic, "GROUP_SUBSCRIBED_TO_TOPIC", false},
    Row{KafkaError::invalid_record, "INVALID_RECORD", false},
    Row{KafkaError::unstable_offset_commit, "UNSTABLE_OFFSET_COMMIT", true},
    Row{KafkaError::throttling_quota_exceeded, "THROTTLING_QUOTA_EXCEEDED", true},
    Row{KafkaError::producer_fenced, "PRODUCER_FENCED", false},
    Row{KafkaError::resource_not_found, "RESOURCE_NOT_FOUND", false},
    Row{KafkaError::duplicate_resource, "DUPLICATE_RESOURCE", false},
    Row{KafkaError::inconsistent_voter_set, "INCONSISTENT_VOTER_SET", false},
    Row{KafkaError::invalid_update_version, "INVALID_UPDATE_VERSION", false},
    Row{KafkaError::feature_update_failed, "FEATURE_UPDATE_FAILED", false},
    Row{KafkaError::snapshot_not_found, "SNAPSHOT_NOT_FOUND", false},
    Row{KafkaError::position_out_of_range, "POSITION_OUT_OF_RANGE", false},
    Row{KafkaError::unknown_topic_id, "UNKNOWN_TOPIC_ID", true},
    Row{KafkaError::duplicate_broker_registration, "DUPLICATE_BROKER_REGISTRATION", false},
    Row{KafkaError::broker_id_not_registered, "BROKER_ID_NOT_REGISTERED", false},
    Row{KafkaError::inconsistent_topic_id, "INCONSISTENT_TOPIC_ID", true},
    Row{KafkaError::inconsistent_cluster_id, "INCONSISTENT_CLUSTER_ID", false},
    Row{KafkaError::transactional_id_not_found, "TRANSACTIONAL_ID_NOT_FOUND", false},
    Row{KafkaError::fetch_session_topic_id_error, "FETCH_SESSION_TOPIC_ID_ERROR", true},
    Row{KafkaError::ineligible_replica, "INELIGIBLE_REPLICA", false},
    Row{KafkaError::new_leader_elected, "NEW_LEADER_ELECTED", false},
};

const Row* find_row(KafkaError error) {
  const auto row = std::ranges::find(rows, error, &Row::error);
  return row == rows.end() ? nullptr : &*row;
}

}  // namespace

std::string name_of(KafkaError error) {
  if (const Row* row = find_row(error)) return std::string(row->name);
  return fmt::format("ERROR_{}", static_cast<int>(error));
}

bool is_retriable(KafkaError error) {
  const Row* row = find_row(error);
  return row != nullptr && row->is_retriable;
}

KafkaError kafka_error_of(Errc code) {
  switch (code) {
    case Errc::invalid:
      return KafkaError::invalid_request;
    case Errc::corrupt:
      return KafkaError::corrupt_message;
    case Errc::torn:
    case Errc::io:
    case Errc::no_space:
      return KafkaError::kafka_storage_error;
    case Errc::not_found:
      return KafkaError::unknown_topic_or_partition;
    case Errc::exists:
      return KafkaError::topic_already_exists;
    case Errc::out_of_range:
      return KafkaError::offset_out_of_range;
    case Errc::not_leader:
      return KafkaError::not_leader_or_follower;
    case Errc::fenced:
      return KafkaError::fenced_leader_epoch;
    case Errc::unknown_epoch:
      return KafkaError::unknown_leader_epoch;
    case Errc::not_enough_replicas:
      return KafkaError::not_enough_replicas;
    case Errc::unsupported:
      return KafkaError::unsupported_version;
    case Errc::out_of_sequence:
      return KafkaError::out_of_order_sequence_number;
    case Errc::stale_producer:
      return KafkaError::invalid_producer_epoch;
    case Errc::overloaded:
    case Errc::timed_out:
    case Errc::closed:
    case Errc::aborted:
    case Errc::unknown_outcome:
      return KafkaError::request_timed_out;
  }
  return KafkaError::unknown_server_error;
}

}  // namespace qlab::wire
