#include "device.hpp"

#include <array>
#include <cstdio>

#include "errors.hpp"

namespace travel {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw Failed(std::string(what) + ": " + cudaGetErrorString(status));
}

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  const cudaError_t status = cudaMalloc(&data_, bytes > 0 ? bytes : 1);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // otherwise the next check of any launch would find it
    throw OutOfMemory(bytes, Device::free_bytes());
  }
  check(status, "cudaMalloc");
}

Buffer::~Buffer() { cudaFree(data_); }

Event::Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
Event::~Event() { cudaEventDestroy(event_); }
void Event::record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
void Event::wait() const { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

bool Event::passed() const {
  const cudaError_t status = cudaEventQuery(event_);
  if (status == cudaErrorNotReady) return false;
  check(status, "cudaEventQuery");
  return true;
}

double Event::us_until(const Event& end) const {
  float ms = 0.0F;
  check(cudaEventElapsedTime(&ms, event_, end.event_), "cudaEventElapsedTime");
  return 1000.0 * static_cast<double>(ms);
}

Recording::Recording(cudaStream_t stream, const Launch& launch, int repeats) : stream_(stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  try {
    for (int i = 0; i < repeats; ++i) launch();
  } catch (...) {
    // The capture has to end, and the error that broke it off is what counts.
    cudaStreamEndCapture(stream, &graph_);
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph_), "cudaStreamEndCapture");
#if CUDART_VERSION >= 12000
  check(cudaGraphInstantiate(&ready_, graph_, 0), "cudaGraphInstantiate");
#else
  check(cudaGraphInstantiate(&ready_, graph_, nullptr, nullptr, 0), "cudaGraphInstantiate");
#endif
}

Recording::~Recording() {
  if (ready_ != nullptr) cudaGraphExecDestroy(ready_);
  if (graph_ != nullptr) cudaGraphDestroy(graph_);
}

void Recording::replay() { check(cudaGraphLaunch(ready_, stream_), "cudaGraphLaunch"); }

Device::Device(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  name_ = properties.name;
  l2_bytes_ = static_cast<std::size_t>(properties.l2CacheSize);
  uuid_ = "GPU";
  for (std::size_t i = 0; i < 16; ++i) {
    std::array<char, 4> digits{};
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(properties.uuid.bytes[i]));
    std::snprintf(digits.data(), digits.size(), "%02x", byte);
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) uuid_ += '-';
    uuid_ += digits.data();
  }
  std::array<char, 32> bus{};
  check(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index), "cudaDeviceGetPCIBusId");
  bus_ = bus.data();
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

Device::~Device() { cudaStreamDestroy(stream_); }

void Device::wait() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

std::size_t Device::free_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  return cudaMemGetInfo(&free, &total) == cudaSuccess ? free : 0;
}

}  // namespace travel
