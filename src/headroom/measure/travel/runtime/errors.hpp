// Why an implementation has no time. Each class is a status of the database's rows.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace travel {

// The library does not run what is asked: "unsupported".
struct Declined : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// It failed, or its output is wrong: "failed".
struct Failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// So much slower than another that ten samples are not worth their time: "timeout".
struct Hopeless : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// It does not fit: "oom".
struct OutOfMemory : std::runtime_error {
  OutOfMemory(std::size_t needed, std::size_t free)
      : std::runtime_error("it does not fit into the GPU's memory"), needed_bytes(needed), free_bytes(free) {}
  std::size_t needed_bytes;
  std::size_t free_bytes;
};

}  // namespace travel
