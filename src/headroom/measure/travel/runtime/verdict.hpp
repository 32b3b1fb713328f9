// What samples are worth: those whose clock fell are dropped, and noise and throttling get a name.
#pragma once

#include <optional>
#include <string>

#include "stopwatch.hpp"

namespace travel {

struct Verdict {
  std::string status;  // ok, throttled, unstable
  std::string reason;
  std::optional<double> median_us;
  std::optional<double> iqr_us;
  std::size_t samples;
  std::optional<double> sm_clock_mhz;
};

Verdict judged(const Samples& samples, std::optional<double> max_sm_clock_mhz);

// Interquartile range over median of all samples.
double spread_of(const Samples& samples);

}  // namespace travel
