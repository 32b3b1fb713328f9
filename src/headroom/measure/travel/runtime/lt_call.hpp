// One product as cuBLASLt has it: descriptors, the algorithms that it proposes, and the call itself. Algorithms are
// named as headroom's own stopwatch names them, so that either finds the other's.
#pragma once

#include <cublasLt.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "blas.hpp"
#include "operands.hpp"
#include "product.hpp"

namespace travel {

// What names call each attribute of an algorithm.
struct Attribute {
  const char* name;
  cublasLtMatmulAlgoConfigAttributes_t which;
  std::size_t bytes;
};
using AttributeValues = std::array<std::uint32_t, 9>;

using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, cublasStatus_t (*)(cublasLtMatrixLayout_t)>;

// The descriptors of one product, shared by its algorithms.
class Call {
 public:
  Call(const std::string& dtype, const Operands& operands, bool fast);
  // Algorithms in the order of the library's preference; none where it declines the product.
  std::vector<cublasLtMatmulAlgo_t> proposals() const;
  // Exact enough to run it again: nine attributes, and the bytes where these alone do not bring them back.
  std::string name_of(const cublasLtMatmulAlgo_t& algorithm) const;
  std::size_t workspace_of(const cublasLtMatmulAlgo_t& algorithm) const;
  void run(const cublasLtMatmulAlgo_t& algorithm, const Buffer& workspace, cudaStream_t stream) const;

 private:
  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t which, Value value);
  void scale();
  std::uint32_t epilogue() const;
  cudaDataType_t added_type() const;
  Layout layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t batch_stride) const;
  bool same(const AttributeValues& values, const cublasLtMatmulAlgo_t& algorithm) const;

  const Operands& operands_;
  Product product_;
  std::string dtype_;
  bool fast_;
  std::unique_ptr<cublasLtMatmulDescOpaque_t, cublasStatus_t (*)(cublasLtMatmulDesc_t)> description_{
      nullptr, cublasLtMatmulDescDestroy};
  Layout right_{nullptr, cublasLtMatrixLayoutDestroy};
  Layout left_{nullptr, cublasLtMatrixLayoutDestroy};
  Layout residual_{nullptr, cublasLtMatrixLayoutDestroy};
  Layout result_{nullptr, cublasLtMatrixLayoutDestroy};
  std::unique_ptr<Buffer> one_;
};

}  // namespace travel
