// cuDNN's graph API: descriptors are bags of attributes, engines plain loops over the operations that they describe.
#include <cudnn.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>

#include "fake.hpp"

namespace {

using fake::Shape;
using fake::View;

struct Bag {
  cudnnBackendDescriptorType_t type;
  std::map<int, std::vector<std::uint8_t>> bytes;

  template <typename Value>
  std::vector<Value> all(int name) const {
    const auto found = bytes.find(name);
    if (found == bytes.end()) return {};
    std::vector<Value> values(found->second.size() / sizeof(Value));
    std::memcpy(values.data(), found->second.data(), found->second.size());
    return values;
  }

  template <typename Value>
  Value one(int name) const {
    const auto values = all<Value>(name);
    return values.empty() ? Value{} : values.front();
  }

  const Bag& bag(int name) const { return *one<Bag*>(name); }
};

constexpr int kEngines = 4;  // the last is named by no heuristic and computes what is wrong

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_FRACTION:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    default:
      return 4;
  }
}

void put(Bag& bag, int name, const void* value, std::size_t bytes) {
  const auto* const from = static_cast<const std::uint8_t*>(value);
  bag.bytes[name].assign(from, from + bytes);
}

// Dense values of every tensor that is computed, by identifier.
using Values = std::map<std::int64_t, std::vector<double>>;

struct Run {
  Values values;
  std::map<std::int64_t, void*> memory;

  View view(const Bag& tensor) const {
    View view;
    view.type = tensor.one<std::int32_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16 ? View::bf16 : View::fp32;
    view.dims = tensor.all<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    view.strides = tensor.all<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    const auto found = memory.find(tensor.one<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID));
    view.data = found == memory.end() ? nullptr : found->second;
    return view;
  }

  double get(const Bag& tensor, const Shape& index) const {
    const auto made = values.find(tensor.one<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID));
    const View own = view(tensor);
    if (made == values.end()) return own.get(index);
    std::int64_t at = 0;
    for (std::size_t i = 0; i < own.dims.size(); ++i) at = at * own.dims[i] + (own.dims[i] == 1 ? 0 : index[i]);
    return made->second[static_cast<std::size_t>(at)];
  }

  void compute(const Bag& written, const std::function<double(const Shape&)>& element) {
    std::vector<double> all;
    const View out = view(written);
    fake::each(out.dims, [&](const Shape& index) { all.push_back(element(index)); });
    values[written.one<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)] = all;
    std::size_t at = 0;
    if (out.data != nullptr) fake::each(out.dims, [&](const Shape& index) { out.set(index, all[at++]); });
  }
};

void convolution(const Bag& operation, Run& run) {
  const Bag& x = operation.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
  const Bag& w = operation.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
  const Bag& conv = operation.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
  const Shape padding = conv.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  const Shape stride = conv.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const View data = run.view(x), filter = run.view(w);
  run.compute(operation.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y), [&](const Shape& out) {
    double sum = 0.0;
    fake::each({filter.dims[1], filter.dims[2], filter.dims[3]}, [&](const Shape& tap) {
      const std::int64_t h = out[2] * stride[0] - padding[0] + tap[1], v = out[3] * stride[1] - padding[1] + tap[2];
      if (h < 0 || v < 0 || h >= data.dims[2] || v >= data.dims[3]) return;
      sum += run.get(x, {out[0], tap[0], h, v}) * run.get(w, {out[1], tap[0], tap[1], tap[2]});
    });
    return sum;
  });
}

void product(const Bag& operation, Run& run) {
  const Bag& a = operation.bag(CUDNN_ATTR_OPERATION_MATMUL_ADESC);
  const Bag& b = operation.bag(CUDNN_ATTR_OPERATION_MATMUL_BDESC);
  const std::int64_t length = run.view(a).dims[2];
  run.compute(operation.bag(CUDNN_ATTR_OPERATION_MATMUL_CDESC), [&](const Shape& out) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < length; ++k) sum += run.get(a, {out[0], out[1], k}) * run.get(b, {out[0], k, out[2]});
    return sum;
  });
}

bool pointwise(const Bag& operation, Run& run) {
  const int mode =
      operation.bag(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).one<std::int32_t>(CUDNN_ATTR_POINTWISE_MODE);
  const Bag& x = operation.bag(CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
  const Bag* const b = operation.one<Bag*>(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
  if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_MUL && mode != CUDNN_POINTWISE_RELU_FWD) return false;
  run.compute(operation.bag(CUDNN_ATTR_OPERATION_POINTWISE_YDESC), [&](const Shape& index) {
    const double first = run.get(x, index);
    if (mode == CUDNN_POINTWISE_RELU_FWD) return std::max(first, 0.0);
    return mode == CUDNN_POINTWISE_ADD ? first + run.get(*b, index) : first * run.get(*b, index);
  });
  return true;
}

bool evaluate(const Bag& graph, Run& run) {
  for (const Bag* operation : graph.all<Bag*>(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    if (operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
      convolution(*operation, run);
    } else if (operation->type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) {
      product(*operation, run);
    } else if (operation->type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR || !pointwise(*operation, run)) {
      return false;
    }
  }
  return true;
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* made) {
  *made = reinterpret_cast<cudnnBackendDescriptor_t>(new Bag{type, {}});
  return CUDNN_STATUS_SUCCESS;
}

// Bags refer to each other by address, so that none is ever freed.
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t made, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  put(*reinterpret_cast<Bag*>(made), name, values, static_cast<std::size_t>(count) * size_of(type));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t made, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted, int64_t* count, void* values) {
  const Bag& bag = *reinterpret_cast<const Bag*>(made);
  int64_t ignored = 0;
  int64_t& found = count != nullptr ? *count : ignored;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    // Heuristic A proposes engines 0 and 1, B engine 2, the fallback none.
    const int mode = bag.one<std::int32_t>(CUDNN_ATTR_ENGINEHEUR_MODE);
    const std::vector<std::int64_t> engines = mode == CUDNN_HEUR_MODE_A   ? std::vector<std::int64_t>{0, 1}
                                              : mode == CUDNN_HEUR_MODE_B ? std::vector<std::int64_t>{2}
                                                                          : std::vector<std::int64_t>{};
    found = static_cast<int64_t>(engines.size());
    for (int64_t i = 0; values != nullptr && i < std::min(found, wanted); ++i) {
      Bag* const config = static_cast<Bag**>(values)[i];
      Bag* const engine = new Bag{CUDNN_BACKEND_ENGINE_DESCRIPTOR, {}};
      Bag* const graph = bag.one<Bag*>(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
      put(*engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, &graph, 8);
      put(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &engines[static_cast<std::size_t>(i)], 8);
      put(*config, CUDNN_ATTR_ENGINECFG_ENGINE, &engine, 8);
    }
    return CUDNN_STATUS_SUCCESS;
  }
  const std::int64_t number = name == CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT ? kEngines : 256;
  if (name == CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT || name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE ||
      name == CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE) {
    found = 1;
    if (values != nullptr) std::memcpy(values, &number, sizeof(number));
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED) {
    found = 1;
    if (values != nullptr) std::memset(values, 0, size_of(type));
    return CUDNN_STATUS_SUCCESS;
  }
  const auto stored = bag.bytes.find(name);
  found = stored == bag.bytes.end() ? 0 : static_cast<int64_t>(stored->second.size() / size_of(type));
  if (values == nullptr || found == 0) return CUDNN_STATUS_SUCCESS;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    // The caller brings descriptors to be filled.
    for (int64_t i = 0; i < std::min(found, wanted); ++i)
      *static_cast<Bag**>(values)[i] = *bag.all<Bag*>(name)[static_cast<std::size_t>(i)];
  } else {
    std::memcpy(values, stored->second.data(), static_cast<std::size_t>(std::min(found, wanted)) * size_of(type));
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  const Bag& engine =
      reinterpret_cast<Bag*>(plan)->bag(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).bag(CUDNN_ATTR_ENGINECFG_ENGINE);
  const Bag& variants = *reinterpret_cast<Bag*>(pack);
  const auto index = static_cast<int>(engine.one<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  if (fake::told_to("ABORT", "eng" + std::to_string(index))) std::abort();
  Run run;
  const auto identifiers = variants.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = variants.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (std::size_t i = 0; i < identifiers.size(); ++i) run.memory[identifiers[i]] = pointers[i];
  bool known = true;
  // Engine 2 is the fastest.
  fake::launch(fake::duration_us(0.0, 3 - index), [&] {
    if (index < kEngines - 1) known = evaluate(engine.bag(CUDNN_ATTR_ENGINE_OPERATION_GRAPH), run);
  });
  return known ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

}  // extern "C"
