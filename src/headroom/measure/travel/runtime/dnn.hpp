// cuDNN's handle, statuses and tensor descriptors, for its functions and for its graphs.
#pragma once

#include <cudnn.h>

#include <memory>
#include <string>
#include <type_traits>

#include "case.hpp"
#include "device.hpp"

namespace travel {

// Throws Declined where the library does not take the arguments, Failed where it failed.
void check(cudnnStatus_t status, const char* what);

// This process's one handle, set to launch on the device's stream.
cudnnHandle_t dnn_handle(const Device& device);

cudnnDataType_t dnn_type(const std::string& type);

// A descriptor that is destroyed with its owner.
template <typename Descriptor>
using Owned = std::unique_ptr<std::remove_pointer_t<Descriptor>, cudnnStatus_t (*)(Descriptor)>;

template <typename Descriptor>
Owned<Descriptor> made(cudnnStatus_t (*create)(Descriptor*), cudnnStatus_t (*destroy)(Descriptor), const char* what) {
  Descriptor descriptor = nullptr;
  check(create(&descriptor), what);
  return Owned<Descriptor>(descriptor, destroy);
}

// Descriptors of a tensor in memory, by the dimensions of the tables.
Owned<cudnnTensorDescriptor_t> dnn_tensor(const Tensor& tensor);

std::vector<int> ints(const Shape& values);

}  // namespace travel
