// A tile on its way to shared memory: the K dimension in steps of STEP_BYTES, inputs by a table of synapse vectors.
#pragma once

#include "ptx.cuh"

// Of K, per row and step: 16 numbers of fp32, 32 of bf16.
constexpr int STEP_BYTES = 64;
// Between rows. 16 bytes more than a step: eight rows' 16 bytes then lie in different banks.
constexpr int PITCH_BYTES = 80;

// The layer as an implicit GEMM: M pixels (batch, p, q) times N outputs. A linear layer is 1 x 1 on images of 1 x 1.
struct Layer {
    int m, n, height, width, channels, columns_out, pixels_out;
    int stride_h, stride_w, above, left;
};

// The window of one pixel: the element at its corner, which may lie outside the image, and the corner's place.
struct Window {
    int corner;
    short h, w;
};

// Such that no (r, s) added to it lies within an image.
constexpr short NOWHERE = -32768;

__device__ __forceinline__ Window window_of(const Layer& layer, int pixel) {
    if (pixel >= layer.m) return {0, NOWHERE, NOWHERE};
    const int image = pixel / layer.pixels_out, place = pixel % layer.pixels_out;
    const int h = place / layer.columns_out * layer.stride_h - layer.above;
    const int w = place % layer.columns_out * layer.stride_w - layer.left;
    return {((image * layer.height + h) * layer.width + w) * layer.channels, (short)h, (short)w};
}

// A table entry: VECTOR_BYTES of consecutive channels from `channel` on, at the window's (r, s), dilation included.
__device__ __forceinline__ int entry_channel(u32 entry) { return entry & 0xffff; }
__device__ __forceinline__ int entry_r(u32 entry) { return entry >> 16 & 0xff; }
__device__ __forceinline__ int entry_s(u32 entry) { return entry >> 24; }

// Copies the inputs of one step for TILE_M pixels. Each thread follows one entry per step through several pixels.
template <int THREADS, int TILE_M, int VECTOR_BYTES, int NUMBER_BYTES>
struct Gather {
    static constexpr int ENTRIES = STEP_BYTES / VECTOR_BYTES;
    static constexpr int ROWS = THREADS / ENTRIES;
    static_assert(THREADS % ENTRIES == 0 && TILE_M % ROWS == 0, "threads must divide the tile");

    const Layer& layer;
    const unsigned char* inputs;
    const u32* table;
    const Window* windows;
    u32 entry;

    // The entry of a step is fetched a step ahead, so that no address waits for it.
    __device__ __forceinline__ void fetch(int step) { entry = __ldg(table + step * ENTRIES + threadIdx.x % ENTRIES); }

    // Needs `fetch(step)` before; fetches that of `next`.
    __device__ __forceinline__ void copy(unsigned char* tile, int next) {
        const int r = entry_r(entry), s = entry_s(entry);
        const int offset = (r * layer.width + s) * layer.channels + entry_channel(entry);
        fetch(next);
        unsigned char* to = tile + threadIdx.x / ENTRIES * PITCH_BYTES + threadIdx.x % ENTRIES * VECTOR_BYTES;
#pragma unroll
        for (int row = 0; row < TILE_M; row += ROWS) {
            const Window window = windows[threadIdx.x / ENTRIES + row];
            const bool inside = (u32)(window.h + r) < (u32)layer.height && (u32)(window.w + s) < (u32)layer.width;
            const u64 element = inside ? (u64)(window.corner + offset) : 0;
            copy_async<VECTOR_BYTES>(to + row * PITCH_BYTES, inputs + element * NUMBER_BYTES, inside);
        }
    }
};

// Copies the weights of one step for TILE_N outputs. They lie step by step, [step][output][STEP_BYTES]: in one piece.
template <int THREADS, int TILE_N>
__device__ __forceinline__ void copy_weights(unsigned char* tile, const unsigned char* weights) {
    constexpr int PIECES = STEP_BYTES / 16, ROWS = THREADS / PIECES;
    static_assert(TILE_N % ROWS == 0, "threads must divide the tile");
    const int row = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
#pragma unroll
    for (int i = 0; i < TILE_N; i += ROWS)
        copy_async<16>(tile + (row + i) * PITCH_BYTES + piece * 16, weights + (row + i) * STEP_BYTES + piece * 16);
}
