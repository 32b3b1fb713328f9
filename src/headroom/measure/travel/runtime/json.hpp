// JSON, written: objects field by field, in the order in which they are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace travel {

std::string json_text(const std::string& text);
std::string json_number(double value);  // null where it is not finite

class JsonObject {
 public:
  JsonObject& raw(const std::string& name, const std::string& value);
  JsonObject& text(const std::string& name, const std::string& value) { return raw(name, json_text(value)); }
  JsonObject& number(const std::string& name, double value) { return raw(name, json_number(value)); }
  JsonObject& integer(const std::string& name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  // Nothing at all where there is no value.
  JsonObject& number(const std::string& name, std::optional<double> value);
  std::string written() const { return "{" + fields_ + "}"; }

 private:
  std::string fields_;
};

}  // namespace travel
