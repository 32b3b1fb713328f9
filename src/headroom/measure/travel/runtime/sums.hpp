// Elements of operations that join many values: products, convolutions, normalisations, attention, pooling.
#pragma once

#include "operands.hpp"

namespace travel {

double summed(const Operands& operands, const Operation& operation, const Shape& index);

}  // namespace travel
