#pragma once
// Calls of administration with types: request and response are the protocol's own messages.

#include "common/check.h"
#include "controller/controller.h"
#include "wire/kafka/message.h"

namespace qlab::controller {

template <class Message>
Bytes encode_newest(const Message& message) {
  BytesWriter out;
  const auto encoded = encode(out, message, Message::versions_max);  // Of the message's namespace.
  // What this process made itself always fits the newest version.
  CHECK_MSG(encoded.has_value(), encoded.error().message());
  return out.take();
}

template <class Message>
Result<Message> decode_newest(ByteView body) {
  BytesReader in(body);
  return wire::decode<Message>(in, Message::versions_max);
}

// Errors: those of Controller::administer.
template <class Response, class Request>
Task<Result<Response>> administer(Controller& controller, wire::ApiKey api, Request request,
                                  Time deadline) {
  Bytes body = encode_newest(request);
  CO_TRY(const Bytes answer, co_await controller.administer(api, std::move(body), deadline));
  co_return decode_newest<Response>(answer);
}

}  // namespace qlab::controller
