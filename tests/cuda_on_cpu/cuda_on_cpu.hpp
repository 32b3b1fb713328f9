// CUDA C++ as g++ sees it: included before every kernel that the tests run on the CPU. What a kernel may use beyond
// this it finds in the package's ptx.cuh, of which ptx.hpp is the CPU's form.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "threads.hpp"

#define HEADROOM_ON_CPU 1
#define __device__
#define __host__
#define __global__
#define __constant__
// One CTA runs at a time.
#define __shared__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define threadIdx (on_cpu::current->index)
#define blockIdx (on_cpu::cta.index)
#define blockDim (on_cpu::cta.block)
#define gridDim (on_cpu::cta.grid)
constexpr int warpSize = on_cpu::WARP;

#define ON_CPU_VECTOR(NAME, T)                                                                    \
    struct alignas(2 * sizeof(T)) NAME##2 { T x, y; };                                            \
    struct NAME##3 { T x, y, z; };                                                                \
    struct alignas(sizeof(T) < 8 ? 4 * sizeof(T) : 16) NAME##4 { T x, y, z, w; };                 \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                                    \
    inline NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }                            \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
ON_CPU_VECTOR(char, signed char)
ON_CPU_VECTOR(uchar, unsigned char)
ON_CPU_VECTOR(short, short)
ON_CPU_VECTOR(ushort, unsigned short)
ON_CPU_VECTOR(int, int)
ON_CPU_VECTOR(uint, unsigned)
ON_CPU_VECTOR(float, float)
ON_CPU_VECTOR(longlong, long long)
ON_CPU_VECTOR(ulonglong, unsigned long long)
ON_CPU_VECTOR(double, double)
#undef ON_CPU_VECTOR

inline void __syncthreads() { on_cpu::cta_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { on_cpu::warp_barrier(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// Lanes outside the shuffle's segment of `width` lanes answer with the asker's own value.
template <typename T>
inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    const auto all = on_cpu::exchange(mask, value);
    return all.of(on_cpu::lane() / width * width + from % width);
}
template <typename T>
inline T on_cpu_shuffled(unsigned mask, T value, int from, int width) {
    const auto all = on_cpu::exchange(mask, value);
    const int start = on_cpu::lane() / width * width;
    return from >= start && from < start + width ? all.of(from) : value;
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
    return on_cpu_shuffled(mask, value, on_cpu::lane() ^ lanes, width);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
    return on_cpu_shuffled(mask, value, on_cpu::lane() - int(lanes), width);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
    return on_cpu_shuffled(mask, value, on_cpu::lane() + int(lanes), width);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const auto all = on_cpu::exchange(mask, predicate != 0);
    unsigned votes = 0;
    for (int lane = 0; lane < on_cpu::WARP; ++lane)
        if (mask >> lane & 1) votes |= unsigned(all.of(lane)) << lane;
    return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

template <typename To, typename From>
inline To on_cpu_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "not the same bits");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return on_cpu_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return on_cpu_bits<float>(x); }
inline int __float_as_int(float x) { return on_cpu_bits<int>(x); }
inline float __int_as_float(int x) { return on_cpu_bits<float>(x); }

template <typename T>
inline T __ldg(const T* from) { return *from; }
template <typename T>
inline T __ldcg(const T* from) { return *from; }
template <typename T>
inline T __ldcs(const T* from) { return *from; }

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return unsigned((uint64_t(high) << 32 | low) >> (by & 31));
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return unsigned((uint64_t(high) << 32 | low) << (by & 31) >> 32);
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const uint64_t bytes = uint64_t(high) << 32 | low;
    unsigned chosen = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned nibble = selector >> 4 * i & 15, byte = unsigned(bytes >> 8 * (nibble & 7)) & 255;
        chosen |= (nibble & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return chosen;
}

#define ON_CPU_MIN_MAX(T)                                    \
    inline T min(T a, T b) { return b < a ? b : a; }         \
    inline T max(T a, T b) { return a < b ? b : a; }
ON_CPU_MIN_MAX(int)
ON_CPU_MIN_MAX(unsigned)
ON_CPU_MIN_MAX(long long)
ON_CPU_MIN_MAX(unsigned long long)
ON_CPU_MIN_MAX(float)
#undef ON_CPU_MIN_MAX

// Threads take turns only at barriers: nothing comes between.
template <typename T>
inline T atomicAdd(T* to, T value) {
    const T before = *to;
    *to = before + value;
    return before;
}
template <typename T>
inline T atomicMax(T* to, T value) {
    const T before = *to;
    *to = before < value ? value : before;
    return before;
}
