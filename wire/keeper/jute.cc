#include "wire/keeper/jute.h"

namespace qlab::wire::keeper {

void put_strings(BytesWriter& out, const std::vector<std::string>& texts) {
  out.put(static_cast<std::int32_t>(texts.size()));
  for (const std::string& text : texts) put_string(out, text);
}

std::string get_string(BytesReader& in) {
  const auto length = in.get<std::int32_t>();
  if (length < -1) in.fail_with("a text's length below -1");
  if (!in.ok() || length <= 0) return {};
  return std::string(as_text(in.get_bytes(static_cast<std::size_t>(length))));
}

Data get_data(BytesReader& in) {
  const auto length = in.get<std::int32_t>();
  if (length < -1) in.fail_with("a buffer's length below -1");
  if (!in.ok() || length == -1) return std::nullopt;
  const ByteView bytes = in.get_bytes(static_cast<std::size_t>(length));
  return Bytes(bytes.begin(), bytes.end());
}

std::size_t get_count(BytesReader& in, std::size_t element_bytes) {
  const auto count = in.get<std::int32_t>();
  if (count < -1) in.fail_with("a list's length below -1");
  if (!in.ok() || count <= 0) return 0;
  if (static_cast<std::size_t>(count) > in.left() / element_bytes) {
    in.fail_with("a list is longer than what holds it");
    return 0;
  }
  return static_cast<std::size_t>(count);
}

std::vector<std::string> get_strings(BytesReader& in) {
  std::vector<std::string> texts(get_count(in, sizeof(std::int32_t)));
  for (std::string& text : texts) text = get_string(in);
  return texts;
}

}  // namespace qlab::wire::keeper
