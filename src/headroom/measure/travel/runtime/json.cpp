#include "json.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace travel {

std::string json_text(const std::string& text) {
  std::string written = "\"";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte >= 0x7F) {
      // A library's message may hold anything; what is no ASCII is not worth a decoder.
      written += byte < 0x20 ? ' ' : '?';
      continue;
    }
    if (character == '"' || character == '\\') written += '\\';
    written += character;
  }
  return written + "\"";
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

JsonObject& JsonObject::raw(const std::string& name, const std::string& value) {
  fields_ += (fields_.empty() ? "" : ",") + json_text(name) + ":" + value;
  return *this;
}

JsonObject& JsonObject::number(const std::string& name, std::optional<double> value) {
  return value ? number(name, *value) : *this;
}

}  // namespace travel
