// Strict fp32: a CTA's tile of left right^T from two buffers in shared memory, 8 by 8 sums a thread, and what becomes of
// them. Matrices and convolutions differ in where `left` is fetched from, and in nothing here.
#pragma once

#include "operand.cuh"

// A tile has TILE_M rows of left and up to 128 of right. Of a warp's 32 lanes 4 lie along left's rows and 8 along right's;
// 4 warps lie along left's rows.
constexpr int TILE_M = 128, LEFT_LANES = 4, RIGHT_LANES = 8, LEFT_WARPS = 4;
// Registers of 512 threads at most, so that an SM holds so many.
constexpr int THREADS_OF_AN_SM = 512;

__device__ constexpr int threads_of(int tile_n) { return TILE_M * tile_n / 64; }

// Every operand's unit divides it, and what is on its way fits into registers.
template <typename Left, typename Right>
__device__ constexpr int tile_k_of() {
    constexpr int WIDEST = (int)Left::VALUES > (int)Right::VALUES ? (int)Left::VALUES : (int)Right::VALUES;
    return WIDEST > 2 ? 4 * WIDEST : 8;
}

// Two times four of a thread's eight rows lie apart by the lanes' share, so that a warp reads 16 bytes a lane in a row.
template <typename Shared>
__device__ __forceinline__ void read_words(u32 (&words)[8], const u32* row_of_words, int apart) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const uint4 four = *(const uint4*)(row_of_words + half * apart);
        words[4 * half] = Shared::prepare(four.x);
        words[4 * half + 1] = Shared::prepare(four.y);
        words[4 * half + 2] = Shared::prepare(four.z);
        words[4 * half + 3] = Shared::prepare(four.w);
    }
}

// One tile along K. TAIL: it may reach past the last of `left_k` values, which are then left out.
template <typename Left, typename Right, int TILE_N, int TILE_K, bool TAIL>
__device__ __forceinline__ void multiply(float (&sums)[8][8], const u32* left, const u32* right, int left_k) {
    constexpr int GROUP = (int)Left::VALUES > (int)Right::VALUES ? (int)Left::VALUES : (int)Right::VALUES;
#pragma unroll(TAIL ? 1 : TILE_K / GROUP)
    for (int first = 0; first < TILE_K; first += GROUP) {
        u32 left_words[8], right_words[8];
#pragma unroll
        for (int at = 0; at < GROUP; ++at) {
            if (at % Left::VALUES == 0)
                read_words<Left>(left_words, left + (first + at) / Left::VALUES * TILE_M, 4 * LEFT_LANES);
            if (at % Right::VALUES == 0)
                read_words<Right>(right_words, right + (first + at) / Right::VALUES * TILE_N, 4 * RIGHT_LANES);
            if (TAIL && first + at >= left_k) continue;
            float values[8];
#pragma unroll
            for (int j = 0; j < 8; ++j) values[j] = Right::value(right_words[j], at % Right::VALUES);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                const float value = Left::value(left_words[i], at % Left::VALUES);
#pragma unroll
                for (int j = 0; j < 8; ++j) sums[i][j] = __fmaf_rn(value, values[j], sums[i][j]);
            }
        }
    }
}

// What becomes of a sum. Scales: null, or one of each `rows_of_a_scale` rows and one per column. bias: null, or per column.
struct Finish {
    const float *left_scales, *right_scales, *bias;
    int rows_of_a_scale, relu;

    __device__ __forceinline__ float row_scale(int row) const {
        return left_scales ? __ldg(left_scales + row / rows_of_a_scale) : 1.0f;
    }
    // A NaN stays one, as PyTorch's ReLU leaves it.
    __device__ __forceinline__ float operator()(float sum, float row_scale, int column) const {
        sum *= row_scale;
        if (right_scales) sum *= __ldg(right_scales + column);
        if (bias) sum += __ldg(bias + column);
        return relu && sum < 0.0f ? 0.0f : sum;
    }
};

template <typename Left, typename Right, int TILE_N, int TILE_K>
struct Product {
    enum { BUFFER = Left::SHARED_WORDS + Right::SHARED_WORDS };
    float sums[8][8] = {};
    // This thread's first row of left and of right in the tile.
    int left_row, right_row;

    __device__ __forceinline__ Product() {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        left_row = warp % LEFT_WARPS * (8 * LEFT_LANES) + lane / RIGHT_LANES * 4;
        right_row = warp / LEFT_WARPS * (8 * RIGHT_LANES) + lane % RIGHT_LANES * 4;
    }

    // Adds K from `begin`, a multiple of TILE_K, to `end`. shared: two buffers. While a tile is multiplied the next is on
    // its way into registers; it goes into the buffer that nobody reads, so that one barrier a tile is enough.
    __device__ __forceinline__ void add(Left& left, Right& right, u32* shared, int begin, int end) {
        left.fetch(begin);
        right.fetch(begin);
        left.stage(shared);
        right.stage(shared + Left::SHARED_WORDS);
        __syncthreads();
        int buffer = 0;
        for (int first_k = begin; first_k < end; first_k += TILE_K) {
            const bool more = first_k + TILE_K < end;
            if (more) {
                left.fetch(first_k + TILE_K);
                right.fetch(first_k + TILE_K);
            }
            const u32 *a = shared + buffer * BUFFER + left_row, *b = shared + buffer * BUFFER + Left::SHARED_WORDS + right_row;
            using LeftShared = typename Left::Shared;
            using RightShared = typename Right::Shared;
            if (first_k + TILE_K <= end)
                multiply<LeftShared, RightShared, TILE_N, TILE_K, false>(sums, a, b, TILE_K);
            else
                multiply<LeftShared, RightShared, TILE_N, TILE_K, true>(sums, a, b, end - first_k);
            if (more) {
                buffer ^= 1;
                left.stage(shared + buffer * BUFFER);
                right.stage(shared + buffer * BUFFER + Left::SHARED_WORDS);
                __syncthreads();
            }
        }
    }

    // The tile at (first_m, first_n) of an (m, n) matrix whose rows lie `pitch` apart. Columns count from `to`.
    __device__ __forceinline__ void store(
        float* to, int pitch, const Finish& finish, int first_m, int first_n, int m, int n
    ) const {
        const bool whole = n % 4 == 0 && pitch % 4 == 0;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int row = first_m + left_row + i / 4 * 4 * LEFT_LANES + i % 4;
            if (row >= m) continue;
            const float scale = finish.row_scale(row);
#pragma unroll
            for (int j = 0; j < 8; j += 4) {
                const int column = first_n + right_row + j * RIGHT_LANES;
                if (column >= n) continue;
                float* const four = to + (u64)row * pitch + column;
                if (whole) {
                    *(float4*)four = make_float4(
                        finish(sums[i][j], scale, column), finish(sums[i][j + 1], scale, column + 1),
                        finish(sums[i][j + 2], scale, column + 2), finish(sums[i][j + 3], scale, column + 3)
                    );
                    continue;
                }
#pragma unroll
                for (int next = 0; next < 4; ++next)
                    if (column + next < n) four[next] = finish(sums[i][j + next], scale, column + next);
            }
        }
    }
};
