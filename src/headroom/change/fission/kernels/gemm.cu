// Strict fp32: outputs = activation(left right^T + bias), left (m, k) and right (n, k) with rows along K. Either operand
// may be packed, and split behind shared memory, ahead of it, or be packed on the way into it (the paper's).
#include "product.cuh"

constexpr int TILE_N = 128, THREADS = threads_of(TILE_N);

// Grid: (n / TILE_N, m / TILE_M), rounded up; THREADS threads. Scales: one per row, or null. bias: (n), or null.
template <typename LeftFormat, Where LEFT, typename RightFormat, Where RIGHT>
__global__ void __launch_bounds__(THREADS, THREADS_OF_AN_SM / THREADS) packed_gemm(
    const uint4* left, const uint4* right, const float* left_scales, const float* right_scales, const float* bias,
    float* outputs, int m, int n, int k, int left_loads, int right_loads, int relu
) {
    constexpr int TILE_K = tile_k_of<LeftFormat, RightFormat>();
    using A = Rows<LeftFormat, LEFT, TILE_M, THREADS, TILE_K>;
    using B = Rows<RightFormat, RIGHT, TILE_N, THREADS, TILE_K>;
    const int first_m = blockIdx.y * TILE_M, first_n = blockIdx.x * TILE_N;
    A a(left, first_m, m, left_loads);
    B b(right, first_n, n, right_loads);
    Product<A, B, TILE_N, TILE_K> product;
    product.add(a, b, (u32*)shared_memory(), 0, k);
    product.store(outputs, n, {left_scales, right_scales, bias, 1, relu}, first_m, first_n, m, n);
}
