// cuDNN's forward convolution with each of its eight algorithms, alone or with residual, bias and ReLU in one call:
// what GPUs have that the graph API does not know, and what frameworks of their time used.
#include <array>
#include <utility>

#include "dnn.hpp"
#include "errors.hpp"
#include "library.hpp"

namespace travel {
namespace {

const std::array<std::pair<cudnnConvolutionFwdAlgo_t, const char*>, 8> kAlgorithms = {{
    {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, "IMPLICIT_GEMM"},
    {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, "IMPLICIT_PRECOMP_GEMM"},
    {CUDNN_CONVOLUTION_FWD_ALGO_GEMM, "GEMM"},
    {CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, "DIRECT"},
    {CUDNN_CONVOLUTION_FWD_ALGO_FFT, "FFT"},
    {CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING, "FFT_TILING"},
    {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD, "WINOGRAD"},
    {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, "WINOGRAD_NONFUSED"},
}};

constexpr std::size_t kMostWorkspaceBytes = std::size_t{1} << 30U;

cudnnMathType_t math_of(const std::string& dtype) {
  if (dtype == "fp32") return CUDNN_FMA_MATH;  // the default would round factors to tf32
  return dtype == "tf32" ? CUDNN_DEFAULT_MATH : CUDNN_TENSOR_OP_MATH;
}

// What follows the convolution, by the order in which headroom writes it down.
struct Epilogue {
  const Tensor* residual = nullptr;
  const Tensor* bias = nullptr;
  bool relu = false;
};

Epilogue epilogue_of(const Case& described) {
  Epilogue found;
  for (std::size_t i = 1; i < described.operations.size(); ++i) {
    const Operation& operation = described.operations[i];
    if (operation.name == "relu") {
      found.relu = true;
    } else {
      const Tensor& added = described.tensor(operation.reads[1]);
      (added.dims == described.result().dims ? found.residual : found.bias) = &added;
    }
  }
  return found;
}

class Convolution : public Program {
 public:
  Convolution(const Device& device, const std::string& dtype, const Operands& operands,
              cudnnConvolutionFwdAlgo_t algorithm)
      : device_(device), operands_(operands), algorithm_(algorithm), epilogue_(epilogue_of(operands.described())) {
    const Case& described = operands.described();
    const Operation& first = described.operations.front();
    const Tensor& filter = described.tensor(first.reads[1]);
    const std::vector<int> padding = ints(integers_of(first, "pre_padding"));
    const std::vector<int> stride = ints(integers_of(first, "stride"));
    const std::vector<int> dilation = ints(integers_of(first, "dilation"));
    check(cudnnSetConvolutionNdDescriptor(convolution_.get(), static_cast<int>(padding.size()), padding.data(),
                                          stride.data(), dilation.data(), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
          "cudnnSetConvolutionNdDescriptor");
    const std::int64_t groups = described.tensor(first.reads[0]).dims[1] / filter.dims[1];
    check(cudnnSetConvolutionGroupCount(convolution_.get(), static_cast<int>(groups)), "cudnnSetConvolutionGroupCount");
    check(cudnnSetConvolutionMathType(convolution_.get(), math_of(dtype)), "cudnnSetConvolutionMathType");
    const std::vector<int> dims = ints(filter.dims);
    const auto order = described.layout == "nhwc" ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
    check(cudnnSetFilterNdDescriptor(filter_.get(), dnn_type(filter.type), order, static_cast<int>(dims.size()),
                                     dims.data()),
          "cudnnSetFilterNdDescriptor");
    check(cudnnSetActivationDescriptor(activation_.get(),
                                       epilogue_.relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                                       CUDNN_NOT_PROPAGATE_NAN, 0.0),
          "cudnnSetActivationDescriptor");
    x_ = dnn_tensor(described.tensor(first.reads[0]));
    y_ = dnn_tensor(described.result());
    if (epilogue_.bias != nullptr) bias_ = dnn_tensor(*epilogue_.bias);
    std::size_t needed = 0;
    check(cudnnGetConvolutionForwardWorkspaceSize(dnn_handle(device), x_.get(), filter_.get(), convolution_.get(),
                                                  y_.get(), algorithm, &needed),
          "cudnnGetConvolutionForwardWorkspaceSize");
    if (needed > kMostWorkspaceBytes) throw Declined("it needs more than a GiB of workspace");
    workspace_ = std::make_unique<Buffer>(needed);
  }

  void launch() override {
    const Case& described = operands_.described();
    const Operation& first = described.operations.front();
    void* const x = operands_.address(first.reads[0]);
    void* const w = operands_.address(first.reads[1]);
    void* const y = operands_.address(described.result().uid);
    const cudnnHandle_t handle = dnn_handle(device_);
    const float one = 1.0F;
    const float zero = 0.0F;
    if (described.operations.size() == 1) {
      check(cudnnConvolutionForward(handle, &one, x_.get(), x, filter_.get(), w, convolution_.get(), algorithm_,
                                    workspace_->data(), workspace_->bytes(), &zero, y_.get(), y),
            "cudnnConvolutionForward");
      return;
    }
    const bool adds = epilogue_.residual != nullptr;
    void* const z = adds ? operands_.address(epilogue_.residual->uid) : y;
    check(cudnnConvolutionBiasActivationForward(handle, &one, x_.get(), x, filter_.get(), w, convolution_.get(),
                                                algorithm_, workspace_->data(), workspace_->bytes(),
                                                adds ? &one : &zero, y_.get(), z, bias_.get(),
                                                operands_.address(epilogue_.bias->uid), activation_.get(), y_.get(), y),
          "cudnnConvolutionBiasActivationForward");
  }

  std::size_t workspace_bytes() const override { return workspace_->bytes(); }

 private:
  const Device& device_;
  const Operands& operands_;
  cudnnConvolutionFwdAlgo_t algorithm_;
  Epilogue epilogue_;
  Owned<cudnnConvolutionDescriptor_t> convolution_ =
      made(cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor, "cudnnCreateConvolutionDescriptor");
  Owned<cudnnFilterDescriptor_t> filter_ =
      made(cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor, "cudnnCreateFilterDescriptor");
  Owned<cudnnActivationDescriptor_t> activation_ =
      made(cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor, "cudnnCreateActivationDescriptor");
  Owned<cudnnTensorDescriptor_t> x_{nullptr, cudnnDestroyTensorDescriptor};
  Owned<cudnnTensorDescriptor_t> y_{nullptr, cudnnDestroyTensorDescriptor};
  Owned<cudnnTensorDescriptor_t> bias_{nullptr, cudnnDestroyTensorDescriptor};
  std::unique_ptr<Buffer> workspace_;
};

std::vector<Candidate> candidates(const Device& device, const std::string& dtype, const Operands& operands) {
  const Case& described = operands.described();
  const bool fused = described.operations.size() > 1;
  std::vector<Candidate> found;
  for (const auto& [algorithm, name] : kAlgorithms) {
    const std::string function = fused ? "cudnnConvolutionBiasActivationForward " : "cudnnConvolutionForward ";
    const cudnnConvolutionFwdAlgo_t chosen = algorithm;
    found.push_back(
        {{"cudnn-legacy", function + name, described.layout, described.math}, [&device, &operands, dtype, chosen] {
           return std::make_unique<Convolution>(device, dtype, operands, chosen);
         }});
  }
  return found;
}

}  // namespace

Library convolutions() { return {"cudnn-conv", "cudnn-legacy", candidates}; }

}  // namespace travel
