#include "controller/quorum/metadata_machine.h"

#include "common/check.h"

namespace qlab::controller {
namespace {

class ImageSource final : public consensus::SnapshotSource {
 public:
  explicit ImageSource(metadata::ImagePtr image) : writer_(std::move(image)) {}
  Bytes next(std::size_t bytes_max) override { return writer_.next(bytes_max); }

 private:
  metadata::SnapshotWriter writer_;
};

}  // namespace

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
  leader_changed_();
}

void MetadataMachine::deactivate(Epoch epoch) {
  if (active_ != nullptr) active_->deactivate(epoch);
}

void MetadataMachine::on_leader_known(Epoch, std::optional<NodeId> leader) {
  leader_ = leader;
  leader_changed_();
}

std::unique_ptr<consensus::SnapshotSource> MetadataMachine::snapshot() {
  return std::make_unique<ImageSource>(publisher_.image());
}

void MetadataMachine::begin_restore(consensus::LogId last) {
  restoring_.emplace();
  restoring_at_ = last.index;
}

Result<void> MetadataMachine::restore_piece(ByteView piece) {
  CHECK(restoring_.has_value());
  return restoring_->add(piece);
}

Result<void> MetadataMachine::restored() {
  CHECK(restoring_.has_value());
  auto delta = std::make_shared<metadata::Delta>();
  TRY(metadata::Image image, restoring_->finish(restoring_at_, *delta));
  restoring_.reset();
  applied_ = restoring_at_;
  // What is not in the new image is gone.
  const metadata::ImagePtr before = publisher_.image();
  delta->add_all(*before);
  publisher_.publish(std::make_shared<const metadata::Image>(std::move(image)), std::move(delta));
  return {};
}

}  // namespace qlab::controller
