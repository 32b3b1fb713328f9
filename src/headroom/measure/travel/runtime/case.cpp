#include "case.hpp"

#include <stdexcept>

namespace travel {

const Tensor& Case::tensor(std::int64_t uid) const {
  for (const Tensor& each : tensors) {
    if (each.uid == uid) return each;
  }
  throw std::logic_error("the tables name a tensor that they do not describe");
}

std::vector<double> numbers_of(const Operation& operation, const std::string& name, std::vector<double> otherwise) {
  for (const auto& [key, values] : operation.numbers) {
    if (key == name) return values;
  }
  return otherwise;
}

Shape integers_of(const Operation& operation, const std::string& name) {
  Shape found;
  for (double value : numbers_of(operation, name)) found.push_back(static_cast<std::int64_t>(value));
  return found;
}

std::int64_t elements_of(const Shape& dims) {
  std::int64_t product = 1;
  for (std::int64_t size : dims) product *= size;
  return product;
}

}  // namespace travel
