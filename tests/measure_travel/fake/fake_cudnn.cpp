// cuDNN's functions that benchmarks call, by plain loops over what their descriptors say.
#include <cudnn.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "fake.hpp"

namespace {

using fake::Shape;
using fake::View;

Shape shape_of(const int* values, int count) { return Shape(values, values + count); }

struct Conv {
  Shape padding, stride, dilation;
};

struct Pool {
  int mode;
  Shape window, padding, stride;
};

View in_memory(const void* descriptor, const void* data) {
  View view = *static_cast<const View*>(descriptor);
  view.data = const_cast<void*>(data);
  return view;
}

View::Type type_of(cudnnDataType_t type) { return type == CUDNN_DATA_BFLOAT16 ? View::bf16 : View::fp32; }

// The algorithms that this library has; the others it declines, as the real one declines most.
int variant_of(cudnnConvolutionFwdAlgo_t algorithm) {
  if (algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM) return 2;
  return algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? 1 : -1;
}

void convolution(const void* xd, const void* x, const void* wd, const void* w, const void* convd, const void* yd,
                 void* y, cudnnConvolutionFwdAlgo_t algorithm, const std::function<void(const View&)>& then) {
  const View data = in_memory(xd, x), filter = in_memory(wd, w), out = in_memory(yd, y);
  const Conv conv = *static_cast<const Conv*>(convd);
  fake::launch(fake::duration_us(fake::macs_of(filter, out), variant_of(algorithm)), [=] {
    fake::convolve(data, filter, out, conv.padding, conv.stride, conv.dilation);
    then(out);
  });
}

void map(const void* xd, const void* x, const void* yd, void* y, const std::function<double(double)>& function) {
  const View from = in_memory(xd, x), to = in_memory(yd, y);
  fake::launch(5.0, [=] { fake::each(to.dims, [&](const Shape& at) { to.set(at, function(from.get(at))); }); });
}

}  // namespace

#define MAKE(Kind, Holder)                                                       \
  cudnnStatus_t cudnnCreate##Kind##Descriptor(cudnn##Kind##Descriptor_t* made) { \
    *made = reinterpret_cast<cudnn##Kind##Descriptor_t>(new Holder());           \
    return CUDNN_STATUS_SUCCESS;                                                 \
  }                                                                              \
  cudnnStatus_t cudnnDestroy##Kind##Descriptor(cudnn##Kind##Descriptor_t made) { \
    delete reinterpret_cast<Holder*>(made);                                      \
    return CUDNN_STATUS_SUCCESS;                                                 \
  }

extern "C" {

MAKE(Tensor, View)
MAKE(Filter, View)
MAKE(Convolution, Conv)
MAKE(Pooling, Pool)
MAKE(Activation, int)
MAKE(LRN, int)
MAKE(ReduceTensor, int)

size_t cudnnGetVersion(void) { return 91900; }
const char* cudnnGetErrorString(cudnnStatus_t) { return "an error of the fake library"; }
void cudnnGetLastErrorString(char* text, size_t) { text[0] = '\0'; }
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(1);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnGetStream(cudnnHandle_t, cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t made, cudnnDataType_t type, int rank, const int* dims,
                                         const int* strides) {
  *reinterpret_cast<View*>(made) = {type_of(type), shape_of(dims, rank), shape_of(strides, rank), nullptr};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t made, cudnnDataType_t type, cudnnTensorFormat_t order,
                                         int rank, const int* dims) {
  const Shape d = shape_of(dims, rank);
  const Shape strides = order == CUDNN_TENSOR_NHWC ? Shape{d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]}
                                                   : Shape{d[1] * d[2] * d[3], d[2] * d[3], d[3], 1};
  *reinterpret_cast<View*>(made) = {type_of(type), d, strides, nullptr};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t made, int rank, const int* padding,
                                              const int* stride, const int* dilation, cudnnConvolutionMode_t,
                                              cudnnDataType_t) {
  *reinterpret_cast<Conv*>(made) = {shape_of(padding, rank), shape_of(stride, rank), shape_of(dilation, rank)};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t, int) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t) {
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t,
                                                      const cudnnFilterDescriptor_t, const cudnnConvolutionDescriptor_t,
                                                      const cudnnTensorDescriptor_t,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
  *bytes = 1024;
  return variant_of(algorithm) < 0 ? CUDNN_STATUS_NOT_SUPPORTED : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t, const void*, const cudnnTensorDescriptor_t xd, const void* x,
                                      const cudnnFilterDescriptor_t wd, const void* w,
                                      const cudnnConvolutionDescriptor_t convd, cudnnConvolutionFwdAlgo_t algorithm,
                                      void*, size_t, const void*, const cudnnTensorDescriptor_t yd, void* y) {
  convolution(xd, x, wd, w, convd, yd, y, algorithm, [](const View&) {});
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t, const void*, const cudnnTensorDescriptor_t xd, const void* x, const cudnnFilterDescriptor_t wd,
    const void* w, const cudnnConvolutionDescriptor_t convd, cudnnConvolutionFwdAlgo_t algorithm, void*, size_t,
    const void* alpha2, const cudnnTensorDescriptor_t zd, const void* z, const cudnnTensorDescriptor_t bd,
    const void* b, const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t yd, void* y) {
  const bool relu = *reinterpret_cast<const int*>(activation) == CUDNN_ACTIVATION_RELU;
  const double share = *static_cast<const float*>(alpha2);
  const View added = in_memory(zd, z), bias = in_memory(bd, b);
  convolution(xd, x, wd, w, convd, yd, y, algorithm, [=](const View& out) {
    fake::each(out.dims, [&](const Shape& at) {
      const double sum = out.get(at) + (share > 0.0 ? added.get(at) : 0.0) + bias.get({0, at[1], 0, 0});
      out.set(at, relu ? std::max(sum, 0.0) : sum);
    });
  });
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t made, cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t, double) {
  *reinterpret_cast<int*>(made) = mode;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnActivationForward(cudnnHandle_t, cudnnActivationDescriptor_t, const void*,
                                     const cudnnTensorDescriptor_t xd, const void* x, const void*,
                                     const cudnnTensorDescriptor_t yd, void* y) {
  map(xd, x, yd, y, [](double value) { return std::max(value, 0.0); });
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetPoolingNdDescriptor(cudnnPoolingDescriptor_t made, const cudnnPoolingMode_t mode,
                                          const cudnnNanPropagation_t, int rank, const int* window, const int* padding,
                                          const int* stride) {
  *reinterpret_cast<Pool*>(made) = {mode, shape_of(window, rank), shape_of(padding, rank), shape_of(stride, rank)};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t, const cudnnPoolingDescriptor_t made, const void*,
                                  const cudnnTensorDescriptor_t xd, const void* x, const void*,
                                  const cudnnTensorDescriptor_t yd, void* y) {
  const Pool pool = *reinterpret_cast<const Pool*>(made);
  const View from = in_memory(xd, x), to = in_memory(yd, y);
  fake::launch(6.0, [=] {
    fake::each(to.dims, [&](const Shape& out) {
      double value = pool.mode == CUDNN_POOLING_MAX ? -std::numeric_limits<double>::infinity() : 0.0;
      fake::each(pool.window, [&](const Shape& tap) {
        const std::int64_t h = out[2] * pool.stride[0] - pool.padding[0] + tap[0],
                           w = out[3] * pool.stride[1] - pool.padding[1] + tap[1];
        if (h < 0 || w < 0 || h >= from.dims[2] || w >= from.dims[3]) return;
        const double one = from.get({out[0], out[1], h, w});
        value = pool.mode == CUDNN_POOLING_MAX ? std::max(value, one)
                                               : value + one / static_cast<double>(pool.window[0] * pool.window[1]);
      });
      to.set(out, value);
    });
  });
  return CUDNN_STATUS_SUCCESS;
}

// Functions that the tests' models have no layers for.
cudnnStatus_t cudnnReorderFilterAndBias(cudnnHandle_t, const cudnnFilterDescriptor_t, cudnnReorderType_t, const void*,
                                        void*, int, const void*, void*) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnSetLRNDescriptor(cudnnLRNDescriptor_t, unsigned, double, double, double) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnLRNCrossChannelForward(cudnnHandle_t, cudnnLRNDescriptor_t, cudnnLRNMode_t, const void*,
                                          const cudnnTensorDescriptor_t, const void*, const void*,
                                          const cudnnTensorDescriptor_t, void*) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t, cudnnSoftmaxAlgorithm_t, cudnnSoftmaxMode_t, const void*,
                                  const cudnnTensorDescriptor_t, const void*, const void*,
                                  const cudnnTensorDescriptor_t, void*) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnSetReduceTensorDescriptor(cudnnReduceTensorDescriptor_t, cudnnReduceTensorOp_t, cudnnDataType_t,
                                             cudnnNanPropagation_t, cudnnReduceTensorIndices_t, cudnnIndicesType_t) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnGetReductionWorkspaceSize(cudnnHandle_t, const cudnnReduceTensorDescriptor_t,
                                             const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, size_t*) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}
cudnnStatus_t cudnnReduceTensor(cudnnHandle_t, const cudnnReduceTensorDescriptor_t, void*, size_t, void*, size_t,
                                const void*, const cudnnTensorDescriptor_t, const void*, const void*,
                                const cudnnTensorDescriptor_t, void*) {
  return CUDNN_STATUS_NOT_SUPPORTED;
}

}  // extern "C"
