#include "numbers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "errors.hpp"

namespace travel {
namespace {

// Sign, exponent and fraction of a binary format. fp8 is e4m3, which spends no exponent on infinities.
struct Format {
  int exponent_bits;
  int fraction_bits;
  bool has_infinity;
};

Format format_of(const std::string& type) {
  if (type == "fp32") return {8, 23, true};
  if (type == "fp16") return {5, 10, true};
  if (type == "bf16") return {8, 7, true};
  if (type == "fp8") return {4, 3, false};
  throw Declined("no values of type " + type);
}

// SplitMix64: one multiplication chain per value, no state beyond a counter.
std::uint64_t mixed(std::uint64_t state) {
  state += 0x9E3779B97F4A7C15U;
  state = (state ^ (state >> 30U)) * 0xBF58476D1CE4E5B9U;
  state = (state ^ (state >> 27U)) * 0x94D049BB133111EBU;
  return state ^ (state >> 31U);
}

// In (0, 1), so that its logarithm is finite.
double uniform(std::uint64_t state) { return (static_cast<double>(mixed(state) >> 11U) + 0.5) / 9007199254740992.0; }

}  // namespace

std::size_t bytes_of(const std::string& type) {
  const Format format = format_of(type);
  return static_cast<std::size_t>(1 + format.exponent_bits + format.fraction_bits) / 8;
}

std::uint32_t encoded(double value, const std::string& type) {
  if (std::isnan(value)) return nan_of(type);
  const Format format = format_of(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const std::uint32_t sign = std::signbit(value) ? 1U << (format.exponent_bits + format.fraction_bits) : 0U;
  const double size = std::fabs(value);
  const std::uint32_t top = (1U << (format.exponent_bits + format.fraction_bits)) - 1U;
  const std::uint32_t infinity = format.has_infinity ? top - ((1U << format.fraction_bits) - 1U) : top - 1U;
  if (size == 0.0) return sign;
  if (std::isinf(size)) return sign | infinity;
  // Subnormal numbers share the smallest exponent.
  const int exponent = std::max(std::ilogb(size), 1 - bias);
  const double steps = std::nearbyint(std::ldexp(size, format.fraction_bits - exponent));
  const auto base = static_cast<std::uint32_t>(exponent + bias - 1) << format.fraction_bits;
  return sign | std::min(base + static_cast<std::uint32_t>(std::min(steps, 4294967040.0)), infinity);
}

double decoded(std::uint32_t bits, const std::string& type) {
  const Format format = format_of(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const std::uint32_t fraction = bits & ((1U << format.fraction_bits) - 1U);
  const auto raw = static_cast<int>((bits >> format.fraction_bits) & ((1U << format.exponent_bits) - 1U));
  const bool negative = ((bits >> (format.exponent_bits + format.fraction_bits)) & 1U) != 0U;
  const int largest = (1 << format.exponent_bits) - 1;
  double size = 0.0;
  if (raw == largest && (format.has_infinity || fraction == (1U << format.fraction_bits) - 1U)) {
    const bool is_infinite = format.has_infinity && fraction == 0;
    size = is_infinite ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else {
    const double steps = static_cast<double>(fraction) + (raw > 0 ? std::ldexp(1.0, format.fraction_bits) : 0.0);
    size = std::ldexp(steps, std::max(raw, 1) - bias - format.fraction_bits);
  }
  return negative ? -size : size;
}

std::uint32_t nan_of(const std::string& type) {
  const Format format = format_of(type);
  return (1U << (format.exponent_bits + format.fraction_bits)) - 1U;
}

std::uint32_t load(const std::uint8_t* bytes, std::size_t width) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < width; ++i) bits |= static_cast<std::uint32_t>(bytes[i]) << (8U * i);
  return bits;
}

void store(std::uint8_t* bytes, std::size_t width, std::uint32_t bits) {
  for (std::size_t i = 0; i < width; ++i) bytes[i] = static_cast<std::uint8_t>((bits >> (8U * i)) & 0xFFU);
}

std::vector<double> random_values(const Fill& fill, const std::string& type, std::size_t count, std::uint64_t seed) {
  constexpr double kTwoPi = 6.283185307179586;
  std::vector<double> values(count);
  const std::uint64_t base = mixed(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const double first = uniform(base + 2 * i);
    const double second = uniform(base + 2 * i + 1);
    double value = fill.a;
    if (fill.kind == Fill::uniform) value = fill.a + (fill.b - fill.a) * first;
    if (fill.kind == Fill::normal) value = fill.a * std::sqrt(-2.0 * std::log(first)) * std::cos(kTwoPi * second);
    values[i] = decoded(encoded(value, type), type);
  }
  return values;
}

}  // namespace travel
