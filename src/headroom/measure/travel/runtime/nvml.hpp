// The GPU's clocks and what holds them back, from the driver's own library: found when the program runs, or done
// without.
#pragma once

#include <optional>
#include <string>

namespace travel {

class Nvml {
 public:
  explicit Nvml(const std::string& bus);  // the PCI bus address as CUDA tells it
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml();
  std::optional<double> sm_clock_mhz() const { return clock("nvmlDeviceGetClockInfo", 1); }
  std::optional<double> memory_clock_mhz() const { return clock("nvmlDeviceGetClockInfo", 2); }
  std::optional<double> max_sm_clock_mhz() const { return clock("nvmlDeviceGetMaxClockInfo", 1); }
  std::optional<unsigned long long> clock_events() const;  // the raw mask
  std::string driver() const;
  int others() const;  // compute processes beside this one

 private:
  template <typename Function>
  Function* function(const char* name) const;
  std::optional<double> clock(const char* name, int kind) const;
  void* library_ = nullptr;
  void* device_ = nullptr;
};

}  // namespace travel
