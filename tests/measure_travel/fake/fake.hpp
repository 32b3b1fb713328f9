// A GPU that is not there: memory of the host, a clock that only launches move, and arithmetic by plain loops.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fake {

using Shape = std::vector<std::int64_t>;

// A tensor in memory. Types are those that tests use.
struct View {
  enum Type { fp32, bf16 };
  Type type = fp32;
  Shape dims, strides;
  void* data = nullptr;
  double get(const Shape& index) const;
  void set(const Shape& index, double value) const;
};

// Calls visit with every index below sizes.
void each(const Shape& sizes, const std::function<void(const Shape&)>& visit);

// Enqueue work of a duration on the one stream: recorded while it is captured, done at once otherwise.
void launch(double us, const std::function<void()>& work);

// The next launch finds the L2 cache cold.
void flush(double us);

// Whether the environment variable FAKE_<what> names this implementation.
bool told_to(const char* what, const std::string& implementation);

// How long work of so many multiply-adds takes; variant tells implementations apart.
double duration_us(double macs, int variant);

// y = convolution of x with w, or a product of matrices.
void convolve(const View& x, const View& w, const View& y, const Shape& padding, const Shape& stride,
              const Shape& dilation);
void multiply(const View& a, const View& b, const View& c);
double macs_of(const View& w, const View& y);

}  // namespace fake
