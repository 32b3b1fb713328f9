// Kernels that test the ground they run on.
#include "ptx.hpp"

template <int THREADS>
__global__ void reverse(const int* in, int* out) {
    int* held = reinterpret_cast<int*>(shared_memory());
    held[threadIdx.x] = in[blockIdx.x * THREADS + threadIdx.x];
    __syncthreads();
    out[blockIdx.x * THREADS + threadIdx.x] = held[THREADS - 1 - threadIdx.x];
}

__global__ void reverse_unguarded(const int* in, int* out) {
    int* held = reinterpret_cast<int*>(shared_memory());
    held[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = held[63 - threadIdx.x];
}

__global__ void warp_sums(const float* in, float* out) {
    float sum = in[threadIdx.x];
    for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    out[threadIdx.x] = sum;
}

__global__ void lanes_ask(int* out) {
    const int lane = threadIdx.x;
    out[lane] = __shfl_up_sync(0xffffffffu, lane, 3);
    out[32 + lane] = __shfl_down_sync(0xffffffffu, lane, 2, 8);
    out[64 + lane] = __shfl_sync(0xffffffffu, lane, 5, 16);
    out[96 + lane] = int(__ballot_sync(0xffffffffu, lane % 3 == 0));
    out[128 + lane] = -1;
    if (lane < 8) out[128 + lane] = __shfl_xor_sync(0xffu, lane, 1);
}

__global__ void half_waits() {
    __shared__ int held[64];
    held[threadIdx.x] = 1;
    if (threadIdx.x < 32) __syncthreads();
    __syncwarp();
    if (threadIdx.x >= 32) __shfl_sync(threadIdx.x < 48 ? 0xffffffffu : 0xffff0000u, 1, 0);
}

__global__ void past_the_end(const float* in, float* out, int count) {
    if (threadIdx.x < count) out[threadIdx.x] = in[threadIdx.x];
}

__global__ void misaligned(const float* in, float* out, int start) {
    *reinterpret_cast<float4*>(out) = *reinterpret_cast<const float4*>(in + start);
}

__global__ void writes(unsigned char* numbers, int place) { numbers[place] = 1; }

template <bool WAITS>
__global__ void staged(const float* in, float* out) {
    float* held = reinterpret_cast<float*>(shared_memory());
    copy_async<16>(held + 4 * threadIdx.x, in + 4 * threadIdx.x, threadIdx.x < 15);
    copy_commit();
    copy_commit();
    copy_wait<WAITS ? 1 : 2>();
    __syncthreads();
    for (int i = 0; i < 4; ++i) out[4 * threadIdx.x + i] = held[4 * threadIdx.x + i];
}

template <typename Multiply>
__device__ void multiply_halves(const u16* a, const u16* b, float* c, Multiply multiply) {
    const int group = threadIdx.x / 4, pair = threadIdx.x % 4 * 2;
    auto two = [&](int row, int k) { return u32(a[row * 16 + k + 1]) << 16 | a[row * 16 + k]; };
    auto column = [&](int k) { return u32(b[(k + 1) * 8 + group]) << 16 | b[k * 8 + group]; };
    const u32 left[4] = {two(group, pair), two(group + 8, pair), two(group, pair + 8), two(group + 8, pair + 8)};
    const u32 right[2] = {column(pair), column(pair + 8)};
    float d[4];
    for (int i = 0; i < 4; ++i) d[i] = c[(group + i / 2 * 8) * 8 + pair + i % 2];
    multiply(d, left, right);
    for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + pair + i % 2] = d[i];
}

__global__ void multiply_bf16(const u16* a, const u16* b, float* c) {
    multiply_halves(a, b, c, [](float(&d)[4], const u32(&x)[4], const u32(&y)[2]) { mma_bf16(d, x, y); });
}
__global__ void multiply_fp16(const u16* a, const u16* b, float* c) {
    multiply_halves(a, b, c, [](float(&d)[4], const u32(&x)[4], const u32(&y)[2]) { mma_fp16(d, x, y); });
}
__global__ void multiply_tf32(const float* a, const float* b, float* c) {
    const int group = threadIdx.x / 4, quarter = threadIdx.x % 4;
    auto at = [&](int row, int k) { return to_tf32(a[row * 8 + k]); };
    const u32 left[4] = {at(group, quarter), at(group + 8, quarter), at(group, quarter + 4), at(group + 8, quarter + 4)};
    const u32 right[2] = {to_tf32(b[quarter * 8 + group]), to_tf32(b[(quarter + 4) * 8 + group])};
    float d[4];
    for (int i = 0; i < 4; ++i) d[i] = c[(group + i / 2 * 8) * 8 + quarter * 2 + i % 2];
    mma_tf32(d, left, right);
    for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + quarter * 2 + i % 2] = d[i];
}

__global__ void transposes(const u16* matrices, u32* out) {
    u32 plain[4], transposed[4];
    load_matrices(plain, matrices + 8 * threadIdx.x);
    load_matrices_transposed(transposed, matrices + 8 * threadIdx.x);
    for (int i = 0; i < 4; ++i) {
        out[32 * i + threadIdx.x] = plain[i];
        out[128 + 32 * i + threadIdx.x] = transposed[i];
    }
}

__global__ void rounds_trip(const float* in, float* half, float* brain) {
    const u32 halves = pack_fp16(in[2 * threadIdx.x], in[2 * threadIdx.x + 1]);
    const u32 brains = pack_bf16(in[2 * threadIdx.x], in[2 * threadIdx.x + 1]);
    half[2 * threadIdx.x] = low_fp16(halves);
    half[2 * threadIdx.x + 1] = high_fp16(halves);
    brain[2 * threadIdx.x] = low_bf16(brains);
    brain[2 * threadIdx.x + 1] = high_bf16(brains);
}

struct Pair {
    int first;
    float second;
};

extern "C" __global__ void takes_all(const Pair pair, float value, const int* nothing, float* out) {
    out[0] = pair.first;
    out[1] = pair.second;
    out[2] = nothing ? 0 : value;
}

__global__ void counts(int* out) {
    const unsigned cta = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    ++out[cta * blockDim.x * blockDim.y * blockDim.z + thread];
}
