// Matrix products by cuBLAS itself, with the algorithm that the library chooses.
#include "blas.hpp"
#include "errors.hpp"
#include "library.hpp"
#include "product.hpp"

namespace travel {
namespace {

// What the library may take beside the operands; handed over, so that a capture finds it allocated.
constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20U;

class PlainProduct : public Program {
 public:
  PlainProduct(const Device& device, const std::string& dtype, const Operands& operands)
      : device_(device),
        operands_(operands),
        product_(product_of(operands.described())),
        compute_(blas_compute(dtype)) {}

  void launch() override {
    const Product& p = product_;
    const cublasHandle_t handle = blas_handle(device_);
    const float one = 1.0F;
    const float zero = 0.0F;
    check(cublasSetWorkspace(handle, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
    check(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
    check(cublasGemmStridedBatchedEx(
              handle, p.right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, p.left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
              static_cast<int>(p.n), static_cast<int>(p.m), static_cast<int>(p.k), &one,
              operands_.address(p.right.tensor->uid), blas_type(p.right.tensor->type), static_cast<int>(p.right.rows),
              p.right.batch_stride, operands_.address(p.left.tensor->uid), blas_type(p.left.tensor->type),
              static_cast<int>(p.left.rows), p.left.batch_stride, &zero, operands_.address(p.result->uid),
              blas_type(p.result->type), static_cast<int>(p.n), p.m * p.n, static_cast<int>(p.batch), compute_,
              CUBLAS_GEMM_DEFAULT),
          "cublasGemmStridedBatchedEx");
  }

  std::size_t workspace_bytes() const override { return workspace_.bytes(); }

 private:
  const Device& device_;
  const Operands& operands_;
  Product product_;
  cublasComputeType_t compute_;
  Buffer workspace_{kWorkspaceBytes};
};

std::vector<Candidate> candidates(const Device& device, const std::string& dtype, const Operands& operands) {
  const Case& described = operands.described();
  return {{{"cublas", "cublasGemmStridedBatchedEx", described.layout, described.math},
           [&device, &operands, dtype] { return std::make_unique<PlainProduct>(device, dtype, operands); }}};
}

}  // namespace

Library plain_products() { return {"cublas", "cublas", candidates}; }

}  // namespace travel
