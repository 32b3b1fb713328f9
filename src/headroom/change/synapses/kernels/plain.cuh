// Strict fp32 on the plain units: each thread sums 8 x 8 outputs in registers.
#pragma once

#include "tile.cuh"

template <int M, int N>
struct Plain {
    static constexpr int TILE_M = M, TILE_N = N, NUMBER_BYTES = 4;
    static constexpr int ACROSS = N / 8, THREADS = M / 8 * ACROSS;
    // 128 registers per thread: 64 sums, 32 weights, an input and addresses.
    static constexpr int CTAS_PER_SM = 512 / THREADS;

    float sums[8][8] = {};
    int row, column;

    // A warp is 4 x 8 threads and a thread's rows lie M / 8 apart: the rows that a warp reads at once follow each other,
    // which PITCH_BYTES spreads over all banks.
    __device__ __forceinline__ Plain() {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        row = warp / (ACROSS / 8) * 4 + lane / 8;
        column = warp % (ACROSS / 8) * 8 + lane % 8;
    }

    __device__ __forceinline__ void multiply(const unsigned char* inputs, const unsigned char* weights) {
        const unsigned char* a = inputs + row * PITCH_BYTES;
        const unsigned char* b = weights + column * PITCH_BYTES;
#pragma unroll 1
        for (int k = 0; k < STEP_BYTES; k += 16) {
            float4 y[8];
#pragma unroll
            for (int j = 0; j < 8; ++j) y[j] = *(const float4*)(b + j * ACROSS * PITCH_BYTES + k);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                const float4 x = *(const float4*)(a + i * (M / 8) * PITCH_BYTES + k);
#pragma unroll
                for (int j = 0; j < 8; ++j) {
                    float sum = sums[i][j];
                    sum = fmaf(x.x, y[j].x, sum);
                    sum = fmaf(x.y, y[j].y, sum);
                    sum = fmaf(x.z, y[j].z, sum);
                    sums[i][j] = fmaf(x.w, y[j].w, sum);
                }
            }
        }
    }

    // put(row, column, value) for each of this thread's sums.
    template <typename Put>
    __device__ __forceinline__ void store(Put put) const {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
#pragma unroll
            for (int j = 0; j < 8; ++j) put(row + i * (M / 8), column + j * ACROSS, sums[i][j]);
        }
    }
};
