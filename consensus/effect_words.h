#pragma once
// Inputs and effects as one line each, for scripts and for people.

#include <functional>
#include <string>

#include "consensus/module.h"

namespace qlab::consensus {

std::string words_of(const Entry& entry);  // `1/2:text`, `1/1:no_op`
std::string words_of(const Input& input, const std::function<std::string(const Message&)>& words);
std::string words_of(const Effect& effect, const std::function<std::string(const Message&)>& words);
std::string words_of(const Config& config);  // `1,2,3w,4o`; a joint one `1,2,3<-1,2,4`.
std::string_view name_of(Fate fate);

}  // namespace qlab::consensus
