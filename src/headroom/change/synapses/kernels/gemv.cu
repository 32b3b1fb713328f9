// A linear layer of few rows over retained inputs: bound by its weights, which are read once, in one stream.
#include "output.cuh"
#include "tile.cuh"

// How 16 bytes of weights unpack.
struct Fp32In {
    static constexpr int PER_PIECE = 4;
    static __device__ __forceinline__ float input(const void* inputs, u64 at) { return __ldg((const float*)inputs + at); }
    static __device__ __forceinline__ void unpack(uint4 piece, float (&w)[4]) {
        w[0] = __uint_as_float(piece.x), w[1] = __uint_as_float(piece.y);
        w[2] = __uint_as_float(piece.z), w[3] = __uint_as_float(piece.w);
    }
};
struct Bf16In {
    static constexpr int PER_PIECE = 8;
    static __device__ __forceinline__ float input(const void* inputs, u64 at) {
        return low_bf16(__ldg((const u16*)inputs + at));
    }
    static __device__ __forceinline__ void unpack(uint4 piece, float (&w)[8]) {
        const u32 words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) w[2 * i] = low_bf16(words[i]), w[2 * i + 1] = high_bf16(words[i]);
    }
};

constexpr int GEMV_THREADS = 256, GEMV_WARPS = 8, OUTPUTS = 8;
// Inputs that wait in shared memory as fp32, over all rows.
constexpr int HELD = 8192;

// Each CTA has OUTPUTS outputs, whose weights of one step are 512 bytes in one piece: a warp's load. Warps take steps in
// turn. inputs: `rows` <= ROWS rows of `channels`. The rest as in gather.cu; 1 << `vector_log2` channels per table entry.
template <typename In, typename Out, int ROWS>
__global__ void __launch_bounds__(GEMV_THREADS)
    gather_gemv(const void* __restrict__ inputs, const u32* __restrict__ table, const uint4* __restrict__ weights,
                const float* __restrict__ bias, void* __restrict__ out, int steps, int padded_n, int relu, int rows, int n,
                int channels, int vector_log2) {
    constexpr int PER_STEP = 4 * In::PER_PIECE, SEGMENT_STEPS = HELD / ROWS / PER_STEP;
    __shared__ __align__(16) float held[ROWS][SEGMENT_STEPS * PER_STEP];
    __shared__ float sums_of[GEMV_WARPS][OUTPUTS][ROWS];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first_n = blockIdx.x * OUTPUTS;
    const uint4* mine = weights + (u64)first_n * (STEP_BYTES / 16) + lane;
    const u64 step_pieces = (u64)padded_n * (STEP_BYTES / 16);
    float sums[ROWS] = {};
    for (int begin = 0; begin < steps; begin += SEGMENT_STEPS) {
        const int length = min(SEGMENT_STEPS, steps - begin);
        __syncthreads();
        for (int k = threadIdx.x; k < length * PER_STEP; k += GEMV_THREADS) {
            const int column = begin * PER_STEP + k;
            const int channel = entry_channel(__ldg(table + (column >> vector_log2))) + (column & (1 << vector_log2) - 1);
#pragma unroll
            for (int row = 0; row < ROWS; ++row)
                held[row][k] = row < rows ? In::input(inputs, (u64)row * channels + channel) : 0.0f;
        }
        __syncthreads();
#pragma unroll 4
        for (int step = warp; step < length; step += GEMV_WARPS) {
            float w[In::PER_PIECE];
            In::unpack(__ldg(mine + (begin + step) * step_pieces), w);
#pragma unroll
            for (int row = 0; row < ROWS; ++row) {
                const float* x = held[row] + step * PER_STEP + lane % 4 * In::PER_PIECE;
#pragma unroll
                for (int i = 0; i < In::PER_PIECE; i += 4) {
                    const float4 four = *(const float4*)(x + i);
                    float sum = sums[row];
                    sum = fmaf(four.x, w[i], sum);
                    sum = fmaf(four.y, w[i + 1], sum);
                    sum = fmaf(four.z, w[i + 2], sum);
                    sums[row] = fmaf(four.w, w[i + 3], sum);
                }
            }
        }
    }
#pragma unroll
    for (int row = 0; row < ROWS; ++row) {
        sums[row] += __shfl_xor_sync(0xffffffffu, sums[row], 1);
        sums[row] += __shfl_xor_sync(0xffffffffu, sums[row], 2);
        if (lane % 4 == 0) sums_of[warp][lane / 4][row] = sums[row];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < OUTPUTS * ROWS; i += GEMV_THREADS) {
        const int output = i % OUTPUTS, row = i / OUTPUTS;
        if (first_n + output >= n || row >= rows) continue;
        float sum = 0.0f;
        for (int other = 0; other < GEMV_WARPS; ++other) sum += sums_of[other][output][row];
        Out::write(out, (u64)row * n + first_n + output, finished(sum, bias, first_n + output, relu));
    }
}
