// A case that is one matrix product, in the columns that cuBLAS thinks in.
//
// A row-major D (m x n) = A (m x k) B (k x n) is the same memory as the column-major D^T = B^T A^T: the library's first
// factor is the right one, its rows are the columns n, and its bias, one value per row, is the bias per column.
#pragma once

#include "case.hpp"

namespace travel {

struct Factor {
  const Tensor* tensor;
  std::int64_t rows;  // of the library's matrix: what lies together
  std::int64_t columns;
  bool transposed;
  std::int64_t batch_stride;  // 0 for one matrix that serves all products
};

struct Product {
  std::int64_t batch, m, n, k;
  Factor left, right;
  const Tensor* residual = nullptr;
  const Tensor* bias = nullptr;
  std::string activation;  // relu, gelu_approx_tanh or none
  const Tensor* result;
};

Product product_of(const Case& described);

}  // namespace travel
