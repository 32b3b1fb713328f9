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
#include "rows.hpp"
#include "stopwatch.hpp"

namespace travel {

struct Bench {
  const Device& device;
  const Nvml& nvml;
  Stopwatch& stopwatch;
  std::function<void(const Row& if_it_dies)> trying;
  std::function<void(const Row&)> tell;
};

// Measures every implementation of a benchmark that has no row yet. known are rows from a process that died over it.
void measure(const Benchmark& benchmark, const Bench& bench, const std::map<std::string, Row>& known);

}  // namespace travel
