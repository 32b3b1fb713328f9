#include "sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "errors.hpp"
#include "reading.hpp"

namespace travel {
namespace {

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
    for (std::int64_t d = 0; d < query[3]; ++d)
      dot += read.at(0, {out[0], out[1], out[2], d}) * read.at(1, {out[0], head, j, d});
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
      {"matmul", matmul},
      {"conv_fprop", conv_fprop},
      {"conv_dgrad", conv_dgrad},
      {"conv_wgrad", conv_wgrad},
      {"layernorm", normalized},
      {"rmsnorm", normalized},
      {"instancenorm", normalized},
      {"sdpa", attention},
      {"pooling", pooling},
      {"softmax", softmax},
      {"reduce", reduced},
      {"activation", activation},
      {"local_response", local_response},
  };
  const auto found = all.find(operation.name);
  if (found == all.end()) throw Declined("no definition of " + operation.name + " to check an output with");
  return found->second({operands, operation}, index);
}

}  // namespace travel
