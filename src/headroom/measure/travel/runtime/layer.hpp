// The loop over the implementations of one chain: build, check, time; then the fastest few again, with care.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "case.hpp"
#include "device.hpp"
#include "library.hpp"
#include "nvml.hpp"
#include "stopwatch.hpp"

namespace travel {

// What is told of an implementation: a row of the database, and what the loop has to remember of it.
struct Row {
  std::string key;  // implementation and state of the L2 cache
  std::optional<double> median_us;
  std::string json;
};

struct Bench {
  const Device& device;
  const Nvml& nvml;
  Stopwatch& stopwatch;
  std::function<void(const Row& if_it_dies)> trying;
  std::function<void(const Row&)> tell;
};

// Measures every implementation of a benchmark that has no row yet. known are rows from a process that died over it.
void measure(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known);

// A row without a time.
Row failed_row(const Implementation& implementation, const std::string& l2, const std::string& status,
               const std::string& reason, const std::string& gpu_uuid);

}  // namespace travel
