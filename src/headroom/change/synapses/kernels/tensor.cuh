// bf16 and tf32 on the tensor cores through mma.sync, which every GPU from sm_80 on has; Hopper's wgmma is faster and
// knows no other GPU. A warp sums WARP_M x WARP_N outputs.
#pragma once

#include "tile.cuh"

struct Bf16 {
    static constexpr int BYTES = 2;
    static __device__ __forceinline__ void mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { mma_bf16(d, a, b); }
};

// Inputs go in as they are and the tensor core drops their low bits; weights were rounded when they were packed.
struct Tf32 {
    static constexpr int BYTES = 4;
    static __device__ __forceinline__ void mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { mma_tf32(d, a, b); }
};

template <typename Number, int M, int N, int WARP_M, int WARP_N>
struct Tensor {
    static constexpr int TILE_M = M, TILE_N = N, NUMBER_BYTES = Number::BYTES;
    static constexpr int ACROSS = N / WARP_N, THREADS = 32 * (M / WARP_M) * ACROSS;
    static constexpr int CTAS_PER_SM = 512 / THREADS;
    static constexpr int ROWS = WARP_M / 16, COLUMNS = WARP_N / 8;
    // One product's K: 16 numbers of bf16, 8 of tf32, whose fragments lie alike when counted in bytes.
    static constexpr int MMA_BYTES = 32;
    static_assert(COLUMNS % 2 == 0, "fragments of weights are loaded for two products at once");

    float sums[ROWS][COLUMNS][4] = {};
    int row, column, lane;

    __device__ __forceinline__ Tensor() {
        const int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        row = warp / ACROSS * WARP_M;
        column = warp % ACROSS * WARP_N;
    }

    __device__ __forceinline__ void multiply(const unsigned char* inputs, const unsigned char* weights) {
        const unsigned char* a = inputs + (row + lane % 16) * PITCH_BYTES + lane / 16 * 16;
        const unsigned char* b = weights + (column + lane / 16 * 8 + lane % 8) * PITCH_BYTES + lane / 8 % 2 * 16;
#pragma unroll
        for (int k = 0; k < STEP_BYTES; k += MMA_BYTES) {
            u32 x[ROWS][4], y[COLUMNS / 2][4];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) load_matrices(x[i], a + i * 16 * PITCH_BYTES + k);
#pragma unroll
            for (int j = 0; j < COLUMNS / 2; ++j) load_matrices(y[j], b + j * 16 * PITCH_BYTES + k);
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
#pragma unroll
                for (int j = 0; j < COLUMNS; ++j) {
                    const u32 pair[2] = {y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]};
                    Number::mma(sums[i][j], x[i], pair);
                }
            }
        }
    }

    // put(row, column, value, next column's value) for each pair of this thread's sums.
    template <typename Put>
    __device__ __forceinline__ void store(Put put) const {
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
#pragma unroll
            for (int j = 0; j < COLUMNS; ++j) {
                const int at = row + i * 16 + lane / 4, to = column + j * 8 + lane % 4 * 2;
                put(at, to, sums[i][j][0], sums[i][j][1]);
                put(at + 8, to, sums[i][j][2], sums[i][j][3]);
            }
        }
    }
};
