#include "operands.hpp"

#include <algorithm>

#include "numbers.hpp"

namespace travel {
namespace {

// Random values repeat after so many, a prime, so that no row or tile begins like the one before it.
constexpr std::int64_t kPeriod = 1048573;

std::vector<std::uint8_t> bytes_of_values(const std::vector<double>& values, const std::string& type) {
  const std::size_t width = bytes_of(type);
  std::vector<std::uint8_t> bytes(values.size() * width);
  for (std::size_t i = 0; i < values.size(); ++i) store(&bytes[i * width], width, encoded(values[i], type));
  return bytes;
}

// Copy the beginning of a buffer over the rest of it, twice as much each time.
void repeat(void* data, std::size_t filled, std::size_t bytes) {
  auto* const begin = static_cast<std::uint8_t*>(data);
  while (filled < bytes) {
    const std::size_t more = std::min(filled, bytes - filled);
    check(cudaMemcpy(begin + filled, begin, more, cudaMemcpyDeviceToDevice), "cudaMemcpy");
    filled += more;
  }
  // Copies within the GPU do not keep the host waiting, and the stream of the launches does not wait for them.
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

}  // namespace

std::int64_t extent_of(const Tensor& tensor) {
  std::int64_t last = 0;
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) last += (tensor.dims[i] - 1) * tensor.strides[i];
  return last + 1;
}

Operands::Operands(const Case& described) : described_(described) {
  for (const Tensor& tensor : described_.tensors) {
    if (tensor.fill.kind == Fill::normal || tensor.fill.kind == Fill::uniform) fill(tensor);
  }
  const Tensor& result = described_.result();
  const auto bytes = static_cast<std::size_t>(extent_of(result)) * bytes_of(result.type);
  memory_[result.uid] = std::make_unique<Buffer>(bytes);
}

void Operands::fill(const Tensor& tensor) {
  const auto count = static_cast<std::size_t>(std::min(kPeriod, extent_of(tensor)));
  const auto seed = static_cast<std::uint64_t>(tensor.uid);
  std::vector<double> values = random_values(tensor.fill, tensor.type, count, seed);
  const std::vector<std::uint8_t> bytes = bytes_of_values(values, tensor.type);
  const std::size_t whole = static_cast<std::size_t>(extent_of(tensor)) * bytes_of(tensor.type);
  auto memory = std::make_unique<Buffer>(whole);
  check(cudaMemcpy(memory->data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
  repeat(memory->data(), bytes.size(), whole);
  memory_[tensor.uid] = std::move(memory);
  values_[tensor.uid] = std::move(values);
}

void* Operands::address(std::int64_t uid) const {
  const auto found = memory_.find(uid);
  return found == memory_.end() ? nullptr : found->second->data();
}

double Operands::value(const Tensor& tensor, std::int64_t offset) const {
  const std::vector<double>& values = values_.at(tensor.uid);
  return values[static_cast<std::size_t>(offset) % values.size()];
}

void Operands::forget_result() const {
  const Tensor& result = described_.result();
  const Buffer& memory = *memory_.at(result.uid);
  const std::size_t width = bytes_of(result.type);
  std::vector<std::uint8_t> bytes(width);
  store(bytes.data(), width, nan_of(result.type));
  check(cudaMemcpy(memory.data(), bytes.data(), width, cudaMemcpyHostToDevice), "cudaMemcpy");
  repeat(memory.data(), width, memory.bytes());
}

}  // namespace travel
