// An operand's way from device memory through registers into shared memory, and on it the place where it is split.
#pragma once

#ifdef SIMULATE_UNIT
#include "unit_simulation.cuh"
#else
#include "unpack.cuh"
#endif

// Where an operand is split. NEAR: packed in device and in shared memory. AHEAD: packed in device memory, fp32 in shared
// memory (the off-chip packing of Figure 18). FUSED: fp32 in device memory, packed in shared memory (Figure 7b).
enum Where { NEAR, AHEAD, FUSED };

// What lies in shared memory.
template <typename Format, Where WHERE>
struct PickShared {
    using Type = Format;
};
template <typename Format>
struct PickShared<Format, AHEAD> {
    using Type = Fp32;
};

// A tile of ROWS by TILE_K on its way. A unit is 16 bytes of a packed row: four words, UNIT_K values. Every thread follows
// one row; where a row has more units than threads, it has several of them.
template <typename Format, Where WHERE, int ROWS, int THREADS, int TILE_K>
struct Staged {
    using Shared = typename PickShared<Format, WHERE>::Type;
    enum {
        VALUES = Format::VALUES,
        UNIT_K = 4 * VALUES,
        LOADS = WHERE == FUSED ? VALUES : 1,
        UNITS_OF_A_ROW = TILE_K / UNIT_K,
        THREADS_OF_A_ROW = THREADS / ROWS,
        OWN = (UNITS_OF_A_ROW + THREADS_OF_A_ROW - 1) / THREADS_OF_A_ROW,
        SHARED_WORDS = TILE_K / Shared::VALUES * ROWS,
    };
    static_assert(THREADS % ROWS == 0, "a thread follows one row");
    uint4 raw[OWN][LOADS];

    static __device__ __forceinline__ int row() { return threadIdx.x % ROWS; }
    static __device__ __forceinline__ int unit(int own) { return own * THREADS_OF_A_ROW + threadIdx.x / ROWS; }
    // Where a row has fewer units than threads, some have none.
    static __device__ __forceinline__ bool owns(int own) {
        return UNITS_OF_A_ROW % THREADS_OF_A_ROW == 0 || unit(own) < UNITS_OF_A_ROW;
    }

    // Neighbouring lanes write neighbouring rows: no bank is met twice.
    __device__ __forceinline__ void stage(u32* to) const {
#pragma unroll
        for (int own = 0; own < OWN; ++own) {
            if (!owns(own)) break;
            u32 words[4 * LOADS];
#pragma unroll
            for (int i = 0; i < LOADS; ++i) {
                words[4 * i] = raw[own][i].x;
                words[4 * i + 1] = raw[own][i].y;
                words[4 * i + 2] = raw[own][i].z;
                words[4 * i + 3] = raw[own][i].w;
            }
#pragma unroll
            for (int word = 0; word < 4; ++word) place(to + row(), unit(own) * 4 + word, words + word * LOADS);
        }
    }

    static __device__ __forceinline__ void place(u32* to, int word, const u32* from) {
        if constexpr (WHERE == FUSED) {
            to[word * ROWS] = Format::fuse(from[0], from[1]);
        } else if constexpr (WHERE == AHEAD) {
            const u32 prepared = Format::prepare(from[0]);
#pragma unroll
            for (int v = 0; v < VALUES; ++v) to[(word * VALUES + v) * ROWS] = __float_as_uint(Format::value(prepared, v));
        } else {
            to[word * ROWS] = from[0];
        }
    }
};

// The rows of a matrix, K along each of them, `row_loads` of 16 bytes apart.
template <typename Format, Where WHERE, int ROWS, int THREADS, int TILE_K>
struct Rows : Staged<Format, WHERE, ROWS, THREADS, TILE_K> {
    using Base = Staged<Format, WHERE, ROWS, THREADS, TILE_K>;
    const uint4* from;
    // Where this thread's row begins, in 16 bytes: an operand has fewer than 2^32 of them, 64 GiB.
    u32 start;
    int row_loads;

    // Rows past the last of `rows` read that one, and what comes of it is not stored.
    __device__ __forceinline__ Rows(const uint4* from, int first_row, int rows, int row_loads)
        : from(from), start((u32)min(first_row + Base::row(), rows - 1) * (u32)row_loads), row_loads(row_loads) {}

    // Words past a row's end become 0.
    __device__ __forceinline__ void fetch(int first_k) {
#pragma unroll
        for (int own = 0; own < Base::OWN; ++own) {
            const int load = (first_k / Base::UNIT_K + Base::unit(own)) * Base::LOADS;
#pragma unroll
            for (int i = 0; i < Base::LOADS; ++i) {
                this->raw[own][i] = make_uint4(0, 0, 0, 0);
                if (Base::owns(own) && load + i < row_loads) this->raw[own][i] = __ldg(from + start + (u32)(load + i));
            }
        }
    }
};
