// cuBLAS and cuBLASLt with two algorithms, by plain loops over what their descriptors say.
#include <cublasLt.h>
#include <cublas_v2.h>

#include <algorithm>
#include <cstring>

#include "fake.hpp"

namespace {

using fake::Shape;
using fake::View;

struct Layout {
  cudaDataType type;
  std::int64_t rows, columns;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};

struct Product {
  std::int32_t transa = CUBLAS_OP_N, transb = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
};

// A column-major matrix as (batch, height, width) of what the product reads.
View view_of(const Layout& layout, bool transposed, const void* data) {
  View view;
  view.type = layout.type == CUDA_R_16BF ? View::bf16 : View::fp32;
  view.dims = {layout.batch, transposed ? layout.columns : layout.rows, transposed ? layout.rows : layout.columns};
  view.strides = {layout.stride, transposed ? layout.rows : 1, transposed ? 1 : layout.rows};
  view.data = const_cast<void*>(data);
  return view;
}

Layout of(const void* layout) { return *static_cast<const Layout*>(layout); }

void product(const View& a, const View& b, const View& c, const View& d, double beta, const Product& how, int variant) {
  const double macs = static_cast<double>(a.dims[0] * a.dims[1] * a.dims[2] * b.dims[2]);
  fake::launch(fake::duration_us(macs, variant), [=] {
    fake::multiply(a, b, d);
    fake::each(d.dims, [&](const Shape& at) {
      double value = d.get(at) + (beta > 0.0 ? c.get(at) : 0.0);
      View bias = d;
      bias.dims = {1, d.dims[1], 1};
      bias.strides = {0, 1, 0};
      bias.data = how.bias;
      if (how.bias != nullptr) value += bias.get({0, at[1], 0});
      const bool relu = how.epilogue == CUBLASLT_EPILOGUE_RELU || how.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
      d.set(at, relu ? std::max(value, 0.0) : value);
    });
  });
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion(void) { return 130100; }
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = reinterpret_cast<cublasHandle_t>(1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t, cublasPointerMode_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasSasum_v2(cublasHandle_t, int, const float*, int, float*) {
  fake::flush(30.0);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t transa, cublasOperation_t transb, int m,
                                          int n, int k, const void*, const void* a, cudaDataType type, int lda,
                                          long long stridea, const void* b, cudaDataType, int ldb, long long strideb,
                                          const void*, void* c, cudaDataType, int, long long stridec, int batch,
                                          cublasComputeType_t, cublasGemmAlgo_t) {
  const bool ta = transa == CUBLAS_OP_T, tb = transb == CUBLAS_OP_T;
  product(view_of({type, lda, ta ? m : k, batch, stridea}, ta, a),
          view_of({type, ldb, tb ? k : n, batch, strideb}, tb, b), {}, view_of({type, m, n, batch, stridec}, false, c),
          0.0, {}, 4);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t, cudaDataType_t) {
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new Product());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t made) {
  delete reinterpret_cast<Product*>(made);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t made, cublasLtMatmulDescAttributes_t which,
                                              const void* value, size_t bytes) {
  auto* const product = reinterpret_cast<Product*>(made);
  if (which == CUBLASLT_MATMUL_DESC_TRANSA) std::memcpy(&product->transa, value, bytes);
  if (which == CUBLASLT_MATMUL_DESC_TRANSB) std::memcpy(&product->transb, value, bytes);
  if (which == CUBLASLT_MATMUL_DESC_EPILOGUE) std::memcpy(&product->epilogue, value, bytes);
  if (which == CUBLASLT_MATMUL_DESC_BIAS_POINTER) std::memcpy(&product->bias, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t) {
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t made) {
  delete reinterpret_cast<Layout*>(made);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t made, cublasLtMatrixLayoutAttribute_t which,
                                                const void* value, size_t bytes) {
  auto* const layout = reinterpret_cast<Layout*>(made);
  if (which == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) std::memcpy(&layout->batch, value, bytes);
  if (which == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) std::memcpy(&layout->stride, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                                    const void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 2;
  for (int i = 0; i < 2; ++i) {
    results[i] = {};
    results[i].state = CUBLAS_STATUS_SUCCESS;
    results[i].algo.data[0] = static_cast<std::uint64_t>(66 + i);
    // What no attribute tells: the second one's name needs its bytes.
    results[i].algo.data[7] = static_cast<std::uint64_t>(i);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, void* value,
                                                    size_t bytes, size_t* written) {
  std::memset(value, 0, bytes);
  *written = bytes;
  if (which == CUBLASLT_ALGO_CONFIG_ID) std::memcpy(value, &algorithm->data[0], bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t*, cublasLtMatmulAlgoConfigAttributes_t,
                                                    const void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t, int id,
                                      cublasLtMatmulAlgo_t* algorithm) {
  *algorithm = {};
  algorithm->data[0] = static_cast<std::uint64_t>(id);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t*, cublasLtMatmulAlgoCapAttributes_t,
                                                 void* value, size_t bytes, size_t* written) {
  std::memset(value, 0, bytes);
  *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                       const cublasLtMatmulAlgo_t*, cublasLtMatmulHeuristicResult_t* result) {
  result->workspaceSize = 4096;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t made, const void*, const void* a,
                              cublasLtMatrixLayout_t ad, const void* b, cublasLtMatrixLayout_t bd, const void* beta,
                              const void* c, cublasLtMatrixLayout_t cd, void* d, cublasLtMatrixLayout_t dd,
                              const cublasLtMatmulAlgo_t* algorithm, void*, size_t, cudaStream_t) {
  const Product how = *reinterpret_cast<const Product*>(made);
  product(view_of(of(ad), how.transa == CUBLAS_OP_T, a), view_of(of(bd), how.transb == CUBLAS_OP_T, b),
          view_of(of(cd), false, c), view_of(of(dd), false, d), *static_cast<const float*>(beta), how,
          static_cast<int>(algorithm->data[0]) - 66);
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
