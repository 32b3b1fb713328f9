// The functions of the package's ptx.cuh for the CPU, by the tables of the PTX ISA: which lane holds which element of
// which fragment, how operands are rounded. Products are exact and their sum is rounded once, to nearest; tensor cores
// keep fewer bits on the way, so results agree to some 2^-20 of the largest summand and not bit for bit.
#pragma once

#include "cuda_on_cpu.hpp"

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

namespace on_cpu {

inline float from_bf16(u16 bits) { return __uint_as_float(u32(bits) << 16); }
inline u16 to_bf16(float x) {
    const u32 bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_fp16(u16 bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float sign = bits >> 15 ? -1.0f : 1.0f;
    if (exponent == 31) return mantissa ? __uint_as_float(0x7fffffff) : sign * INFINITY;
    return sign * (exponent ? std::ldexp(float(1024 + mantissa), exponent - 25) : std::ldexp(float(mantissa), -24));
}
inline u16 to_fp16(float x) {
    const u16 sign = u16(__float_as_uint(x) >> 16 & 0x8000);
    const double size = std::fabs(double(x));
    if (x != x) return 0x7fff;
    if (size >= 65520) return sign | 0x7c00;
    // The least step at this size; nearbyint rounds halves to even.
    const int step = size < std::ldexp(1.0, -14) ? -24 : std::ilogb(size) - 10;
    const double counted = std::nearbyint(std::ldexp(size, -step));
    return sign | u16(step == -24 ? counted : (step + 24) * 1024 + counted);
}
inline float from_tf32(u32 bits) { return __uint_as_float(bits & ~0x1fffu); }

struct Fragments {
    u32 a[4], b[2];
};

// D += A B for one warp; `a(fragments of a lane, register, half)` reads an element. K is 16 (two per register) or 8.
template <int PER_REGISTER, typename Read>
inline void product(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], Read read) {
    const auto all = exchange(0xffffffffu, Fragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
    const int group = lane() / 4, pair = lane() % 4 * 2;
    double sums[4] = {d[0], d[1], d[2], d[3]};
    for (int quarter = 0; quarter < 4; ++quarter) {
        const Fragments row = all.of(group * 4 + quarter);
        const Fragments columns[2] = {all.of(pair * 4 + quarter), all.of((pair + 1) * 4 + quarter)};
        for (int i = 0; i < 4; ++i)
            for (int upper = 0; upper < 2; ++upper)
                for (int half = 0; half < PER_REGISTER; ++half)
                    sums[i] += double(read(row.a[i / 2 + 2 * upper], half)) * read(columns[i % 2].b[upper], half);
    }
    for (int i = 0; i < 4; ++i) d[i] = float(sums[i]);
}

inline unsigned char* shared_bytes = nullptr;

inline void require_aligned(const void* address, size_t bytes) {
    if (reinterpret_cast<uintptr_t>(address) % bytes) fail("an asynchronous copy or a matrix row is not aligned");
}

inline void finish(const std::vector<Copy>& copies) {
    for (const Copy& copy : copies) {
        std::memcpy(copy.to, copy.from, copy.bytes);
        std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, copy.zeros);
    }
}

template <int BYTES>
inline void promise(void* to, const void* from, bool valid) {
    require_aligned(to, BYTES);
    require_aligned(from, BYTES);
    current->copies.back().push_back({to, from, valid ? size_t(BYTES) : 0, valid ? 0 : size_t(BYTES)});
}

// The newest copy is made at once.
inline void keep_promise() {
    finish({current->copies.back().back()});
    current->copies.back().pop_back();
}

inline void load_matrices(u32 (&r)[4], const void* row, bool transposed) {
    require_aligned(row, 16);
    const auto rows = exchange(0xffffffffu, row);
    for (int matrix = 0; matrix < 4; ++matrix) {
        u16 pair[2];
        for (int i = 0; i < 2; ++i) {
            const int along = lane() % 4 * 2 + i, across = lane() / 4;
            const auto* from = static_cast<const u16*>(rows.of(8 * matrix + (transposed ? along : across)));
            pair[i] = from[transposed ? across : along];
        }
        r[matrix] = u32(pair[1]) << 16 | pair[0];
    }
}

}  // namespace on_cpu

inline unsigned char* shared_memory() { return on_cpu::shared_bytes; }

inline u32 pack_bf16(float low, float high) { return u32(on_cpu::to_bf16(high)) << 16 | on_cpu::to_bf16(low); }
inline float low_bf16(u32 pair) { return on_cpu::from_bf16(u16(pair)); }
inline float high_bf16(u32 pair) { return on_cpu::from_bf16(u16(pair >> 16)); }
inline u32 pack_fp16(float low, float high) { return u32(on_cpu::to_fp16(high)) << 16 | on_cpu::to_fp16(low); }
inline float low_fp16(u32 pair) { return on_cpu::from_fp16(u16(pair)); }
inline float high_fp16(u32 pair) { return on_cpu::from_fp16(u16(pair >> 16)); }
// To nearest, ties away from zero.
inline u32 to_tf32(float x) { return (__float_as_uint(x) + 0x1000) & ~0x1fffu; }

inline void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    on_cpu::product<2>(d, a, b, [](u32 pair, int half) { return on_cpu::from_bf16(u16(pair >> 16 * half)); });
}
inline void mma_fp16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    on_cpu::product<2>(d, a, b, [](u32 pair, int half) { return on_cpu::from_fp16(u16(pair >> 16 * half)); });
}
inline void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    on_cpu::product<1>(d, a, b, [](u32 bits, int) { return on_cpu::from_tf32(bits); });
}

inline void load_matrices(u32 (&r)[4], const void* row) { on_cpu::load_matrices(r, row, false); }
inline void load_matrices_transposed(u32 (&r)[4], const void* row) { on_cpu::load_matrices(r, row, true); }

template <int BYTES>
inline void copy_async(void* shared, const void* global, bool valid = true) {
    static_assert(BYTES == 2 || BYTES == 4 || BYTES == 8 || BYTES == 16, "2, 4, 8 or 16 bytes are copied");
    on_cpu::promise<BYTES>(shared, global, valid);
    // Too few for cp.async.
    if (BYTES == 2) on_cpu::keep_promise();
}
inline void copy_commit() { on_cpu::current->copies.emplace_back(); }
// All but the newest `PENDING` groups have arrived afterwards.
template <int PENDING>
inline void copy_wait() {
    auto& groups = on_cpu::current->copies;
    while (groups.size() > PENDING + 1) {
        on_cpu::finish(groups.front());
        groups.erase(groups.begin());
    }
}
