// Written by headroom export-benchmarks: do not edit, export again.
#include "case.hpp"

namespace travel {

// convolution in bf16, 13824 macs.
Benchmark benchmark_0000();
Benchmark benchmark_0000() {
  Benchmark benchmark;
  benchmark.digest = "96bceab019938348683e7adce1ebb4e0";
  benchmark.title = "convolution";
  benchmark.dtype = "bf16";
  benchmark.layers = R"json([["","",["Convolution",1,3,8,[8,8],[8,8],[3,3],[1,1],[[1,1],[1,1]],[1,1],1,"forward"],[["t0",[1,3,8,8],"float"]],[["t1",[8,3,3,3],"float"],["t2",[8],"float"]],[["t3",[1,8,8,8],"float"]],"",[]]])json";
  benchmark.cases = {
      {
          {"cudnn", "cudnn-conv"},
          "nhwc",
          "fp32",
          "",
          {
              {1, "bf16", {1, 3, 8, 8}, {192, 1, 24, 3}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {8, 3, 3, 3}, {27, 1, 9, 3}, {Fill::normal, 0.19245008972987526, 0.0}},
              {3, "bf16", {1, 8, 8, 8}, {512, 1, 64, 8}, {Fill::nothing, 0.0, 0.0}},
              {4, "bf16", {1, 8, 1, 1}, {8, 1, 8, 8}, {Fill::normal, 1.0, 0.0}},
              {5, "bf16", {1, 8, 8, 8}, {512, 1, 64, 8}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"conv_fprop", {1, 2}, 3, {{"pre_padding", {1, 1}}, {"post_padding", {1, 1}}, {"stride", {1, 1}}, {"dilation", {1, 1}}}},
              {"add", {3, 4}, 5, {}},
          },
      },
      {
          {"cudnn"},
          "nhwc",
          "fp32",
          "_written",
          {
              {1, "bf16", {1, 3, 8, 8}, {192, 1, 24, 3}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {8, 3, 3, 3}, {27, 1, 9, 3}, {Fill::normal, 0.19245008972987526, 0.0}},
              {3, "bf16", {1, 8, 8, 8}, {512, 1, 64, 8}, {Fill::nothing, 0.0, 0.0}},
              {4, "fp32", {1, 8, 1, 1}, {8, 1, 8, 8}, {Fill::normal, 1.0, 0.0}},
              {5, "bf16", {1, 8, 8, 8}, {512, 1, 64, 8}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"conv_fprop", {1, 2}, 3, {{"pre_padding", {1, 1}}, {"post_padding", {1, 1}}, {"stride", {1, 1}}, {"dilation", {1, 1}}}},
              {"add", {3, 4}, 5, {}},
          },
      },
      {
          {"cudnn", "cudnn-conv"},
          "nchw",
          "fp32",
          "",
          {
              {1, "bf16", {1, 3, 8, 8}, {192, 64, 8, 1}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {8, 3, 3, 3}, {27, 9, 3, 1}, {Fill::normal, 0.19245008972987526, 0.0}},
              {3, "bf16", {1, 8, 8, 8}, {512, 64, 8, 1}, {Fill::nothing, 0.0, 0.0}},
              {4, "bf16", {1, 8, 1, 1}, {8, 1, 1, 1}, {Fill::normal, 1.0, 0.0}},
              {5, "bf16", {1, 8, 8, 8}, {512, 64, 8, 1}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"conv_fprop", {1, 2}, 3, {{"pre_padding", {1, 1}}, {"post_padding", {1, 1}}, {"stride", {1, 1}}, {"dilation", {1, 1}}}},
              {"add", {3, 4}, 5, {}},
          },
      },
  };
  return benchmark;
}

// matvec in bf16, 1280 macs.
Benchmark benchmark_0001();
Benchmark benchmark_0001() {
  Benchmark benchmark;
  benchmark.digest = "80999ffd49822c63cea4fa08f6ccacfd";
  benchmark.title = "matvec";
  benchmark.dtype = "bf16";
  benchmark.layers = R"json([["","",["Matmul",1,10,128,1],[["t0",[1,128],"float"]],[["t1",[10,128],"float"],["t2",[10],"float"]],[["t3",[1,10],"float"]],"",[]]])json";
  benchmark.cases = {
      {
          {"cudnn"},
          "",
          "fp32",
          "",
          {
              {1, "bf16", {1, 1, 128}, {128, 128, 1}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {1, 128, 10}, {1280, 1, 128}, {Fill::normal, 0.08838834764831843, 0.0}},
              {3, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::nothing, 0.0, 0.0}},
              {4, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::normal, 1.0, 0.0}},
              {5, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"matmul", {1, 2}, 3, {}},
              {"add", {3, 4}, 5, {}},
          },
      },
      {
          {"cublaslt"},
          "",
          "fp32",
          "",
          {
              {1, "bf16", {1, 1, 128}, {128, 128, 1}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {1, 128, 10}, {1280, 1, 128}, {Fill::normal, 0.08838834764831843, 0.0}},
              {3, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::nothing, 0.0, 0.0}},
              {4, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::normal, 1.0, 0.0}},
              {5, "bf16", {1, 1, 10}, {10, 10, 1}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"matmul", {1, 2}, 3, {}},
              {"add", {3, 4}, 5, {}},
          },
      },
  };
  return benchmark;
}

// convolution in bf16, 1024 macs.
Benchmark benchmark_0002();
Benchmark benchmark_0002() {
  Benchmark benchmark;
  benchmark.digest = "43fa9982c51a5b9efedccdf3541af057";
  benchmark.title = "convolution";
  benchmark.dtype = "bf16";
  benchmark.layers = R"json([["","",["Convolution",1,8,8,[4,4],[4,4],[1,1],[1,1],[[0,0],[0,0]],[1,1],1,"forward"],[["t0",[1,8,4,4],"float"]],[["t1",[8,8,1,1],"float"]],[["t2",[1,8,4,4],"float"]],"",[]]])json";
  benchmark.cases = {
      {
          {"cudnn", "cudnn-conv"},
          "nhwc",
          "fp32",
          "",
          {
              {1, "bf16", {1, 8, 4, 4}, {128, 1, 32, 8}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {8, 8, 1, 1}, {8, 1, 8, 8}, {Fill::normal, 0.35355339059327373, 0.0}},
              {3, "bf16", {1, 8, 4, 4}, {128, 1, 32, 8}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"conv_fprop", {1, 2}, 3, {{"pre_padding", {0, 0}}, {"post_padding", {0, 0}}, {"stride", {1, 1}}, {"dilation", {1, 1}}}},
          },
      },
      {
          {"cudnn", "cudnn-conv"},
          "nchw",
          "fp32",
          "",
          {
              {1, "bf16", {1, 8, 4, 4}, {128, 16, 4, 1}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {8, 8, 1, 1}, {8, 1, 1, 1}, {Fill::normal, 0.35355339059327373, 0.0}},
              {3, "bf16", {1, 8, 4, 4}, {128, 16, 4, 1}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"conv_fprop", {1, 2}, 3, {{"pre_padding", {0, 0}}, {"post_padding", {0, 0}}, {"stride", {1, 1}}, {"dilation", {1, 1}}}},
          },
      },
      {
          {"cublaslt", "cublas"},
          "nhwc",
          "fp32",
          "",
          {
              {1, "bf16", {1, 16, 8}, {128, 8, 1}, {Fill::normal, 1.0, 0.0}},
              {2, "bf16", {1, 8, 8}, {64, 1, 8}, {Fill::normal, 0.35355339059327373, 0.0}},
              {3, "bf16", {1, 16, 8}, {128, 8, 1}, {Fill::nothing, 0.0, 0.0}},
          },
          {
              {"matmul", {1, 2}, 3, {}},
          },
      },
  };
  return benchmark;
}

}  // namespace travel
