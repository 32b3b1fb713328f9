// What cuBLAS and cuBLASLt share: statuses and names of types.
#pragma once

#include <cublas_v2.h>

#include <string>

#include "device.hpp"

namespace travel {

// Throws Declined where the library does not take the arguments, Failed where it failed.
void check(cublasStatus_t status, const char* what);

cudaDataType_t blas_type(const std::string& type);

// How products are summed: in fp32, with tf32's rounding of factors where that is asked for.
cublasComputeType_t blas_compute(const std::string& dtype);

// This process's one handle, set to launch on the device's stream.
cublasHandle_t blas_handle(const Device& device);

// Reads a whole buffer and writes one number: what empties the L2 cache without leaving anything to be written back.
class Flush {
 public:
  explicit Flush(const Device& device);
  void launch() const;

 private:
  const Device& device_;
  Buffer read_;
  Buffer sink_;
};

}  // namespace travel
