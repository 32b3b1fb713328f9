#include "dnn.hpp"

#include <string>

#include "errors.hpp"

namespace travel {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string sentence = std::string(what) + ": " + cudnnGetErrorString(status);
  // From version 9 on statuses come in thousands: 2 is a bad parameter, 3 not supported.
  const int thousand = static_cast<int>(status) / 1000;
  if (status == CUDNN_STATUS_NOT_SUPPORTED || status == CUDNN_STATUS_BAD_PARAM || thousand == 2 || thousand == 3) {
    throw Declined(sentence);
  }
  throw Failed(sentence);
}

cudnnHandle_t dnn_handle(const Device& device) {
  static cudnnHandle_t handle = nullptr;  // lives as long as the process, which is its context's life too
  if (handle == nullptr) check(cudnnCreate(&handle), "cudnnCreate");
  check(cudnnSetStream(handle, device.stream()), "cudnnSetStream");
  return handle;
}

cudnnDataType_t dnn_type(const std::string& type) {
  if (type == "fp32") return CUDNN_DATA_FLOAT;
  if (type == "fp16") return CUDNN_DATA_HALF;
  if (type == "bf16") return CUDNN_DATA_BFLOAT16;
  throw Declined("this cuDNN's functions take no " + type);
}

std::vector<int> ints(const Shape& values) {
  std::vector<int> narrow;
  for (std::int64_t value : values) narrow.push_back(static_cast<int>(value));
  return narrow;
}

Owned<cudnnTensorDescriptor_t> dnn_tensor(const Tensor& tensor) {
  auto descriptor = made(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor, "cudnnCreateTensorDescriptor");
  const std::vector<int> dims = ints(tensor.dims);
  const std::vector<int> strides = ints(tensor.strides);
  const int rank = static_cast<int>(dims.size());
  check(cudnnSetTensorNdDescriptor(descriptor.get(), dnn_type(tensor.type), rank, dims.data(), strides.data()),
        "cudnnSetTensorNdDescriptor");
  return descriptor;
}

}  // namespace travel
