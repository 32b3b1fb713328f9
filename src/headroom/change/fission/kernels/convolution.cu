// Strict fp32: a convolution as an implicit GEMM of m pixels (batch, p, q) by n outputs of each group. Images lie in NHWC,
// packed or not, weights as (outputs, K) with K = (r, s, channels of a group); splitting and product are gemm.cu's.
#include "product.cuh"
#include "windows.cuh"

// outputs: NHWC, or with several `parts` of K [part] of NHWC sums that sum_parts finishes. Scales: null, or one per image
// and one per output. bias: null, or per output. table: see windows.cuh. group_loads: of a pixel's channels in a group.
// Grid: (tiles of m and n, n first, 1, groups times parts); threads_of(TILE_N) threads.
template <typename LeftFormat, Where LEFT, typename RightFormat, Where RIGHT, int TILE_N, int LOAD_WORDS>
__global__ void __launch_bounds__(threads_of(TILE_N), THREADS_OF_AN_SM / threads_of(TILE_N)) packed_convolution(
    const u32* inputs, const u32* table, const uint4* weights, const float* image_scales, const float* weight_scales,
    const float* bias, float* outputs, int m, int n, int k, int groups, int parts, int weight_loads, int group_loads,
    int height, int width, int pixel_loads, int image_loads, int columns_out, int pixels_out, int down, int along, int above,
    int before, int relu
) {
    constexpr int TILE_K = tile_k_of<LeftFormat, RightFormat>(), THREADS = threads_of(TILE_N);
    using A = Windows<LeftFormat, LEFT, TILE_M, THREADS, TILE_K, LOAD_WORDS>;
    using B = Rows<RightFormat, RIGHT, TILE_N, THREADS, TILE_K>;
    const int tiles_n = (n + TILE_N - 1) / TILE_N, pitch = groups * n;
    const int first_m = blockIdx.x / tiles_n * TILE_M, first_n = blockIdx.x % tiles_n * TILE_N;
    const int group = blockIdx.z / parts, part = blockIdx.z % parts;
    const Steps steps = {columns_out, pixels_out, down, along, above, before};
    A a(inputs, table, {height, width, pixel_loads, image_loads}, steps, first_m, m, group * group_loads);
    B b(weights + (u64)group * n * weight_loads, first_n, n, weight_loads);
    Product<A, B, TILE_N, TILE_K> product;
    // Parts begin where tiles along K do.
    const int tiles_k = (k + TILE_K - 1) / TILE_K;
    const int begin = tiles_k * part / parts * TILE_K, end = min(k, tiles_k * (part + 1) / parts * TILE_K);
    product.add(a, b, (u32*)shared_memory(), begin, end);
    const int column = group * n;
    Finish finish = {nullptr, nullptr, nullptr, 1, 0};
    if (parts == 1)
        finish = {
            image_scales, weight_scales ? weight_scales + column : nullptr, bias ? bias + column : nullptr, pixels_out, relu,
        };
    product.store(outputs + (u64)part * m * pitch + column, pitch, finish, first_m, first_n, m, n);
}

// outputs[i] = the sum over parts, in their order, finished. n: outputs of all groups. A thread per output; m * n < 2^31.
__global__ void __launch_bounds__(256) sum_parts(
    const float* sums, const float* image_scales, const float* weight_scales, const float* bias, float* outputs, int m, int n,
    int parts, int pixels_out, int relu
) {
    const u32 count = m * n, i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    float sum = 0.0f;
    for (int part = 0; part < parts; ++part) sum += __ldg(sums + (u64)part * count + i);
    const Finish finish = {image_scales, weight_scales, bias, pixels_out, relu};
    outputs[i] = finish(sum, finish.row_scale(i / n), i % n);
}
