// What a case computes, element by element in fp64 on the host: slow, plain, and independent of every library.
#pragma once

#include <cstdint>

#include "operands.hpp"

namespace travel {

// The element of tensor uid at an index. Throws Declined where there is no definition of the operation here.
double evaluate(const Operands& operands, std::int64_t uid, const Shape& index);

// About how many elements are read for one element of the result.
double cost_of(const Operands& operands);

}  // namespace travel
