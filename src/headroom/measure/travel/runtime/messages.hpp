// What the process that measures tells the one that watches it: lines in a pipe.
#pragma once

#include <optional>
#include <string>

#include "rows.hpp"

namespace travel {

struct Message {
  enum Kind { system, trying, row, layer };  // layer: the benchmark is done, its seconds are the text
  Kind kind;
  Row content;
};

std::string written(const Message& message);
std::optional<Message> parsed(const std::string& line);

}  // namespace travel
