#include "messages.hpp"

#include <algorithm>
#include <cstdlib>

namespace travel {
namespace {

constexpr char kLetters[] = "STRL";

std::string without_tabs(std::string text) {
  std::replace(text.begin(), text.end(), '\t', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::string written(const Message& message) {
  const std::string median = message.content.median_us ? std::to_string(*message.content.median_us) : "";
  return std::string(1, kLetters[message.kind]) + "\t" + without_tabs(message.content.key) + "\t" + median + "\t" +
         message.content.json + "\n";
}

std::optional<Message> parsed(const std::string& line) {
  const std::size_t first = line.find('\t');
  const std::size_t second = first == std::string::npos ? first : line.find('\t', first + 1);
  const std::size_t third = second == std::string::npos ? second : line.find('\t', second + 1);
  const std::size_t kind = first == 1 ? std::string(kLetters).find(line[0]) : std::string::npos;
  // A library may print to the same place: what is no message is passed over.
  if (third == std::string::npos || kind == std::string::npos) return std::nullopt;
  Message message{static_cast<Message::Kind>(kind), {line.substr(2, second - 2), std::nullopt, line.substr(third + 1)}};
  const std::string median = line.substr(second + 1, third - second - 1);
  if (!median.empty()) message.content.median_us = std::strtod(median.c_str(), nullptr);
  return message;
}

}  // namespace travel
