#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "fake.hpp"

namespace fake {
namespace {

using Graph = std::vector<double>;  // durations: replays take time and compute nothing anew

double clock_us = 0.0;
bool is_cold = false;
Graph* capturing = nullptr;

double jittered(double us) {
  static std::uint32_t state = 1;
  state = state * 1664525U + 1013904223U;
  return us * (1.0 + 0.01 * (static_cast<double>(state >> 8U) / 16777216.0 - 0.5));
}

void pass(double us) {
  // A flush is the one launch of a negative sign.
  clock_us += jittered(std::fabs(us)) * (us > 0.0 && is_cold ? 1.3 : 1.0);
  is_cold = us < 0.0;
}

void enqueue(double us, const std::function<void()>& work) {
  if (capturing != nullptr) {
    capturing->push_back(us);
    return;
  }
  work();
  pass(us);
}

std::int64_t offset(const View& view, const Shape& index) {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < index.size(); ++i) at += (view.dims[i] == 1 ? 0 : index[i]) * view.strides[i];
  return at;
}

}  // namespace

double View::get(const Shape& index) const {
  if (type == fp32) return static_cast<const float*>(data)[offset(*this, index)];
  const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(data)[offset(*this, index)])
                             << 16U;
  float value = 0.0F;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

void View::set(const Shape& index, double value) const {
  const auto narrow = static_cast<float>(value);
  if (type == fp32) {
    static_cast<float*>(data)[offset(*this, index)] = narrow;
    return;
  }
  std::uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof(bits));
  static_cast<std::uint16_t*>(data)[offset(*this, index)] = static_cast<std::uint16_t>((bits + 0x8000U) >> 16U);
}

void each(const Shape& sizes, const std::function<void(const Shape&)>& visit) {
  std::int64_t left = 1;
  for (std::int64_t size : sizes) left *= size;
  Shape index(sizes.size(), 0);
  for (; left > 0; --left) {
    visit(index);
    for (std::size_t i = sizes.size(); i-- > 0 && ++index[i] == sizes[i];) index[i] = 0;
  }
}

void launch(double us, const std::function<void()>& work) { enqueue(us, work); }
void flush(double us) {
  enqueue(-us, [] {});
}

bool told_to(const char* what, const std::string& implementation) {
  const char* const named = std::getenv((std::string("FAKE_") + what).c_str());
  return named != nullptr && implementation == named;
}

double duration_us(double macs, int variant) { return 20.0 + macs / 1e6 + 3.0 * variant; }

void convolve(const View& x, const View& w, const View& y, const Shape& padding, const Shape& stride,
              const Shape& dilation) {
  const std::int64_t per_group = y.dims[1] / (x.dims[1] / w.dims[1]);
  each(y.dims, [&](const Shape& out) {
    double sum = 0.0;
    each({w.dims[1], w.dims[2], w.dims[3]}, [&](const Shape& tap) {
      const std::int64_t h = out[2] * stride[0] - padding[0] + tap[1] * dilation[0];
      const std::int64_t v = out[3] * stride[1] - padding[1] + tap[2] * dilation[1];
      if (h < 0 || v < 0 || h >= x.dims[2] || v >= x.dims[3]) return;
      sum += x.get({out[0], out[1] / per_group * w.dims[1] + tap[0], h, v}) * w.get({out[1], tap[0], tap[1], tap[2]});
    });
    y.set(out, sum);
  });
}

void multiply(const View& a, const View& b, const View& c) {
  each(c.dims, [&](const Shape& out) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < a.dims[2]; ++k) sum += a.get({out[0], out[1], k}) * b.get({out[0], k, out[2]});
    c.set(out, sum);
  });
}

double macs_of(const View& w, const View& y) {
  double macs = 1.0;
  for (std::int64_t size : y.dims) macs *= static_cast<double>(size);
  for (std::size_t i = 1; i < w.dims.size(); ++i) macs *= static_cast<double>(w.dims[i]);
  return macs;
}

}  // namespace fake

using fake::Graph;

extern "C" {

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return (*pointer = std::malloc(bytes)) ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void*, int, std::size_t, cudaStream_t) {
  fake::launch(1.0, [] {});
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t) {
  return cudaErrorNotSupported;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{8} << 30U;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes*, const void*) { return cudaErrorNotSupported; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "an error of the fake runtime"; }
cudaError_t cudaSetDevice(int index) { return index == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDevice(int* index) {
  *index = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int, int) {
  std::strcpy(text, "0000:1b:00.0");
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof(*properties));
  std::strcpy(properties->name, "NVIDIA H200");
  properties->l2CacheSize = 1 << 20;
  properties->major = 9;
  properties->multiProcessorCount = 132;
  for (int i = 0; i < 16; ++i) properties->uuid.bytes[i] = static_cast<char>(i);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(1);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  fake::capturing = new Graph;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(fake::capturing);
  fake::capturing = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
  *ready = reinterpret_cast<cudaGraphExec_t>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  fake::clock_us += 3.0;
  for (const double us : *reinterpret_cast<Graph*>(graph)) fake::pass(us);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = reinterpret_cast<cudaEvent_t>(new double(0.0));
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<double*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  *reinterpret_cast<double*>(event) = fake::clock_us;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  *ms = static_cast<float>((*reinterpret_cast<double*>(end) - *reinterpret_cast<double*>(start)) / 1000.0);
  return cudaSuccess;
}

// What only the frontend's own kernels call: never reached.
cudaError_t cudaGetDriverEntryPointByVersion(const char*, void**, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult*) {
  return cudaErrorNotSupported;
}
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t, cudaFuncAttribute, int, int) { return cudaErrorNotSupported; }
cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, std::size_t, cudaStream_t) {
  return cudaErrorNotSupported;
}
cudaError_t cudaLibraryGetKernel(cudaKernel_t*, cudaLibrary_t, const char*) { return cudaErrorNotSupported; }
cudaError_t cudaLibraryLoadData(cudaLibrary_t*, const void*, cudaJitOption*, void**, unsigned, cudaLibraryOption*,
                                void**, unsigned) {
  return cudaErrorNotSupported;
}
cudaError_t cudaLibraryUnload(cudaLibrary_t) { return cudaErrorNotSupported; }

}  // extern "C"
