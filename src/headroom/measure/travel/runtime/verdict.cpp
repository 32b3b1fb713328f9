#include "verdict.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace travel {
namespace {

constexpr double kSteadyClock = 0.95;   // samples below this share of the median clock are dropped
constexpr double kMostUnsteady = 0.10;  // more samples than this away from it, and the row is throttled
constexpr double kMostNoise = 0.25;     // interquartile range over median above which a row is unstable
constexpr std::size_t kLeastSamples = 10;
constexpr double kShortestUs = 0.3;  // headroom db import takes no shorter time

// Bits of the clock-event mask that say why a clock is low although nothing is wrong: idle, and set by somebody.
constexpr unsigned long long kHarmless = 0x1 | 0x2;
const std::array<std::pair<unsigned long long, const char*>, 7> kSlowdowns = {{
    {0x4, "power limit"},
    {0x8, "hardware slowdown"},
    {0x10, "sync boost"},
    {0x20, "software thermal slowdown"},
    {0x40, "hardware thermal slowdown"},
    {0x80, "power brake"},
    {0x100, "display clocks"},
}};

// Linear between neighbours, the first and the last value being the ends.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double iqr(const std::vector<double>& values) { return quantile(values, 0.75) - quantile(values, 0.25); }

// Why the clock-event mask spoils a row; empty where it does not.
std::string slowdown(unsigned long long mask, std::optional<double> clock, std::optional<double> max_clock) {
  unsigned long long known = kHarmless;
  std::string names;
  for (const auto& [bit, name] : kSlowdowns) {
    known |= bit;
    if ((mask & bit) != 0) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  if ((mask & ~known) != 0) return "the driver reported a clock event that is not known here";
  // At its full clock a GPU is not slowed down, whatever it was told before or after.
  if (names.empty() || (clock && max_clock && *clock >= kSteadyClock * *max_clock)) return "";
  return "the driver slowed the GPU down: " + names;
}

}  // namespace

double spread_of(const Samples& samples) {
  const double median = quantile(samples.us, 0.5);
  return median > 0.0 ? iqr(samples.us) / median : 0.0;
}

Verdict judged(const Samples& samples, std::optional<double> max_sm_clock_mhz) {
  Verdict verdict{"ok", "", std::nullopt, std::nullopt, 0, std::nullopt};
  std::vector<double> kept = samples.us;
  double unsteady = 0.0;
  if (!samples.clocks_mhz.empty()) {
    const double clock = quantile(samples.clocks_mhz, 0.5);
    kept.clear();
    for (std::size_t i = 0; i < samples.us.size(); ++i) {
      const double own = samples.clocks_mhz[i];
      if (own >= kSteadyClock * clock) kept.push_back(samples.us[i]);
      if (own < kSteadyClock * clock || own > clock / kSteadyClock) unsteady += 1.0;
    }
    unsteady /= static_cast<double>(samples.us.size());
    verdict.sm_clock_mhz = clock;
  }
  verdict.samples = kept.size();
  if (!kept.empty()) verdict.median_us = quantile(kept, 0.5);
  if (kept.size() > 1) verdict.iqr_us = iqr(kept);
  const std::string cause = slowdown(samples.events.value_or(0), verdict.sm_clock_mhz, max_sm_clock_mhz);
  if (unsteady > kMostUnsteady) {
    verdict.status = "throttled";
    verdict.reason = std::to_string(std::lround(100.0 * unsteady)) + "% of its samples ran away from the median clock";
  } else if (!cause.empty()) {
    verdict.status = "throttled";
    verdict.reason = cause;
  } else if (kept.size() < kLeastSamples) {
    verdict.status = "unstable";
    verdict.reason = std::to_string(kept.size()) + " samples are left of it; 10 are needed";
  } else if (*verdict.median_us < kShortestUs) {
    verdict.status = "unstable";
    verdict.reason = "its time is below what any kernel takes: the difference of two flushes was noise";
  } else if (!(*verdict.iqr_us <= kMostNoise * *verdict.median_us)) {
    verdict.status = "unstable";
    verdict.reason = "the middle half of its samples spreads over more than 25% of the median";
  }
  return verdict;
}

}  // namespace travel
