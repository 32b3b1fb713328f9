#include "pointwise.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace travel {
namespace {

constexpr double kTanhGelu = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double kHalfRoot = 0.7071067811865476;  // sqrt(1 / 2)
constexpr double kDensity = 0.3989422804014327;   // 1 / sqrt(2 pi)

using Unary = double (*)(double);
using Binary = double (*)(double, double);

double gelu(double x) { return 0.5 * x * (1.0 + std::erf(x * kHalfRoot)); }
double tanh_gelu(double x) { return 0.5 * x * (1.0 + std::tanh(kTanhGelu * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) { return 0.5 * (1.0 + std::erf(x * kHalfRoot)) + x * kDensity * std::exp(-0.5 * x * x); }

double tanh_gelu_slope(double x) {
  const double t = std::tanh(kTanhGelu * (x + 0.044715 * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * kTanhGelu * (1.0 + 3.0 * 0.044715 * x * x);
}

const std::map<std::string, Unary>& unary() {
  static const std::map<std::string, Unary> all = {
      {"abs", [](double x) { return std::fabs(x); }},
      {"ceil", [](double x) { return std::ceil(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"elu", [](double x) { return x > 0.0 ? x : std::expm1(x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"exp", [](double x) { return std::exp(x); }},
      {"floor", [](double x) { return std::floor(x); }},
      {"gelu", gelu},
      {"gelu_approx_tanh", tanh_gelu},
      {"log", [](double x) { return std::log(x); }},
      {"neg", [](double x) { return -x; }},
      {"reciprocal", [](double x) { return 1.0 / x; }},
      {"rsqrt", [](double x) { return 1.0 / std::sqrt(x); }},
      {"sigmoid", [](double x) { return 1.0 / (1.0 + std::exp(-x)); }},
      {"sin", [](double x) { return std::sin(x); }},
      {"softplus", [](double x) { return x > 30.0 ? x : std::log1p(std::exp(x)); }},
      {"sqrt", [](double x) { return std::sqrt(x); }},
      {"tan", [](double x) { return std::tan(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
  };
  return all;
}

const std::map<std::string, Binary>& binary() {
  static const std::map<std::string, Binary> all = {
      {"add", [](double x, double y) { return x + y; }},
      {"div", [](double x, double y) { return x / y; }},
      {"max", [](double x, double y) { return std::max(x, y); }},
      {"min", [](double x, double y) { return std::min(x, y); }},
      {"mul", [](double x, double y) { return x * y; }},
      {"sub", [](double x, double y) { return x - y; }},
      {"relu_backward", [](double dy, double x) { return x > 0.0 ? dy : 0.0; }},
      {"gelu_backward", [](double dy, double x) { return dy * gelu_slope(x); }},
      {"gelu_approx_tanh_backward", [](double dy, double x) { return dy * tanh_gelu_slope(x); }},
  };
  return all;
}

double relu(const Operation& operation, double x) {
  const double low = numbers_of(operation, "lower_clip", {0.0})[0];
  const double high = numbers_of(operation, "upper_clip", {std::numeric_limits<double>::infinity()})[0];
  const double slope = numbers_of(operation, "negative_slope", {0.0})[0];
  return x > low ? std::min(x, high) : low + slope * (x - low);
}

}  // namespace

bool is_pointwise(const std::string& name) {
  return name == "relu" || name == "swish" || unary().count(name) > 0 || binary().count(name) > 0;
}

double pointwise(const Operation& operation, const std::vector<double>& x) {
  if (operation.name == "relu") return relu(operation, x[0]);
  if (operation.name == "swish") {
    return x[0] / (1.0 + std::exp(-numbers_of(operation, "swish_beta", {1.0})[0] * x[0]));
  }
  const auto one = unary().find(operation.name);
  return one != unary().end() ? one->second(x[0]) : binary().at(operation.name)(x[0], x[1]);
}

}  // namespace travel
