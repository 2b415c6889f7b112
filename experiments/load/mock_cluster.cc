// A stand-in for a cluster in the load generator's own tests: librdkafka's mock brokers as a
// process.
//
// usage: mock_cluster TOPIC PARTITIONS BROKERS
// Prints its bootstrap servers, then obeys lines on stdin until it closes:
//   down ID | up ID                           a broker's connections break and are refused, or are
//   accepted again leader PARTITION ID                       moves a partition of TOPIC errors
//   APIKEY ERRORCODE COUNT             the next COUNT requests of that kind fail so

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace {

void obey(rd_kafka_mock_cluster_t* cluster, const char* topic, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  int first = 0;
  int second = 0;
  words >> first >> second;
  if (verb == "down") rd_kafka_mock_broker_set_down(cluster, first);
  if (verb == "up") rd_kafka_mock_broker_set_up(cluster, first);
  if (verb == "leader") rd_kafka_mock_partition_set_leader(cluster, topic, first, second);
  if (verb == "errors") {
    std::size_t count = 0;
    words >> count;
    const std::vector<rd_kafka_resp_err_t> errors(count, static_cast<rd_kafka_resp_err_t>(second));
    rd_kafka_mock_push_request_errors_array(cluster, static_cast<std::int16_t>(first), count,
                                            errors.data());
  }
  std::cout << "done " << line << std::endl;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: mock_cluster TOPIC PARTITIONS BROKERS\n";
    return 2;
  }
  std::array<char, 512> why{};
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why.data(), why.size());
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(client, std::atoi(words[3]));
  const int replicas = std::min(3, std::atoi(words[3]));
  rd_kafka_mock_topic_create(cluster, words[1], std::atoi(words[2]), replicas);
  std::cout << rd_kafka_mock_cluster_bootstraps(cluster) << std::endl;
  for (std::string line; std::getline(std::cin, line);) obey(cluster, words[1], line);
  rd_kafka_mock_cluster_destroy(cluster);
  rd_kafka_destroy(client);
  return 0;
}
