// cuDNN's graph API: every plan that the library has for a case. The one file that needs the frontend's headers, which
// take a compiler about 20 seconds and 2 GB.
#include <cudnn_frontend.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "dnn.hpp"
#include "drawing.hpp"
#include "errors.hpp"
#include "library.hpp"

namespace travel {
namespace {

namespace fe = cudnn_frontend;
constexpr std::int64_t kMostWorkspaceBytes = std::int64_t{1} << 30U;

// Engines that no heuristic named fill a graph's list up to so many plans, and are at least so many.
constexpr int kListed = 40;
constexpr int kAtLeast = 8;
constexpr std::size_t kTilesPerEngine = 6;

std::string first_line(const std::string& message) {
  const std::string line = message.substr(0, message.find('\n'));
  return line.substr(0, 300);
}

void expect(fe::error_t status) {
  if (status.is_bad()) throw Declined(first_line(status.get_message()));
}

// All that the library has for one case: listed as it prefers them, named exactly, built and run one by one.
class Plans {
 public:
  Plans(const Device& device, const std::string& dtype, const Operands& operands) : device_(device) {
    const Case& described = operands.described();
    graph_.set_io_data_type(type_of(described.result().type));
    graph_.set_intermediate_data_type(fe::DataType_t::FLOAT).set_compute_data_type(fe::DataType_t::FLOAT);
    const Drawing drawing(graph_, described);
    strict_ = dtype == "fp32" && is_product(described.operations.front().name);
    expect(graph_.validate());
    expect(graph_.build_operation_graph(dnn_handle(device)));
    for (const Tensor& tensor : described.tensors) {
      if (void* const address = operands.address(tensor.uid)) addresses_[tensor.uid] = address;
    }
  }

  // Names of the plans of heuristics A, B and the fallback, then of engines that none of them named.
  std::vector<std::string> names() {
    for (const fe::HeurMode_t mode : {fe::HeurMode_t::A, fe::HeurMode_t::B, fe::HeurMode_t::FALLBACK}) {
      const std::int64_t first = graph_.get_execution_plan_count();
      if (graph_.create_execution_plans({mode}).is_bad()) continue;  // it has nothing to say; another may
      enlist_from(first);
    }
    unnamed_engines();
    return names_;
  }

  std::int64_t build(const std::string& name) {
    const std::int64_t index = index_.at(name);
    if (built_.count(index) == 0) expect(graph_.build_plan_at_index(index));
    built_.insert(index);
    std::int64_t bytes = 0;
    expect(graph_.get_workspace_size_plan_at_index(index, bytes));
    return bytes;
  }

  void run(const std::string& name, void* workspace) {
    auto status = graph_.execute_plan_at_index(dnn_handle(device_), addresses_, workspace, index_.at(name));
    if (status.is_bad()) throw Failed(first_line(status.get_message()));
  }

 private:
  static bool is_product(const std::string& name) {
    return name.rfind("conv_", 0) == 0 || name == "matmul" || name == "sdpa";
  }

  // On fp32 operands tensor cores round products to tf32; the mark applies to the plans listed so far.
  void enlist_from(std::int64_t first) {
    if (strict_)
      graph_.deselect_numeric_notes({fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
    for (std::int64_t index = first; index < graph_.get_execution_plan_count(); ++index) {
      std::string name;
      if (graph_.get_plan_name_at_index(index, name).is_bad() || index_.count(name) > 0) continue;
      if (strict_ && is_barred(name.substr(0, name.find('_')), index)) continue;
      index_[name] = index;
      engines_.insert(name.substr(0, name.find('_')));
      names_.push_back(name);
    }
  }

  // The frontend says that a plan is barred only when it is asked to build it; engines carry the notes.
  bool is_barred(const std::string& engine, std::int64_t index) {
    const auto known = barred_.find(engine);
    if (known != barred_.end()) return known->second;
    auto status = graph_.build_plan_at_index(index);
    if (status.is_good()) built_.insert(index);
    return barred_[engine] = status.is_bad() && status.get_message().find("Deselecting") != std::string::npos;
  }

  void unnamed_engines() {
    std::int64_t count = 0;
    if (graph_.get_engine_count(count).is_bad()) return;
    int left = std::max(kAtLeast, kListed - static_cast<int>(names_.size()));
    for (std::int64_t engine = 0; engine < count; ++engine) {
      std::vector<fe::Knob> knobs;
      if (engines_.count("eng" + std::to_string(engine)) > 0 || graph_.get_knobs_for_engine(engine, knobs).is_bad())
        continue;
      for (const auto& setting : settings(knobs)) {
        if (left-- <= 0) return;
        const std::int64_t first = graph_.get_execution_plan_count();
        if (graph_.create_execution_plan(engine, setting).is_good()) enlist_from(first);
      }
    }
  }

  // An engine's default, and a few values of its tile, evenly spread over its range.
  static std::vector<std::unordered_map<fe::KnobType_t, std::int64_t>> settings(const std::vector<fe::Knob>& knobs) {
    std::vector<std::unordered_map<fe::KnobType_t, std::int64_t>> found = {{}};
    for (const fe::Knob& knob : knobs) {
      if (knob.type != fe::KnobType_t::TILE_SIZE) continue;
      const std::int64_t step = std::max<std::int64_t>(1, knob.stride);
      const std::int64_t values = (knob.maxValue - knob.minValue) / step + 1;
      const auto most = static_cast<std::int64_t>(kTilesPerEngine);
      const std::int64_t apart = std::max<std::int64_t>(1, (values + most - 1) / most);
      for (std::int64_t i = 0; i < values; i += apart) found.push_back({{knob.type, knob.minValue + i * step}});
    }
    return found;
  }

  const Device& device_;
  fe::graph::Graph graph_;
  bool strict_ = false;
  std::unordered_map<std::int64_t, void*> addresses_;
  std::vector<std::string> names_;
  std::map<std::string, std::int64_t> index_;
  std::map<std::string, bool> barred_;
  std::set<std::string> engines_;
  std::set<std::int64_t> built_;
};

class Plan : public Program {
 public:
  Plan(std::shared_ptr<Plans> plans, const std::string& name) : plans_(std::move(plans)), name_(name) {
    const std::int64_t needed = plans_->build(name);
    const auto most = std::min(kMostWorkspaceBytes, static_cast<std::int64_t>(Device::free_bytes() / 3));
    if (needed > most) throw Declined("the plan needs " + std::to_string(needed) + " bytes of workspace");
    workspace_ = std::make_unique<Buffer>(static_cast<std::size_t>(needed));
  }

  void launch() override { plans_->run(name_, workspace_->data()); }
  std::size_t workspace_bytes() const override { return workspace_->bytes(); }

 private:
  std::shared_ptr<Plans> plans_;
  std::string name_;
  std::unique_ptr<Buffer> workspace_;
};

std::vector<Candidate> candidates(const Device& device, const std::string& dtype, const Operands& operands) {
  const Case& described = operands.described();
  const auto plans = std::make_shared<Plans>(device, dtype, operands);
  std::vector<Candidate> found;
  for (const std::string& name : plans->names()) {
    found.push_back({{"cudnn", name + described.suffix, described.layout, described.math},
                     [plans, name] { return std::make_unique<Plan>(plans, name); }});
  }
  return found;
}

}  // namespace

Library graph_api() { return {"cudnn", "cudnn", candidates}; }

}  // namespace travel
