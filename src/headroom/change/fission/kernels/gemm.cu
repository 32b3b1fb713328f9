// Strict fp32: outputs = activation(left right^T + bias), left (m, k) and right (n, k) with rows along K. Either operand
// may be packed, and split behind shared memory, ahead of it, or be packed on the way into it (the paper's).
#ifdef SIMULATE_UNIT
#include "unit_simulation.cuh"
#else
#include "unpack.cuh"
#endif

// Where an operand is split. NEAR: packed in device and in shared memory. AHEAD: packed in device memory, fp32 in shared
// memory (the off-chip packing of Figure 18). FUSED: fp32 in device memory, packed in shared memory (Figure 7b).
enum Where { NEAR, AHEAD, FUSED };

#define TILE 128
#define THREADS 256
// Of a warp's 32 lanes 4 lie along left's rows and 8 along right's; 4 warps by 2 make the tile.
#define LEFT_LANES 4
#define RIGHT_LANES 8
#define LEFT_WARPS 4

// What lies in shared memory.
template <typename Format, Where WHERE>
struct PickShared {
    using Type = Format;
};
template <typename Format>
struct PickShared<Format, AHEAD> {
    using Type = Fp32;
};

// One operand's way from device memory to registers. A unit is 16 bytes of a packed row: FOUR words, UNIT_K values.
template <typename Format, Where WHERE, int TILE_K>
struct Operand {
    using Shared = typename PickShared<Format, WHERE>::Type;
    enum {
        VALUES = Format::VALUES,
        UNIT_K = 4 * VALUES,
        LOADS = WHERE == FUSED ? VALUES : 1,
        UNITS_OF_A_ROW = TILE_K / UNIT_K,
        UNITS = TILE * UNITS_OF_A_ROW,
        OWN = (UNITS + THREADS - 1) / THREADS,
        WORDS_K = TILE_K / Shared::VALUES,
        SHARED_WORDS = WORDS_K * TILE,
    };
    uint4 raw[OWN][LOADS];
    // Where this thread's units begin, in 16 bytes: an operand has fewer than 2^32 of them, 64 GiB.
    u32 start[OWN];

    // rows: how many there are; rows past them read the last one, and what comes of it is not stored. row_loads: 16-byte
    // loads of a row in device memory.
    __device__ __forceinline__ Operand(int first_row, int rows, int row_loads) {
#pragma unroll
        for (int own = 0; own < OWN; ++own)
            start[own] = (u32)min(first_row + (own * THREADS + (int)threadIdx.x) % TILE, rows - 1) * (u32)row_loads;
    }

    // Words past a row's end become 0.
    __device__ __forceinline__ void fetch(const uint4* from, int row_loads, int first_k) {
#pragma unroll
        for (int own = 0; own < OWN; ++own) {
            const int unit = own * THREADS + threadIdx.x, load = (first_k / UNIT_K + unit / TILE) * LOADS;
#pragma unroll
            for (int i = 0; i < LOADS; ++i) {
                raw[own][i] = make_uint4(0, 0, 0, 0);
                if ((UNITS % THREADS == 0 || unit < UNITS) && load + i < row_loads)
                    raw[own][i] = __ldg(from + start[own] + (u32)(load + i));
            }
        }
    }

    // Neighbouring lanes write neighbouring rows: no bank is met twice.
    __device__ __forceinline__ void stage(u32* to) const {
#pragma unroll
        for (int own = 0; own < OWN; ++own) {
            const int unit = own * THREADS + threadIdx.x, row = unit % TILE, part = unit / TILE;
            if (UNITS % THREADS != 0 && unit >= UNITS) break;
            u32 words[4 * LOADS];
#pragma unroll
            for (int i = 0; i < LOADS; ++i) {
                words[4 * i] = raw[own][i].x;
                words[4 * i + 1] = raw[own][i].y;
                words[4 * i + 2] = raw[own][i].z;
                words[4 * i + 3] = raw[own][i].w;
            }
#pragma unroll
            for (int word = 0; word < 4; ++word) place(to, part * 4 + word, row, words + word * LOADS);
        }
    }

    static __device__ __forceinline__ void place(u32* to, int word, int row, const u32* from) {
        if constexpr (WHERE == FUSED) {
            to[word * TILE + row] = Format::fuse(from[0], from[1]);
        } else if constexpr (WHERE == AHEAD) {
            const u32 prepared = Format::prepare(from[0]);
#pragma unroll
            for (int v = 0; v < VALUES; ++v)
                to[(word * VALUES + v) * TILE + row] = __float_as_uint(Format::value(prepared, v));
        } else {
            to[word * TILE + row] = from[0];
        }
    }
};

// Two times four of a thread's eight rows lie apart by the lanes' share, so that a warp reads 16 bytes a lane in a row.
template <typename Shared>
__device__ __forceinline__ void read_words(u32 (&words)[8], const u32* row_of_words, int first, int apart) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const uint4 four = *(const uint4*)(row_of_words + first + half * apart);
        words[4 * half] = Shared::prepare(four.x);
        words[4 * half + 1] = Shared::prepare(four.y);
        words[4 * half + 2] = Shared::prepare(four.z);
        words[4 * half + 3] = Shared::prepare(four.w);
    }
}

// One tile along K. TAIL: it may reach past the last of `left_k` values, which are then left out.
template <typename Left, typename Right, int TILE_K, bool TAIL>
__device__ __forceinline__ void multiply(
    float (&sums)[8][8], const u32* left, const u32* right, int left_row, int right_row, int left_k
) {
    constexpr int GROUP = Left::VALUES > Right::VALUES ? Left::VALUES : Right::VALUES;
#pragma unroll(TAIL ? 1 : TILE_K / GROUP)
    for (int first = 0; first < TILE_K; first += GROUP) {
        u32 left_words[8], right_words[8];
#pragma unroll
        for (int at = 0; at < GROUP; ++at) {
            if (at % Left::VALUES == 0)
                read_words<Left>(left_words, left + (first + at) / Left::VALUES * TILE, left_row, 4 * LEFT_LANES);
            if (at % Right::VALUES == 0)
                read_words<Right>(right_words, right + (first + at) / Right::VALUES * TILE, right_row, 4 * RIGHT_LANES);
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

// Grid: (n / TILE, m / TILE), rounded up; THREADS threads. Scales: one per row, or null. bias: (n), or null.
template <typename LeftFormat, Where LEFT, typename RightFormat, Where RIGHT>
__global__ void __launch_bounds__(THREADS, 2) packed_gemm(
    const uint4* left, const uint4* right, const float* left_scales, const float* right_scales, const float* bias,
    float* outputs, int m, int n, int k, int left_loads, int right_loads, int relu
) {
    // Every operand's unit divides it, and what is on its way fits into registers.
    constexpr int WIDEST = LeftFormat::VALUES > RightFormat::VALUES ? LeftFormat::VALUES : RightFormat::VALUES;
    constexpr int TILE_K = WIDEST > 2 ? 4 * WIDEST : 8;
    using A = Operand<LeftFormat, LEFT, TILE_K>;
    using B = Operand<RightFormat, RIGHT, TILE_K>;
    constexpr int BUFFER = A::SHARED_WORDS + B::SHARED_WORDS;
    u32* shared = (u32*)shared_memory();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first_m = blockIdx.y * TILE, first_n = blockIdx.x * TILE;
    const int left_row = warp % LEFT_WARPS * (8 * LEFT_LANES) + lane / RIGHT_LANES * 4;
    const int right_row = warp / LEFT_WARPS * (8 * RIGHT_LANES) + lane % RIGHT_LANES * 4;

    float sums[8][8] = {};
    A a(first_m, m, left_loads);
    B b(first_n, n, right_loads);
    a.fetch(left, left_loads, 0);
    b.fetch(right, right_loads, 0);
    a.stage(shared);
    b.stage(shared + A::SHARED_WORDS);
    __syncthreads();
    int buffer = 0;
    for (int first_k = 0; first_k < k; first_k += TILE_K) {
        const bool more = first_k + TILE_K < k;
        if (more) {
            a.fetch(left, left_loads, first_k + TILE_K);
            b.fetch(right, right_loads, first_k + TILE_K);
        }
        const u32* tile = shared + buffer * BUFFER;
        if (first_k + TILE_K <= k)
            multiply<typename A::Shared, typename B::Shared, TILE_K, false>(
                sums, tile, tile + A::SHARED_WORDS, left_row, right_row, TILE_K
            );
        else
            multiply<typename A::Shared, typename B::Shared, TILE_K, true>(
                sums, tile, tile + A::SHARED_WORDS, left_row, right_row, k - first_k
            );
        if (more) {
            buffer ^= 1;
            a.stage(shared + buffer * BUFFER);
            b.stage(shared + buffer * BUFFER + A::SHARED_WORDS);
            __syncthreads();
        }
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int row = first_m + left_row + i / 4 * 4 * LEFT_LANES + i % 4;
        if (row >= m) continue;
        const float row_scale = left_scales ? left_scales[row] : 1.0f;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const int column = first_n + right_row + j / 4 * 4 * RIGHT_LANES + j % 4;
            if (column >= n) continue;
            float sum = sums[i][j] * row_scale;
            if (right_scales) sum *= right_scales[column];
            if (bias) sum += bias[column];
            outputs[(long long)row * n + column] = relu ? fmaxf(sum, 0.0f) : sum;
        }
    }
}
