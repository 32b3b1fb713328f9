// What was measured on, in the words of the database: GPU, driver and library versions.
#pragma once

#include <string>

#include "device.hpp"
#include "nvml.hpp"

namespace travel {

// A JSON object with gpu, driver, cuda, cudnn, cublas and torch, which is never there.
std::string system_json(const Device& device, const Nvml& nvml);

}  // namespace travel
