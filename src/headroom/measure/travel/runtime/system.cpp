#include "system.hpp"

#include <cublasLt.h>
#include <cudnn.h>

#include "json.hpp"

namespace travel {
namespace {

// 9.19.0 of 91900; until cuDNN 8 of 8907, and until cuBLAS 10 likewise.
std::string three(std::size_t version) {
  const std::size_t unit = version >= 90000 ? 10000 : 1000;
  return std::to_string(version / unit) + "." + std::to_string(version % unit / 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

std::string system_json(const Device& device, const Nvml& nvml) {
  int runtime = 0;
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  JsonObject object;
  object.text("gpu", device.name()).text("driver", nvml.driver());
  object.text("cuda", std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10));
  object.text("cudnn", three(cudnnGetVersion())).text("cublas", three(cublasLtGetVersion())).text("torch", "");
  return object.written();
}

}  // namespace travel
