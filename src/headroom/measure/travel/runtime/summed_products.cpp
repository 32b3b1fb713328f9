#include <algorithm>

#include "reading.hpp"

namespace travel {
namespace {

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

}  // namespace

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
  const std::int64_t groups =
      std::max<std::int64_t>(1, read.operands.described().tensor(read.operation.writes).dims[1] / filter[1]);
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

}  // namespace travel
