// Values in the data types of GPUs: rounded to their bits, read back, and random ones to fill operands with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "case.hpp"

namespace travel {

std::size_t bytes_of(const std::string& type);

// The nearest value of the type, as its bits in the low bytes; beyond the largest one, infinity (fp8: the largest).
std::uint32_t encoded(double value, const std::string& type);
double decoded(std::uint32_t bits, const std::string& type);

// The bits of a quiet NaN: what outputs hold before they are written.
std::uint32_t nan_of(const std::string& type);

std::uint32_t load(const std::uint8_t* bytes, std::size_t width);
void store(std::uint8_t* bytes, std::size_t width, std::uint32_t bits);

// Values of a fill, rounded to a type; the same ones for the same seed on every machine.
std::vector<double> random_values(const Fill& fill, const std::string& type, std::size_t count, std::uint64_t seed);

}  // namespace travel
