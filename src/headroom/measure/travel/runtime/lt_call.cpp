#include "lt_call.hpp"

#include <cstring>

#include "errors.hpp"

namespace travel {
namespace {

constexpr std::size_t kMostWorkspaceBytes = std::size_t{64} << 20U;
constexpr int kProposals = 128;
constexpr std::uint64_t kTensorCores = 0xFE;  // of an algorithm's numerical flags

// In the order in which they are set.
const std::array<Attribute, 9> kAttributes = {{
    {"algo", CUBLASLT_ALGO_CONFIG_ID, 4},
    {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, 4},
    {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
    {"splitk", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
    {"reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
    {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
    {"custom", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
#if CUBLAS_VER_MAJOR >= 12
    {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},
    {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2},
#else
    {"inner", CUBLASLT_ALGO_CONFIG_MAX, 0},
    {"cluster", CUBLASLT_ALGO_CONFIG_MAX, 0},
#endif
}};

cublasLtHandle_t lt_handle() {
  static cublasLtHandle_t handle = nullptr;
  if (handle == nullptr) check(cublasLtCreate(&handle), "cublasLtCreate");
  return handle;
}

std::uint64_t flags_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::uint64_t flags = 0;
  std::size_t written = 0;
  cublasLtMatmulAlgoCapGetAttribute(&algorithm, CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS, &flags, sizeof(flags),
                                    &written);
  return flags;
}

std::string hexadecimal(const cublasLtMatmulAlgo_t& algorithm) {
  const char* const digits = "0123456789abcdef";
  std::array<unsigned char, sizeof(algorithm)> bytes{};
  std::memcpy(bytes.data(), &algorithm, bytes.size());
  std::string text;
  for (const unsigned char byte : bytes) text += {digits[byte >> 4U], digits[byte & 15U]};
  return text;
}

}  // namespace

template <typename Value>
void Call::set(cublasLtMatmulDescAttributes_t which, Value value) {
  check(cublasLtMatmulDescSetAttribute(description_.get(), which, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}

Call::Call(const std::string& dtype, const Operands& operands, bool fast)
    : operands_(operands), product_(product_of(operands.described())), dtype_(dtype), fast_(fast) {
  cublasLtMatmulDesc_t raw = nullptr;
  check(cublasLtMatmulDescCreate(&raw, blas_compute(dtype), CUDA_R_32F), "cublasLtMatmulDescCreate");
  description_.reset(raw);
  set<std::int32_t>(CUBLASLT_MATMUL_DESC_TRANSA, product_.right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set<std::int32_t>(CUBLASLT_MATMUL_DESC_TRANSB, product_.left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set<std::uint32_t>(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue());
#if CUBLAS_VER_MAJOR >= 12
  if (dtype == "fp8") scale();
  if (product_.bias != nullptr) set<std::int32_t>(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, added_type());
#endif
  if (product_.bias != nullptr) set<void*>(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.address(product_.bias->uid));
  right_ = layout(blas_type(product_.right.tensor->type), product_.right.rows, product_.right.columns,
                  product_.right.batch_stride);
  left_ = layout(blas_type(product_.left.tensor->type), product_.left.rows, product_.left.columns,
                 product_.left.batch_stride);
  const std::int64_t stride = product_.m * product_.n;
  residual_ = layout(added_type(), product_.n, product_.m, stride);
  result_ = layout(blas_type(product_.result->type), product_.n, product_.m, stride);
}

std::vector<cublasLtMatmulAlgo_t> Call::proposals() const {
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const std::uint64_t most = kMostWorkspaceBytes;
  cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof(most));
  std::vector<cublasLtMatmulHeuristicResult_t> results(kProposals);
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(lt_handle(), description_.get(), right_.get(), left_.get(), residual_.get(),
                                     result_.get(), preference, kProposals, results.data(), &count);
  cublasLtMatmulPreferenceDestroy(preference);
  std::vector<cublasLtMatmulAlgo_t> found;
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    // On fp32 factors tensor cores round products to tf32.
    const bool barred = dtype_ == "fp32" && (flags_of(result.algo) & kTensorCores) != 0;
    if (result.state == CUBLAS_STATUS_SUCCESS && !barred) found.push_back(result.algo);
  }
  return found;
}

std::string Call::name_of(const cublasLtMatmulAlgo_t& algorithm) const {
  std::string name;
  AttributeValues values{};
  for (std::size_t i = 0; i < kAttributes.size(); ++i) {
    std::size_t written = 0;
    const Attribute& attribute = kAttributes[i];
    if (attribute.bytes > 0) {
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute.which, &values[i], attribute.bytes, &written);
    }
    name += (i > 0 ? "_" : "") + std::string(attribute.name) + std::to_string(static_cast<std::int32_t>(values[i]));
  }
  if (!same(values, algorithm)) name += "_x" + hexadecimal(algorithm);
  return fast_ ? name + "_fastacc" : name;
}

std::size_t Call::workspace_of(const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t result{};
  check(cublasLtMatmulAlgoCheck(lt_handle(), description_.get(), right_.get(), left_.get(), residual_.get(),
                                result_.get(), &algorithm, &result),
        "cublasLtMatmulAlgoCheck");
  return result.workspaceSize;
}

void Call::run(const cublasLtMatmulAlgo_t& algorithm, const Buffer& workspace, cudaStream_t stream) const {
  const float one = 1.0F;
  const float beta = product_.residual != nullptr ? 1.0F : 0.0F;
  const void* const residual = product_.residual != nullptr ? operands_.address(product_.residual->uid) : nullptr;
  check(cublasLtMatmul(lt_handle(), description_.get(), &one, operands_.address(product_.right.tensor->uid),
                       right_.get(), operands_.address(product_.left.tensor->uid), left_.get(), &beta, residual,
                       residual_.get(), operands_.address(product_.result->uid), result_.get(), &algorithm,
                       workspace.data(), workspace.bytes(), stream),
        "cublasLtMatmul");
}

#if CUBLAS_VER_MAJOR >= 12
void Call::scale() {
  one_ = std::make_unique<Buffer>(sizeof(float));
  const float one = 1.0F;
  check(cudaMemcpy(one_->data(), &one, sizeof(one), cudaMemcpyHostToDevice), "cudaMemcpy");
  for (const auto which : {CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER,
                           CUBLASLT_MATMUL_DESC_D_SCALE_POINTER}) {
    set<void*>(which, one_->data());
  }
  set<std::int8_t>(CUBLASLT_MATMUL_DESC_FAST_ACCUM, fast_ ? 1 : 0);
}
#endif

std::uint32_t Call::epilogue() const {
  const bool biased = product_.bias != nullptr;
  if (product_.activation == "relu") return biased ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  if (product_.activation.empty()) return biased ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  return biased ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
}

// fp8 products take residual and bias in bf16.
cudaDataType_t Call::added_type() const { return blas_type(dtype_ == "fp8" ? "bf16" : product_.result->type); }

Layout Call::layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t batch_stride) const {
  cublasLtMatrixLayout_t raw = nullptr;
  check(cublasLtMatrixLayoutCreate(&raw, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                   rows),
        "cublasLtMatrixLayoutCreate");
  Layout made(raw, cublasLtMatrixLayoutDestroy);
  if (product_.batch > 1) {
    const auto count = static_cast<std::int32_t>(product_.batch);
    cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count));
    cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_stride,
                                     sizeof(batch_stride));
  }
  return made;
}

bool Call::same(const AttributeValues& values, const cublasLtMatmulAlgo_t& algorithm) const {
  const cudaDataType_t stored = blas_type(product_.result->type);
  cublasLtMatmulAlgo_t again{};
  if (cublasLtMatmulAlgoInit(lt_handle(), blas_compute(dtype_), CUDA_R_32F, stored, stored, added_type(), stored,
                             static_cast<int>(values[0]), &again) != CUBLAS_STATUS_SUCCESS) {
    return false;
  }
  for (std::size_t i = 1; i < kAttributes.size(); ++i) {
    if (kAttributes[i].bytes == 0) continue;
    const auto status =
        cublasLtMatmulAlgoConfigSetAttribute(&again, kAttributes[i].which, &values[i], kAttributes[i].bytes);
    if (status != CUBLAS_STATUS_SUCCESS) return false;
  }
  return std::memcmp(&again, &algorithm, sizeof(again)) == 0;
}

}  // namespace travel
