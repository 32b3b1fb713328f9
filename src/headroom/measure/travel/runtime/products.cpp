// Matrix products by cuBLASLt: every algorithm that the library proposes, with bias, residual and activation in the
// epilogue.
#include <memory>
#include <set>

#include "library.hpp"
#include "lt_call.hpp"

namespace travel {
namespace {

class LtProduct : public Program {
 public:
  LtProduct(const Device& device, std::shared_ptr<const Call> call, const cublasLtMatmulAlgo_t& algorithm)
      : device_(device), call_(std::move(call)), algorithm_(algorithm), workspace_(call_->workspace_of(algorithm)) {}

  void launch() override { call_->run(algorithm_, workspace_, device_.stream()); }
  std::size_t workspace_bytes() const override { return workspace_.bytes(); }

 private:
  const Device& device_;
  std::shared_ptr<const Call> call_;
  cublasLtMatmulAlgo_t algorithm_;
  Buffer workspace_;
};

std::vector<Candidate> candidates(const Device& device, const std::string& dtype, const Operands& operands) {
  const Case& described = operands.described();
  std::vector<Candidate> found;
  for (const bool fast : {false, true}) {
    if (fast && dtype != "fp8") continue;  // a choice that only fp8 products have
    const auto call = std::make_shared<const Call>(dtype, operands, fast);
    std::set<std::string> seen;
    for (const cublasLtMatmulAlgo_t& algorithm : call->proposals()) {
      const std::string name = call->name_of(algorithm);
      if (!seen.insert(name).second) continue;
      found.push_back({{"cublaslt", name, described.layout, described.math},
                       [&device, call, algorithm] { return std::make_unique<LtProduct>(device, call, algorithm); }});
    }
  }
  return found;
}

}  // namespace

Library products() { return {"cublaslt", "cublaslt", candidates}; }

}  // namespace travel
