// Rows of the database, as JSON.
#pragma once

#include <optional>
#include <string>

#include "json.hpp"
#include "library.hpp"

namespace travel {

// What is told of an implementation: a row of the database, and what the loop has to remember of it.
struct Row {
  std::string key;  // implementation and state of the L2 cache
  std::optional<double> median_us;
  std::string json;
};

// What tells a row from every other one of its benchmark.
std::string key_of(const Implementation& implementation, const std::string& l2);

// The fields that every row has.
JsonObject begun(const Implementation& implementation, const std::string& l2, const std::string& status,
                 const std::string& reason, const std::string& gpu_uuid);

// A row without a time.
Row failed_row(const Implementation& implementation, const std::string& l2, const std::string& status,
               const std::string& reason, const std::string& gpu_uuid);

}  // namespace travel
