// The tensors of a case on the GPU: random and never zeros, which would draw less power and let the clock rise.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "case.hpp"
#include "device.hpp"

namespace travel {

class Operands {
 public:
  explicit Operands(const Case& described);  // throws OutOfMemory
  const Case& described() const { return described_; }
  // Where a tensor lies that is read from outside, or the result; null for numbers and what lies in between.
  void* address(std::int64_t uid) const;
  // An element of a tensor that is read from outside, as it was rounded to its type.
  double value(const Tensor& tensor, std::int64_t offset) const;
  // Fill the result with NaN, so that what is not written is seen.
  void forget_result() const;

 private:
  void fill(const Tensor& tensor);
  Case described_;
  std::map<std::int64_t, std::unique_ptr<Buffer>> memory_;
  std::map<std::int64_t, std::vector<double>> values_;
};

// How many elements lie between the first and the last, both counted.
std::int64_t extent_of(const Tensor& tensor);

}  // namespace travel
