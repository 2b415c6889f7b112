#include "runtime/tcp_frames.h"

namespace qlab::runtime::tcp {
namespace {

constexpr std::uint64_t magic = 0x716c61626c6e6b31;  // "qlablnk1"

void put_string(BytesWriter& out, std::string_view text) {
  out.put(static_cast<std::uint16_t>(text.size()));
  out.put_text(text);
}

std::string get_string(BytesReader& in) {
  return std::string(as_text(in.get_bytes(in.get<std::uint16_t>())));
}

void put_head(BytesWriter& out, FrameType type, std::size_t body_bytes) {
  out.put(static_cast<std::uint32_t>(1 + body_bytes));
  out.put(static_cast<std::uint8_t>(type));
}

}  // namespace

Bytes frame(FrameType type, ByteView body) {
  BytesWriter out;
  put_head(out, type, body.size());
  out.put_bytes(body);
  return out.take();
}

Bytes encode(const Hello& hello) {
  BytesWriter body;
  body.put(magic);
  body.put(hello.node.value());
  body.put(hello.link_epoch.value());
  put_string(body, hello.cluster_id);
  put_string(body, hello.endpoint);
  return frame(FrameType::hello, body.view());
}

Result<Hello> decode_hello(ByteView body) {
  BytesReader in(body);
  if (in.get<std::uint64_t>() != magic) in.fail_with("the first bytes are not a hello's");
  Hello hello;
  hello.node = NodeId(in.get<std::int32_t>());
  hello.link_epoch = LinkEpoch(in.get<std::uint32_t>());
  hello.cluster_id = get_string(in);
  hello.endpoint = get_string(in);
  if (in.left() > 0) in.fail_with("bytes are left behind the hello");
  TRY_VOID(in.status());
  return hello;
}

Result<Call> decode_call(ByteView body) {
  BytesReader in(body);
  Call call;
  call.method = get_string(in);
  call.request = std::string(as_text(in.get_bytes(in.left())));
  TRY_VOID(in.status());
  return call;
}

void put_message_head(BytesWriter& out, Channel channel, std::size_t payload_bytes) {
  put_head(out, FrameType::message, 1 + payload_bytes);
  out.put(static_cast<std::uint8_t>(channel));
}

}  // namespace qlab::runtime::tcp
