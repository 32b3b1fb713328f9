#include "nvml.hpp"

#include <dlfcn.h>

#include <array>
#include <cstring>

namespace travel {

// NVML returns 0 where it has done what it was asked. Its header is not needed for a handful of functions.
template <typename Function>
Function* Nvml::function(const char* name) const {
  void* const found = library_ == nullptr ? nullptr : dlsym(library_, name);
  Function* typed = nullptr;
  static_assert(sizeof(typed) == sizeof(found), "functions and objects have addresses of one size here");
  std::memcpy(&typed, &found, sizeof(typed));
  return typed;
}

Nvml::Nvml(const std::string& bus) {
  library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  auto* const init = function<int()>("nvmlInit_v2");
  auto* const find = function<int(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
  if (init == nullptr || find == nullptr || init() != 0 || find(bus.c_str(), &device_) != 0) device_ = nullptr;
}

Nvml::~Nvml() {
  if (library_ != nullptr) dlclose(library_);
}

std::optional<double> Nvml::clock(const char* name, int kind) const {
  auto* const ask = function<int(void*, int, unsigned*)>(name);
  unsigned mhz = 0;
  if (device_ == nullptr || ask == nullptr || ask(device_, kind, &mhz) != 0) return std::nullopt;
  return static_cast<double>(mhz);
}

std::optional<unsigned long long> Nvml::clock_events() const {
  // The function was renamed; a driver may know only one of its names.
  for (const char* name : {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"}) {
    auto* const ask = function<int(void*, unsigned long long*)>(name);
    unsigned long long mask = 0;
    if (device_ != nullptr && ask != nullptr && ask(device_, &mask) == 0) return mask;
  }
  return std::nullopt;
}

std::string Nvml::driver() const {
  std::array<char, 96> text{};
  auto* const ask = function<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  if (ask == nullptr || ask(text.data(), static_cast<unsigned>(text.size() - 1)) != 0) return "";
  return text.data();
}

int Nvml::others() const {
  // Of a list of no length NVML tells how long it would be.
  auto* const ask = function<int(void*, unsigned*, void*)>("nvmlDeviceGetComputeRunningProcesses_v3");
  unsigned count = 0;
  if (device_ == nullptr || ask == nullptr) return 0;
  ask(device_, &count, nullptr);
  return count > 1 ? static_cast<int>(count) - 1 : 0;
}

}  // namespace travel
