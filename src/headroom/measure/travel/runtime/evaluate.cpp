#include "evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "errors.hpp"
#include "pointwise.hpp"
#include "sums.hpp"

namespace travel {
namespace {

// The index of a tensor that spreads over a larger one: as numpy has it, from the last dimension on.
Shape narrowed(const Shape& index, const Shape& dims) {
  Shape own(dims.size());
  const std::size_t skipped = index.size() - dims.size();
  for (std::size_t i = 0; i < dims.size(); ++i) own[i] = dims[i] == 1 ? 0 : index[i + skipped];
  return own;
}

double leaf(const Operands& operands, const Tensor& tensor, const Shape& index) {
  if (tensor.fill.kind == Fill::number) return tensor.fill.a;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < index.size(); ++i) offset += index[i] * tensor.strides[i];
  return operands.value(tensor, offset);
}

const Operation* producer(const Case& described, std::int64_t uid) {
  for (const Operation& operation : described.operations) {
    if (operation.writes == uid) return &operation;
  }
  return nullptr;
}

}  // namespace

double evaluate(const Operands& operands, std::int64_t uid, const Shape& index) {
  const Case& described = operands.described();
  const Operation* const operation = producer(described, uid);
  if (operation == nullptr) return leaf(operands, described.tensor(uid), index);
  if (is_pointwise(operation->name)) {
    std::vector<double> x;
    for (std::int64_t read : operation->reads) {
      x.push_back(evaluate(operands, read, narrowed(index, described.tensor(read).dims)));
    }
    return pointwise(*operation, x);
  }
  return summed(operands, *operation, index);
}

double cost_of(const Operands& operands) {
  const Case& described = operands.described();
  double cost = 1.0;
  for (const Operation& operation : described.operations) {
    if (is_pointwise(operation.name)) continue;
    double largest = 1.0;
    for (std::int64_t read : operation.reads) {
      largest = std::max(largest, static_cast<double>(elements_of(described.tensor(read).dims)));
    }
    const auto written = static_cast<double>(elements_of(described.tensor(operation.writes).dims));
    // A weight gradient sums over batch and space; everything else over much less than this.
    cost += operation.name == "conv_wgrad" ? largest : std::min(largest, 1e6 + largest / std::max(written, 1.0));
  }
  return cost;
}

}  // namespace travel
