#include "rows.hpp"

#include <ctime>

namespace travel {
namespace {

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc));
  return text;
}

}  // namespace

std::string key_of(const Implementation& implementation, const std::string& l2) {
  return implementation.backend + "|" + implementation.name + "|" + implementation.layout + "|" + implementation.math +
         "|" + l2;
}

JsonObject begun(const Implementation& implementation, const std::string& l2, const std::string& status,
                 const std::string& reason, const std::string& gpu_uuid) {
  JsonObject named;
  named.text("backend", implementation.backend).text("name", implementation.name);
  named.text("layout", implementation.layout).text("math", implementation.math);
  JsonObject row;
  row.raw("implementation", named.written()).text("l2", l2).text("status", status);
  row.text("reason", reason.substr(0, 300)).text("gpu_uuid", gpu_uuid).text("measured_at", now());
  return row;
}

Row failed_row(const Implementation& implementation, const std::string& l2, const std::string& status,
               const std::string& reason, const std::string& gpu_uuid) {
  return {key_of(implementation, l2), std::nullopt, begun(implementation, l2, status, reason, gpu_uuid).written()};
}

}  // namespace travel
