// The GPU: memory, one stream, CUDA graphs to replay and events to time them with. Owners free what they own.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace travel {

// Throws Failed with what was tried and the runtime's own words.
void check(cudaError_t status, const char* what);

class Buffer {
 public:
  explicit Buffer(std::size_t bytes);  // throws OutOfMemory
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

class Event {
 public:
  Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  void record(cudaStream_t stream);
  bool passed() const;
  void wait() const;
  double us_until(const Event& end) const;

 private:
  cudaEvent_t event_ = nullptr;
};

using Launch = std::function<void()>;

// Launches recorded once and replayed at no cost to the host.
class Recording {
 public:
  Recording(cudaStream_t stream, const Launch& launch, int repeats);
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording();
  void replay();

 private:
  cudaStream_t stream_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t ready_ = nullptr;
};

// One GPU with a stream of its own; the default stream cannot be captured.
class Device {
 public:
  explicit Device(int index);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();
  cudaStream_t stream() const { return stream_; }
  std::size_t l2_bytes() const { return l2_bytes_; }
  const std::string& name() const { return name_; }
  const std::string& uuid() const { return uuid_; }
  const std::string& bus() const { return bus_; }
  void wait() const;
  static std::size_t free_bytes();

 private:
  cudaStream_t stream_ = nullptr;
  std::size_t l2_bytes_ = 0;
  std::string name_, uuid_, bus_;
};

}  // namespace travel
