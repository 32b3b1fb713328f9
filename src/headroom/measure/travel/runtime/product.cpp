#include "product.hpp"

namespace travel {
namespace {

Factor factor_of(const Tensor& tensor) {
  const std::int64_t height = tensor.dims[1];
  const std::int64_t width = tensor.dims[2];
  const bool transposed = tensor.strides[2] != 1;
  const std::int64_t stride = tensor.dims[0] > 1 ? tensor.strides[0] : 0;
  return {&tensor, transposed ? height : width, transposed ? width : height, transposed, stride};
}

}  // namespace

Product product_of(const Case& described) {
  const Operation& first = described.operations.front();
  const Tensor& left = described.tensor(first.reads[0]);
  const Tensor& right = described.tensor(first.reads[1]);
  const Tensor& result = described.result();
  Product product{};
  product.batch = result.dims[0];
  product.m = left.dims[1];
  product.n = right.dims[2];
  product.k = left.dims[2];
  product.left = factor_of(left);
  product.right = factor_of(right);
  product.result = &result;
  for (std::size_t i = 1; i < described.operations.size(); ++i) {
    const Operation& operation = described.operations[i];
    if (operation.name != "add") {
      product.activation = operation.name;
      continue;
    }
    const Tensor& added = described.tensor(operation.reads[1]);
    const bool is_column =
        added.dims[0] == 1 && added.dims[1] == 1 && (added.dims != result.dims || product.residual != nullptr);
    (is_column ? product.bias : product.residual) = &added;
  }
  return product;
}

}  // namespace travel
