// An operation being evaluated at one index of its result: what it reads, element by element.
#pragma once

#include <functional>
#include <string>

#include "evaluate.hpp"
#include "operands.hpp"

namespace travel {

// Calls a function with every index below sizes, the last dimension fastest.
inline void each_index(const Shape& sizes, const std::function<void(const Shape&)>& visit) {
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

inline Shape behind(const Shape& shape, std::size_t first) {
  return Shape(shape.begin() + static_cast<long>(first), shape.end());
}

// Elements of operations that sum products.
double matmul(const Reading& read, const Shape& out);
double conv_fprop(const Reading& read, const Shape& out);
double conv_dgrad(const Reading& read, const Shape& out);
double conv_wgrad(const Reading& read, const Shape& out);

}  // namespace travel
