#include "keeper/machine.h"

namespace qlab::keeper {

void Machine::apply(const std::vector<consensus::Entry>& entries) {
  if (stuck_) return;
  for (const consensus::Entry& entry : entries) {
    state_.advance(entry.id);
    applied_ = entry.id.index;
    if (entry.kind != consensus::EntryKind::data) continue;
    auto transaction = decode_transaction(*entry.body);
    if (!transaction) {
      stuck_ = true;
      if (listener_ != nullptr) listener_->on_undecodable(transaction.error());
      return;
    }
    const Outcome outcome = state_.apply(*transaction);
    if (listener_ != nullptr) listener_->on_applied(*transaction, outcome, entry.id);
  }
  if (listener_ != nullptr) listener_->on_progress();
}

void Machine::activate(Epoch epoch) {
  if (listener_ != nullptr && !stuck_) listener_->on_activate(epoch);
}

void Machine::deactivate(Epoch) {
  if (listener_ != nullptr) listener_->on_deactivate();
}

void Machine::on_leader_known(Epoch epoch, std::optional<NodeId> leader) {
  if (listener_ != nullptr) listener_->on_leader(epoch, leader);
}

void Machine::begin_restore(consensus::LogId last) {
  restorer_ = StateRestorer{};
  restoring_ = last.index;
}

Result<void> Machine::restored() {
  TRY(state_, restorer_.finish());
  restorer_ = StateRestorer{};
  applied_ = restoring_;
  if (listener_ != nullptr) listener_->on_restored();
  return {};
}

}  // namespace qlab::keeper
