// What a library offers for a case: implementations by name, each built only when it is its turn.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "case.hpp"
#include "device.hpp"
#include "operands.hpp"

namespace travel {

// Ready to run: descriptors and workspace are there.
class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  virtual ~Program() = default;
  // Enqueues one run. May be captured: it neither allocates nor waits.
  virtual void launch() = 0;
  virtual std::size_t workspace_bytes() const = 0;
};

struct Implementation {
  std::string backend;
  std::string name;
  std::string layout;
  std::string math;
};

struct Candidate {
  Implementation implementation;
  std::function<std::unique_ptr<Program>()> build;  // throws Declined, Failed or OutOfMemory
};

// One call that the library may be asked with: a description of a case, kept for as long as its candidates.
using Listing = std::function<std::vector<Candidate>(const Device&, const std::string& dtype, const Operands&)>;

struct Library {
  std::string name;     // as the tables call it
  std::string backend;  // as the database calls it
  Listing candidates;
};

// The libraries that this program was built with, in the order in which they are tried.
const std::vector<Library>& libraries();

// One of each; in a program without the graph API the first one says so when it is asked.
Library graph_api();
Library single_functions();
Library convolutions();
Library products();
Library plain_products();

}  // namespace travel
