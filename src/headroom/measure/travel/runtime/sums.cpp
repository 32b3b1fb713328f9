#include "sums.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "errors.hpp"
#include "evaluate.hpp"

namespace travel {
namespace {

// Calls a function with every index below sizes, the last dimension fastest.
void each_index(const Shape& sizes, const std::function<void(const Shape&)>& visit) {
  Shape index(sizes.size(), 0);
  for (std::int64_t left = elements_of(sizes); left > 0; --left) {
    visit(index);
    for (std::size_t i = sizes.size(); i-- > 0 && ++index[i] == sizes[i];) index[i] = 0;
  }
}

// An operation being evaluated: its tensors by position, and elements of what it reads.
struct Reading {
  const Operands& operands;
  const Operation& operation;
  const Tensor& tensor(std::size_t position) const { return operands.described().tensor(operation.reads[position]); }
  const Shape& dims(std::size_t position) const { return tensor(position).dims; }
  double at(std::size_t position, const Shape& index) const {
    return evaluate(operands, operation.reads[position], index);
  }
  Shape integers(const char* name) const { return integers_of(operation, name); }
};

Shape behind(const Shape& shape, std::size_t first) { return Shape(shape.begin() + static_cast<long>(first), shape.end()); }

double matmul(const Reading& read, const Shape& out) {
  const Shape& left = read.dims(0);
  const Shape& right = read.dims(1);
  double sum = 0.0;
  for (std::int64_t k = 0; k < left[2]; ++k) {
    const double a = read.at(0, {left[0] == 1 ? 0 : out[0], out[1], k});
    sum += a * read.at(1, {right[0] == 1 ? 0 : out[0], k, out[2]});
  }
  return sum;
}

// Where tap t of output position o reads, per dimension of space.
std::int64_t tapped(const Reading& read, std::size_t axis, std::int64_t o, std::int64_t t) {
  return o * read.integers("stride")[axis] - read.integers("pre_padding")[axis] + t * read.integers("dilation")[axis];
}

bool tapped_all(const Reading& read, const Shape& out, const Shape& taps, const Shape& limits, Shape& place) {
  for (std::size_t axis = 0; axis + 2 < place.size(); ++axis) {
    const std::int64_t at = tapped(read, axis, out[axis], taps[axis]);
    if (at < 0 || at >= limits[axis + 2]) return false;
    place[axis + 2] = at;
  }
  return true;
}

double conv_fprop(const Reading& read, const Shape& out) {
  const Shape& image = read.dims(0);
  const Shape& filter = read.dims(1);
  const std::int64_t groups = image[1] / filter[1];
  const std::int64_t first = out[1] / (filter[0] / groups) * filter[1];
  const Shape position = behind(out, 2);
  double sum = 0.0;
  each_index(behind(filter, 2), [&](const Shape& taps) {
    Shape place(image.size());
    if (!tapped_all(read, position, taps, image, place)) return;
    Shape weight = {out[1], 0};
    weight.insert(weight.end(), taps.begin(), taps.end());
    place[0] = out[0];
    for (std::int64_t c = 0; c < filter[1]; ++c) {
      place[1] = first + c;
      weight[1] = c;
      sum += read.at(0, place) * read.at(1, weight);
    }
  });
  return sum;
}

// The gradient of the input: every output position that a tap brings back here.
double conv_dgrad(const Reading& read, const Shape& out) {
  const Shape& loss = read.dims(0);
  const Shape& filter = read.dims(1);
  const Shape stride = read.integers("stride");
  const Shape padding = read.integers("pre_padding");
  const Shape dilation = read.integers("dilation");
  const std::int64_t group = out[1] / filter[1];
  const std::int64_t groups = std::max<std::int64_t>(1, read.operands.described().tensor(read.operation.writes).dims[1] / filter[1]);
  const std::int64_t channels = filter[0] / groups;
  double sum = 0.0;
  each_index(behind(filter, 2), [&](const Shape& taps) {
    Shape place(loss.size());
    for (std::size_t axis = 0; axis < taps.size(); ++axis) {
      const std::int64_t at = out[axis + 2] + padding[axis] - taps[axis] * dilation[axis];
      if (at < 0 || at % stride[axis] != 0 || at / stride[axis] >= loss[axis + 2]) return;
      place[axis + 2] = at / stride[axis];
    }
    Shape weight = {0, out[1] % filter[1]};
    weight.insert(weight.end(), taps.begin(), taps.end());
    place[0] = out[0];
    for (std::int64_t k = group * channels; k < (group + 1) * channels; ++k) {
      place[1] = weight[0] = k;
      sum += read.at(0, place) * read.at(1, weight);
    }
  });
  return sum;
}

double conv_wgrad(const Reading& read, const Shape& out) {
  const Shape& image = read.dims(0);
  const Shape& loss = read.dims(1);
  const Shape& filter = read.operands.described().tensor(read.operation.writes).dims;
  const std::int64_t groups = image[1] / filter[1];
  const std::int64_t channel = out[0] / (filter[0] / groups) * filter[1] + out[1];
  const Shape taps = behind(out, 2);
  double sum = 0.0;
  each_index(behind(loss, 2), [&](const Shape& position) {
    Shape place(image.size());
    if (!tapped_all(read, position, taps, image, place)) return;
    Shape from = {0, out[0]};
    from.insert(from.end(), position.begin(), position.end());
    place[1] = channel;
    for (std::int64_t n = 0; n < image[0]; ++n) {
      place[0] = from[0] = n;
      sum += read.at(0, place) * read.at(1, from);
    }
  });
  return sum;
}

// Layer and RMS normalisation over all but the batch, instance normalisation over space.
double normalized(const Reading& read, const Shape& out) {
  const std::string& name = read.operation.name;
  const std::size_t kept = name == "instancenorm" ? 2 : 1;
  const bool centred = name != "rmsnorm";
  double sum = 0.0;
  double squares = 0.0;
  double count = 0.0;
  each_index(behind(read.dims(0), kept), [&](const Shape& rest) {
    Shape place(out.begin(), out.begin() + static_cast<long>(kept));
    place.insert(place.end(), rest.begin(), rest.end());
    const double x = read.at(0, place);
    sum += x;
    squares += x * x;
    count += 1.0;
  });
  const double mean = centred ? sum / count : 0.0;
  const double epsilon = read.at(read.operation.reads.size() - 1, {0, 0, 0, 0});
  Shape own = out;
  for (std::size_t i = 0; i < own.size(); ++i) own[i] = read.dims(1)[i] == 1 ? 0 : own[i];
  const double scaled = (read.at(0, out) - mean) / std::sqrt(squares / count - mean * mean + epsilon) * read.at(1, own);
  return centred ? scaled + read.at(2, own) : scaled;
}

double attention(const Reading& read, const Shape& out) {
  const Shape& query = read.dims(0);
  const Shape& key = read.dims(1);
  const double scale = numbers_of(read.operation, "attn_scale", {1.0})[0];
  const bool causal = !numbers_of(read.operation, "use_causal_mask").empty();
  const std::int64_t head = out[1] / (query[1] / key[1]);
  const std::int64_t length = causal ? std::min(key[2], out[2] + 1) : key[2];
  std::vector<double> scores;
  for (std::int64_t j = 0; j < length; ++j) {
    double dot = 0.0;
    for (std::int64_t d = 0; d < query[3]; ++d) dot += read.at(0, {out[0], out[1], out[2], d}) * read.at(1, {out[0], head, j, d});
    if (read.operation.reads.size() > 3) {
      Shape place = {out[0], out[1], out[2], j};
      for (std::size_t i = 0; i < 4; ++i) place[i] = read.dims(3)[i] == 1 ? 0 : place[i];
      dot += read.at(3, place) / scale;
    }
    scores.push_back(scale * dot);
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double weights = 0.0;
  double sum = 0.0;
  for (std::int64_t j = 0; j < length; ++j) {
    const double weight = std::exp(scores[static_cast<std::size_t>(j)] - largest);
    weights += weight;
    sum += weight * read.at(2, {out[0], head, j, out[3]});
  }
  return sum / weights;
}

// Settings are those of cudnnSetPoolingNdDescriptor: mode (0: maximum), NaN, dimensions, windows, paddings, strides.
double pooling(const Reading& read, const Shape& out) {
  const Shape settings = read.integers("settings");
  const auto space = static_cast<std::size_t>(settings[2]);
  const Shape window(settings.begin() + 3, settings.begin() + 3 + static_cast<long>(space));
  const bool largest = settings[0] == 0;
  double value = largest ? -std::numeric_limits<double>::infinity() : 0.0;
  each_index(window, [&](const Shape& taps) {
    Shape place = out;
    for (std::size_t axis = 0; axis < space; ++axis) {
      place[axis + 2] = out[axis + 2] * settings[3 + 2 * space + axis] - settings[3 + space + axis] + taps[axis];
      if (place[axis + 2] < 0 || place[axis + 2] >= read.dims(0)[axis + 2]) return;
    }
    value = largest ? std::max(value, read.at(0, place)) : value + read.at(0, place);
  });
  return largest ? value : value / static_cast<double>(elements_of(window));
}

double softmax(const Reading& read, const Shape& out) {
  Shape place = out;
  double largest = -std::numeric_limits<double>::infinity();
  for (place[1] = 0; place[1] < read.dims(0)[1]; ++place[1]) largest = std::max(largest, read.at(0, place));
  double sum = 0.0;
  for (place[1] = 0; place[1] < read.dims(0)[1]; ++place[1]) sum += std::exp(read.at(0, place) - largest);
  return std::exp(read.at(0, out) - largest) / sum;
}

// cudnnReduceTensorOp_t: 0 sum, 1 product, 2 minimum, 3 maximum, 5 mean, 6 and 7 norms.
double reduced(const Reading& read, const Shape& out) {
  const std::int64_t kind = read.integers("settings")[0];
  const Shape& dims = read.dims(0);
  const Shape& kept = read.operands.described().tensor(read.operation.writes).dims;
  Shape joined = dims;
  for (std::size_t i = 0; i < dims.size(); ++i) joined[i] = kept[i] == dims[i] ? 1 : dims[i];
  double value = kind == 1 ? 1.0 : 0.0;
  bool is_first = true;
  each_index(joined, [&](const Shape& rest) {
    Shape place = out;
    for (std::size_t i = 0; i < place.size(); ++i) place[i] += rest[i];
    const double x = read.at(0, place);
    if (kind == 0 || kind == 5) value += x;
    if (kind == 1) value *= x;
    if (kind == 2) value = is_first ? x : std::min(value, x);
    if (kind == 3) value = is_first ? x : std::max(value, x);
    if (kind == 6) value += std::fabs(x);
    if (kind == 7) value += x * x;
    is_first = false;
  });
  if (kind == 5) value /= static_cast<double>(elements_of(joined));
  return kind == 7 ? std::sqrt(value) : value;
}

// cudnnActivationMode_t: 0 sigmoid, 1 ReLU, 2 tanh, 3 clipped ReLU, 4 ELU; then NaN and the coefficient.
double activation(const Reading& read, const Shape& out) {
  const std::vector<double> settings = numbers_of(read.operation, "settings");
  const double x = read.at(0, out);
  if (settings[0] == 0) return 1.0 / (1.0 + std::exp(-x));
  if (settings[0] == 2) return std::tanh(x);
  if (settings[0] == 3) return std::min(std::max(x, 0.0), settings[2]);
  if (settings[0] == 4) return x > 0.0 ? x : settings[2] * std::expm1(x);
  return std::max(x, 0.0);
}

// Settings are n, alpha, beta and k; the window of n channels lies around its own.
double local_response(const Reading& read, const Shape& out) {
  const std::vector<double> settings = numbers_of(read.operation, "settings");
  const auto window = static_cast<std::int64_t>(settings[0]);
  double squares = 0.0;
  Shape place = out;
  const std::int64_t last = std::min(read.dims(0)[1] - 1, out[1] + window / 2);
  for (place[1] = std::max<std::int64_t>(0, out[1] - (window - 1) / 2); place[1] <= last; ++place[1]) {
    squares += std::pow(read.at(0, place), 2);
  }
  return read.at(0, out) / std::pow(settings[3] + settings[1] / settings[0] * squares, settings[2]);
}

}  // namespace

double summed(const Operands& operands, const Operation& operation, const Shape& index) {
  using Function = double (*)(const Reading&, const Shape&);
  static const std::map<std::string, Function> all = {
      {"matmul", matmul},          {"conv_fprop", conv_fprop},  {"conv_dgrad", conv_dgrad},
      {"conv_wgrad", conv_wgrad},  {"layernorm", normalized},   {"rmsnorm", normalized},
      {"instancenorm", normalized}, {"sdpa", attention},        {"pooling", pooling},
      {"softmax", softmax},        {"reduce", reduced},         {"activation", activation},
      {"local_response", local_response},
  };
  const auto found = all.find(operation.name);
  if (found == all.end()) throw Declined("no definition of " + operation.name + " to check an output with");
  return found->second({operands, operation}, index);
}

}  // namespace travel
