#include "errors.hpp"
#include "library.hpp"

namespace travel {

#ifndef TRAVEL_GRAPH_API
// Built without the frontend's headers: every case of the graph API gets a row that says so.
Library graph_api() {
  return {"cudnn", "cudnn", [](const Device&, const std::string&, const Operands&) -> std::vector<Candidate> {
            throw Declined("this program was built without cuDNN's graph API (CMake: -DGRAPH_API=ON)");
          }};
}
#endif

const std::vector<Library>& libraries() {
  static const std::vector<Library> all = {graph_api(), convolutions(), products(), plain_products(),
                                           single_functions()};
  return all;
}

}  // namespace travel
