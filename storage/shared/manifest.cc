#include "storage/shared/manifest.h"

#include "common/bytes.h"
#include "common/crc32c.h"

namespace qlab::storage::shared {
namespace {

constexpr std::uint32_t manifest_magic = 0x516C534D;  // "QlSM"
constexpr std::uint32_t manifest_version = 0;

Bytes encode(const Manifest& manifest) {
  BytesWriter out;
  out.put(manifest_magic);
  out.put(manifest_version);
  out.put(manifest.salt);
  out.put(manifest.settled_through);
  out.put(manifest.next_file);
  out.put(static_cast<std::uint32_t>(manifest.files.size()));
  for (const SettledFileEntry& file : manifest.files) {
    out.put(file.slot);
    out.put(file.number);
    out.put(file.footer_at);
    out.put(file.entries);
    out.put(file.bytes);
  }
  out.put(crc32c(out.view()));
  return out.take();
}

Result<Manifest> decode(ByteView bytes) {
  BytesReader in(bytes);
  const auto magic = in.get<std::uint32_t>();
  const auto version = in.get<std::uint32_t>();
  if (magic != manifest_magic) in.fail_with("it is no manifest");
  if (version != manifest_version) in.fail_with("its version is unknown");
  Manifest manifest;
  manifest.salt = in.get<std::uint64_t>();
  manifest.settled_through = in.get<std::uint32_t>();
  manifest.next_file = in.get<std::uint64_t>();
  const auto count = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    SettledFileEntry file;
    file.slot = in.get<std::uint8_t>();
    file.number = in.get<std::uint64_t>();
    file.footer_at = in.get<std::uint64_t>();
    file.entries = in.get<std::uint64_t>();
    file.bytes = in.get<std::uint64_t>();
    if (file.slot >= settled_slots) in.fail_with("a slot is too large");
    manifest.files.push_back(file);
  }
  const std::size_t covered = in.position();
  const auto crc = in.get<std::uint32_t>();
  if (in.ok() && crc != crc32c(bytes.first(covered))) in.fail_with("its checksum does not match");
  TRY_VOID(in.status());
  return manifest;
}

}  // namespace

std::string manifest_path(std::string_view directory) {
  return fmt::format("{}/manifest", directory);
}

Result<std::optional<Manifest>> read_manifest(runtime::Disk& disk, std::string_view directory) {
  const std::string path = manifest_path(directory);
  TRY(const bool there, disk.exists(path));
  if (!there) return std::optional<Manifest>{};
  TRY(const Bytes bytes, disk.read_file(path));
  Result<Manifest> manifest = decode(bytes);
  if (!manifest) return fail(Errc::corrupt, "{}: {}", path, manifest.error().context);
  return std::optional(std::move(*manifest));
}

Result<void> write_manifest(runtime::Disk& disk, std::string_view directory,
                            const Manifest& manifest) {
  return disk.write_file_atomically(manifest_path(directory), encode(manifest));
}

}  // namespace qlab::storage::shared
