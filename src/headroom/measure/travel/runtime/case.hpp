// What is measured, as plain data. The tables that headroom export-benchmarks writes are made of these.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace travel {

using Shape = std::vector<std::int64_t>;

// What a tensor holds before anything runs: normal values of deviation a, uniform ones from a to b, the number a, or
// nothing, because an operation writes it.
struct Fill {
  enum Kind { nothing, normal, uniform, number };
  Kind kind;
  double a;
  double b;
};

struct Tensor {
  std::int64_t uid;
  std::string type;  // fp32, fp16, bf16, fp8
  Shape dims;
  Shape strides;  // in elements
  Fill fill;
};

struct Operation {
  std::string name;
  Shape reads;  // identifiers of tensors
  std::int64_t writes;
  std::vector<std::pair<std::string, std::vector<double>>> numbers;
};

// Tensors and operations for the libraries that take them so described. The last operation writes the result.
struct Case {
  std::vector<std::string> libraries;
  std::string layout;
  std::string math;
  std::string suffix;  // ends the names of implementations
  std::vector<Tensor> tensors;
  std::vector<Operation> operations;

  const Tensor& tensor(std::int64_t uid) const;
  const Tensor& result() const { return tensor(operations.back().writes); }
};

// A chain of layers in one data type, with every case of it.
struct Benchmark {
  std::string digest;
  std::string title;
  std::string dtype;
  std::string layers;  // JSON, as the database has it
  std::vector<Case> cases;
};

// The numbers of a setting of an operation, or those given where it has no such setting.
std::vector<double> numbers_of(const Operation& operation, const std::string& name, std::vector<double> otherwise = {});
Shape integers_of(const Operation& operation, const std::string& name);

std::int64_t elements_of(const Shape& dims);

// Every benchmark of this folder, in the order of what a model gains by it.
const std::vector<Benchmark (*)()>& benchmarks();

}  // namespace travel
