// Takes the time of launches: replays of a CUDA graph between events, in a warm or a cold L2. The rules are those of
// headroom's own stopwatch (docs/stopwatch.md), and so are its figures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device.hpp"
#include "nvml.hpp"

namespace travel {

// One entry per sample; clocks only where every sample has one.
struct Samples {
  std::vector<double> us;
  std::vector<double> clocks_mhz;
  std::optional<double> memory_clock_mhz;
  std::optional<unsigned long long> events;  // before and after, ored together
};

// Two readings of one implementation as one.
Samples together(Samples first, const Samples& second);

class Stopwatch {
 public:
  // flush enqueues what replaces the contents of the L2 cache, nothing a launch of next to no duration.
  Stopwatch(const Device& device, const Nvml& nvml, Launch flush, const Launch& nothing);

  // Samples of a launch that has run before. Throws Hopeless where one takes longer than hopeless_us.
  Samples read(const Launch& launch, const std::string& l2, bool precise, double hopeless_us);

 private:
  struct Pace {
    int launches;
    int samples;
  };
  struct Sample {
    double us;
    std::optional<double> clock_mhz;
  };
  double once(Recording& recording) const;
  Pace paced(const Launch& launch, bool precise, double hopeless_us) const;
  std::vector<std::vector<Sample>> sampled(const std::vector<Recording*>& recordings, int samples) const;

  const Device& device_;
  const Nvml& nvml_;
  Launch flush_;
  double start_us_ = 0.0;
};

}  // namespace travel
