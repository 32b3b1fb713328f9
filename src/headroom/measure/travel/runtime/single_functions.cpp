// Layers that one of cuDNN's older functions runs: pooling, softmax, reductions, activations, local response.
#include <functional>
#include <map>

#include "dnn.hpp"
#include "errors.hpp"
#include "library.hpp"

namespace travel {
namespace {

// One run: the numbers before the last four arguments, which all of these functions share.
using Call = std::function<void(cudnnHandle_t, cudnnTensorDescriptor_t, const void*, cudnnTensorDescriptor_t, void*)>;

const float kOne = 1.0F;
const float kZero = 0.0F;

// What a call needs beside its operands.
struct Prepared {
  Call call;
  std::unique_ptr<Buffer> workspace;
};

// Settings are the arguments of the descriptor's setter, in their order.
Prepared pooling(const Shape& settings) {
  auto made_one = made(cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor, "cudnnCreatePoolingDescriptor");
  const int rank = static_cast<int>(settings[2]);
  const std::vector<int> all = ints(settings);
  const int* const window = &all[3];
  check(cudnnSetPoolingNdDescriptor(made_one.get(), static_cast<cudnnPoolingMode_t>(settings[0]),
                                    CUDNN_NOT_PROPAGATE_NAN, rank, window, window + rank, window + 2 * rank),
        "cudnnSetPoolingNdDescriptor");
  const std::shared_ptr<cudnnPoolingStruct> descriptor(std::move(made_one));
  return {[descriptor](cudnnHandle_t handle, cudnnTensorDescriptor_t xd, const void* x, cudnnTensorDescriptor_t yd,
                       void* y) {
            check(cudnnPoolingForward(handle, descriptor.get(), &kOne, xd, x, &kZero, yd, y), "cudnnPoolingForward");
          },
          nullptr};
}

Prepared softmax(const Shape& settings) {
  const auto algorithm = static_cast<cudnnSoftmaxAlgorithm_t>(settings[0]);
  const auto mode = static_cast<cudnnSoftmaxMode_t>(settings[1]);
  return {[algorithm, mode](cudnnHandle_t handle, cudnnTensorDescriptor_t xd, const void* x, cudnnTensorDescriptor_t yd,
                            void* y) {
            check(cudnnSoftmaxForward(handle, algorithm, mode, &kOne, xd, x, &kZero, yd, y), "cudnnSoftmaxForward");
          },
          nullptr};
}

Prepared activation(const std::vector<double>& settings) {
  auto made_one =
      made(cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor, "cudnnCreateActivationDescriptor");
  const auto mode = static_cast<cudnnActivationMode_t>(static_cast<int>(settings[0]));
  check(cudnnSetActivationDescriptor(made_one.get(), mode, CUDNN_NOT_PROPAGATE_NAN, settings[2]),
        "cudnnSetActivationDescriptor");
  const std::shared_ptr<cudnnActivationStruct> descriptor(std::move(made_one));
  return {[descriptor](cudnnHandle_t handle, cudnnTensorDescriptor_t xd, const void* x, cudnnTensorDescriptor_t yd,
                       void* y) {
            check(cudnnActivationForward(handle, descriptor.get(), &kOne, xd, x, &kZero, yd, y),
                  "cudnnActivationForward");
          },
          nullptr};
}

Prepared local_response(const std::vector<double>& settings) {
  auto made_one = made(cudnnCreateLRNDescriptor, cudnnDestroyLRNDescriptor, "cudnnCreateLRNDescriptor");
  check(
      cudnnSetLRNDescriptor(made_one.get(), static_cast<unsigned>(settings[0]), settings[1], settings[2], settings[3]),
      "cudnnSetLRNDescriptor");
  const std::shared_ptr<cudnnLRNStruct> descriptor(std::move(made_one));
  return {[descriptor](cudnnHandle_t handle, cudnnTensorDescriptor_t xd, const void* x, cudnnTensorDescriptor_t yd,
                       void* y) {
            check(cudnnLRNCrossChannelForward(handle, descriptor.get(), CUDNN_LRN_CROSS_CHANNEL_DIM1, &kOne, xd, x,
                                              &kZero, yd, y),
                  "cudnnLRNCrossChannelForward");
          },
          nullptr};
}

Prepared reduce(const Shape& settings, cudnnHandle_t for_handle, cudnnTensorDescriptor_t for_x,
                cudnnTensorDescriptor_t for_y) {
  auto made_one =
      made(cudnnCreateReduceTensorDescriptor, cudnnDestroyReduceTensorDescriptor, "cudnnCreateReduceTensorDescriptor");
  check(
      cudnnSetReduceTensorDescriptor(made_one.get(), static_cast<cudnnReduceTensorOp_t>(settings[0]), CUDNN_DATA_FLOAT,
                                     CUDNN_NOT_PROPAGATE_NAN, CUDNN_REDUCE_TENSOR_NO_INDICES, CUDNN_32BIT_INDICES),
      "cudnnSetReduceTensorDescriptor");
  std::size_t needed = 0;
  check(cudnnGetReductionWorkspaceSize(for_handle, made_one.get(), for_x, for_y, &needed),
        "cudnnGetReductionWorkspaceSize");
  const std::shared_ptr<cudnnReduceTensorStruct> descriptor(std::move(made_one));
  auto workspace = std::make_unique<Buffer>(needed);
  void* const memory = workspace->data();
  return {[descriptor, memory, needed](cudnnHandle_t handle, cudnnTensorDescriptor_t xd, const void* x,
                                       cudnnTensorDescriptor_t yd, void* y) {
            check(cudnnReduceTensor(handle, descriptor.get(), nullptr, 0, memory, needed, &kOne, xd, x, &kZero, yd, y),
                  "cudnnReduceTensor");
          },
          std::move(workspace)};
}

class SingleFunction : public Program {
 public:
  SingleFunction(const Device& device, const Operands& operands)
      : device_(device),
        x_(dnn_tensor(operands.described().tensors.front())),
        y_(dnn_tensor(operands.described().result())),
        from_(operands.address(operands.described().tensors.front().uid)),
        to_(operands.address(operands.described().result().uid)),
        prepared_(prepare(operands.described().operations.front())) {}

  void launch() override { prepared_.call(dnn_handle(device_), x_.get(), from_, y_.get(), to_); }
  std::size_t workspace_bytes() const override { return prepared_.workspace ? prepared_.workspace->bytes() : 0; }

 private:
  Prepared prepare(const Operation& operation) const {
    const Shape settings = integers_of(operation, "settings");
    if (operation.name == "pooling") return pooling(settings);
    if (operation.name == "softmax") return softmax(settings);
    if (operation.name == "reduce") return reduce(settings, dnn_handle(device_), x_.get(), y_.get());
    if (operation.name == "activation") return activation(numbers_of(operation, "settings"));
    if (operation.name == "local_response") return local_response(numbers_of(operation, "settings"));
    throw Declined("no function for " + operation.name);
  }

  const Device& device_;
  Owned<cudnnTensorDescriptor_t> x_;
  Owned<cudnnTensorDescriptor_t> y_;
  const void* from_;
  void* to_;
  Prepared prepared_;
};

std::vector<Candidate> candidates(const Device& device, const std::string&, const Operands& operands) {
  const Case& described = operands.described();
  return {{{"cudnn-legacy", described.suffix, described.layout, described.math},
           [&device, &operands] { return std::make_unique<SingleFunction>(device, operands); }}};
}

}  // namespace

Library single_functions() { return {"cudnn-legacy", "cudnn-legacy", candidates}; }

}  // namespace travel
