#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "errors.hpp"
#include "evaluate.hpp"
#include "numbers.hpp"

namespace travel {
namespace {

// docs/stopwatch.md says why these: rounding errs by less, a wrong type or a missing bias by more.
const std::map<std::string, double>& tolerances() {
  static const std::map<std::string, double> all = {
      {"fp32", 1e-4}, {"tf32", 2e-3}, {"fp16", 5e-3}, {"bf16", 2e-2}, {"fp8", 1e-1}};
  return all;
}

constexpr int kMostPlaces = 64;
constexpr int kFewestPlaces = 8;
constexpr double kMostReads = 2e7;  // about a second of a host's core

// Of an output that is larger, only the beginning and the end are searched for what was not written.
constexpr std::size_t kSearchedBytes = std::size_t{2} << 20U;

std::int64_t offset_of(const Tensor& tensor, const Shape& index) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < index.size(); ++i) offset += index[i] * tensor.strides[i];
  return offset;
}

bool holds_nan(const std::vector<std::uint8_t>& bytes, const std::string& type) {
  const std::size_t width = bytes_of(type);
  const std::uint32_t size = nan_of(type);  // every bit but the sign
  const std::uint32_t largest = encoded(std::numeric_limits<double>::infinity(), type);
  for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
    if ((load(&bytes[at], width) & size) > largest) return true;
  }
  return false;
}

}  // namespace

Reference::Reference(const Operands& operands, const std::string& dtype)
    : operands_(operands), tolerance_(tolerances().at(dtype)) {
  const Tensor& result = operands.described().result();
  const double affordable = kMostReads / cost_of(operands);
  const int count = std::clamp(static_cast<int>(std::min(affordable, 1e6)), kFewestPlaces, kMostPlaces);
  std::mt19937_64 random(1);  // the same places every time
  for (int i = 0; i < count; ++i) {
    Shape index;
    for (std::int64_t size : result.dims) {
      // The first and the last element are always among them.
      const auto any = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size));
      index.push_back(i == 0 ? 0 : i == 1 ? size - 1 : any);
    }
    places_.push_back(offset_of(result, index));
    expected_.push_back(evaluate(operands, result.uid, index));
  }
}

Check Reference::check() const {
  const Tensor& result = operands_.described().result();
  const auto* const memory = static_cast<const std::uint8_t*>(operands_.address(result.uid));
  const std::size_t width = bytes_of(result.type);
  const std::size_t whole = static_cast<std::size_t>(extent_of(result)) * width;
  const std::size_t part = std::min(whole, kSearchedBytes / width * width);
  std::vector<std::uint8_t> bytes(part);
  for (std::size_t begin : {std::size_t{0}, whole - part}) {
    travel::check(cudaMemcpy(bytes.data(), memory + begin, part, cudaMemcpyDeviceToHost), "cudaMemcpy");
    if (holds_nan(bytes, result.type)) return {std::numeric_limits<double>::quiet_NaN(), tolerance_};
  }
  double distance = 0.0;
  double norm = 0.0;
  std::vector<std::uint8_t> one(width);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::uint8_t* const from = memory + static_cast<std::size_t>(places_[i]) * width;
    travel::check(cudaMemcpy(one.data(), from, width, cudaMemcpyDeviceToHost), "cudaMemcpy");
    distance += std::pow(decoded(load(one.data(), width), result.type) - expected_[i], 2);
    norm += std::pow(expected_[i], 2);
  }
  return {norm > 0.0 ? std::sqrt(distance / norm) : std::sqrt(distance), tolerance_};
}

}  // namespace travel
