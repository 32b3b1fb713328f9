#include "blas.hpp"

#include <algorithm>

#include "errors.hpp"

namespace travel {
namespace {

// A flush reads a buffer of that many times the L2 cache's size, so that nothing older is left in it.
constexpr double kFlushedL2Sizes = 2.5;

std::size_t flushed_bytes(const Device& device) {
  return std::max<std::size_t>(
      4, static_cast<std::size_t>(kFlushedL2Sizes * static_cast<double>(device.l2_bytes())) / 4 * 4);
}

}  // namespace

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string sentence =
      std::string(what) + ": cuBLAS answers with status " + std::to_string(static_cast<int>(status));
  if (status == CUBLAS_STATUS_INVALID_VALUE || status == CUBLAS_STATUS_NOT_SUPPORTED ||
      status == CUBLAS_STATUS_ARCH_MISMATCH) {
    throw Declined(sentence);
  }
  throw Failed(sentence);
}

cudaDataType_t blas_type(const std::string& type) {
  if (type == "fp32") return CUDA_R_32F;
  if (type == "fp16") return CUDA_R_16F;
  if (type == "bf16") return CUDA_R_16BF;
#if CUBLAS_VER_MAJOR >= 12
  if (type == "fp8") return CUDA_R_8F_E4M3;
#endif
  throw Declined("this cuBLAS takes no " + type);
}

cublasComputeType_t blas_compute(const std::string& dtype) {
  return dtype == "tf32" ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

cublasHandle_t blas_handle(const Device& device) {
  static cublasHandle_t handle = nullptr;  // lives as long as the process, which is its context's life too
  if (handle == nullptr) check(cublasCreate(&handle), "cublasCreate");
  check(cublasSetStream(handle, device.stream()), "cublasSetStream");
  return handle;
}

Flush::Flush(const Device& device) : device_(device), read_(flushed_bytes(device)), sink_(4) {
  check(cudaMemset(read_.data(), 0, read_.bytes()), "cudaMemset");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void Flush::launch() const {
  const cublasHandle_t handle = blas_handle(device_);
  check(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE), "cublasSetPointerMode");
  const int count = static_cast<int>(std::min<std::size_t>(read_.bytes() / 4, 2147483647));
  check(cublasSasum(handle, count, static_cast<const float*>(read_.data()), 1, static_cast<float*>(sink_.data())),
        "cublasSasum");
}

}  // namespace travel
