#include "controller/quorum/metadata_machine.h"

namespace qlab::controller {

void MetadataMachine::apply(const std::vector<consensus::Entry>& entries) {
  auto image = publisher_.image();
  auto delta = std::make_shared<metadata::Delta>();
  for (const consensus::Entry& entry : entries) {
    applied_ = entry.id.index;
    if (entry.kind != consensus::EntryKind::data) continue;
    const auto records = metadata::decode_entry(*entry.body);
    if (!records) return on_fatal_(records.error());
    image =
        std::make_shared<const metadata::Image>(image->replay(*records, entry.id.index, *delta));
  }
  if (image != publisher_.image()) publisher_.publish(std::move(image), std::move(delta));
}

void MetadataMachine::activate(Epoch epoch) {
  if (active_ != nullptr) active_->activate(epoch);
}

void MetadataMachine::deactivate(Epoch epoch) {
  if (active_ != nullptr) active_->deactivate(epoch);
}

void MetadataMachine::on_leader_known(Epoch, std::optional<NodeId> leader) {
  leader_ = leader;
}

}  // namespace qlab::controller
