// A case drawn as a graph of cuDNN's frontend. Its headers take a compiler so long that one file alone includes this
// one.
#pragma once

#include <cudnn_frontend.h>

#include <map>
#include <memory>
#include <string>

#include "case.hpp"
#include "errors.hpp"

namespace travel {

namespace fe = cudnn_frontend;
using TensorPointer = std::shared_ptr<fe::graph::Tensor_attributes>;

inline fe::DataType_t type_of(const std::string& type) {
  if (type == "fp16") return fe::DataType_t::HALF;
  if (type == "bf16") return fe::DataType_t::BFLOAT16;
  return type == "fp8" ? fe::DataType_t::FP8_E4M3 : fe::DataType_t::FLOAT;
}

inline const std::map<std::string, fe::PointwiseMode_t>& pointwise_modes() {
  using Mode = fe::PointwiseMode_t;
  static const std::map<std::string, Mode> all = {
      {"abs", Mode::ABS},
      {"add", Mode::ADD},
      {"ceil", Mode::CEIL},
      {"cos", Mode::COS},
      {"div", Mode::DIV},
      {"elu", Mode::ELU_FWD},
      {"erf", Mode::ERF},
      {"exp", Mode::EXP},
      {"floor", Mode::FLOOR},
      {"gelu", Mode::GELU_FWD},
      {"gelu_approx_tanh", Mode::GELU_APPROX_TANH_FWD},
      {"gelu_approx_tanh_backward", Mode::GELU_APPROX_TANH_BWD},
      {"gelu_backward", Mode::GELU_BWD},
      {"log", Mode::LOG},
      {"max", Mode::MAX},
      {"min", Mode::MIN},
      {"mul", Mode::MUL},
      {"neg", Mode::NEG},
      {"reciprocal", Mode::RECIPROCAL},
      {"relu", Mode::RELU_FWD},
      {"relu_backward", Mode::RELU_BWD},
      {"rsqrt", Mode::RSQRT},
      {"sigmoid", Mode::SIGMOID_FWD},
      {"sin", Mode::SIN},
      {"softplus", Mode::SOFTPLUS_FWD},
      {"sqrt", Mode::SQRT},
      {"sub", Mode::SUB},
      {"swish", Mode::SWISH_FWD},
      {"tan", Mode::TAN},
      {"tanh", Mode::TANH_FWD},
  };
  return all;
}

// Draws a case, operation by operation.
class Drawing {
 public:
  Drawing(fe::graph::Graph& graph, const Case& described) : graph_(graph), described_(described) {
    for (const Tensor& tensor : described.tensors) {
      if (tensor.fill.kind == Fill::number) {
        tensors_[tensor.uid] = graph.tensor(static_cast<float>(tensor.fill.a));
      } else if (tensor.fill.kind != Fill::nothing) {
        auto attributes = fe::graph::Tensor_attributes();
        attributes.set_dim(tensor.dims)
            .set_stride(tensor.strides)
            .set_data_type(type_of(tensor.type))
            .set_uid(tensor.uid);
        tensors_[tensor.uid] = graph.tensor(attributes.set_name("operand" + std::to_string(tensor.uid)));
      }
    }
    for (const Operation& operation : described.operations) {
      TensorPointer written = drawn(operation);
      const Tensor& tensor = described.tensor(operation.writes);
      // A stride hides how large the input of a gradient was: the library has to be told.
      if (operation.name.rfind("conv_", 0) == 0) written->set_dim(tensor.dims).set_stride(tensor.strides);
      tensors_[operation.writes] = written;
    }
    const Tensor& result = described.result();
    tensors_[result.uid]->set_output(true).set_data_type(type_of(result.type)).set_uid(result.uid);
    tensors_[result.uid]->set_dim(result.dims).set_stride(result.strides);
  }

 private:
  TensorPointer read(const Operation& operation, std::size_t position) const {
    return tensors_.at(operation.reads[position]);
  }

  TensorPointer drawn(const Operation& operation) {
    const std::string& name = operation.name;
    if (name == "conv_fprop")
      return graph_.conv_fprop(read(operation, 0), read(operation, 1),
                               geometry<fe::graph::Conv_fprop_attributes>(operation));
    if (name == "conv_dgrad")
      return graph_.conv_dgrad(read(operation, 0), read(operation, 1),
                               geometry<fe::graph::Conv_dgrad_attributes>(operation));
    // The frontend takes what comes from behind first.
    if (name == "conv_wgrad")
      return graph_.conv_wgrad(read(operation, 1), read(operation, 0),
                               geometry<fe::graph::Conv_wgrad_attributes>(operation));
    if (name == "matmul") return graph_.matmul(read(operation, 0), read(operation, 1), fe::graph::Matmul_attributes());
    if (name == "layernorm")
      return normalized<fe::graph::Layernorm_attributes>(operation,
                                                         [this](auto... x) { return graph_.layernorm(x...)[0]; });
    if (name == "instancenorm")
      return normalized<fe::graph::Instancenorm_attributes>(operation,
                                                            [this](auto... x) { return graph_.instancenorm(x...)[0]; });
    if (name == "rmsnorm") {
      auto epsilon = read(operation, 2);
      auto attributes =
          fe::graph::Rmsnorm_attributes().set_forward_phase(fe::NormFwdPhase_t::INFERENCE).set_epsilon(epsilon);
      return graph_.rmsnorm(read(operation, 0), read(operation, 1), attributes)[0];
    }
    if (name == "sdpa") return attention(operation);
    return pointwise(operation);
  }

  template <typename Attributes>
  static Attributes geometry(const Operation& operation) {
    return Attributes()
        .set_pre_padding(integers_of(operation, "pre_padding"))
        .set_post_padding(integers_of(operation, "post_padding"))
        .set_stride(integers_of(operation, "stride"))
        .set_dilation(integers_of(operation, "dilation"));
  }

  template <typename Attributes, typename Make>
  TensorPointer normalized(const Operation& operation, const Make& make) {
    auto epsilon = read(operation, 3);
    auto attributes = Attributes().set_forward_phase(fe::NormFwdPhase_t::INFERENCE).set_epsilon(epsilon);
    return make(read(operation, 0), read(operation, 1), read(operation, 2), attributes);
  }

  TensorPointer attention(const Operation& operation) {
    auto attributes = fe::graph::SDPA_attributes().set_generate_stats(false);
    attributes.set_attn_scale(static_cast<float>(numbers_of(operation, "attn_scale", {1.0})[0]));
    if (!numbers_of(operation, "use_causal_mask").empty()) attributes.set_causal_mask(true);
    if (operation.reads.size() > 3) attributes.set_bias(read(operation, 3));
    return graph_.sdpa(read(operation, 0), read(operation, 1), read(operation, 2), attributes)[0];
  }

  TensorPointer pointwise(const Operation& operation) {
    const auto mode = pointwise_modes().find(operation.name);
    if (mode == pointwise_modes().end()) throw Declined("the graph API has no " + operation.name);
    auto attributes = fe::graph::Pointwise_attributes().set_mode(mode->second);
    for (const auto& [name, values] : operation.numbers) {
      const auto value = static_cast<float>(values[0]);
      if (name == "lower_clip") attributes.set_relu_lower_clip(value);
      if (name == "upper_clip") attributes.set_relu_upper_clip(value);
      if (name == "negative_slope") attributes.set_relu_lower_clip_slope(value);
      if (name == "swish_beta") attributes.set_swish_beta(value);
    }
    if (operation.reads.size() == 1) return graph_.pointwise(read(operation, 0), attributes);
    return graph_.pointwise(read(operation, 0), read(operation, 1), attributes);
  }

  fe::graph::Graph& graph_;
  const Case& described_;
  std::map<std::int64_t, TensorPointer> tensors_;
};

}  // namespace travel
