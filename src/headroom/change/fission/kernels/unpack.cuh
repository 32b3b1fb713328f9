// Fission: packed words to fp32 in registers. One struct per format; headroom.change.fission.formats is their reference,
// bit by bit. ALU counts are instructions of a value beside the multiply-add, as the comments argue and SASS shows.
#pragma once

#include "ptx.cuh"

// Of each struct: VALUES in a word, and value(word, v), the v-th of them; v is known when the loop around it is unrolled.
// prepare(word) is what happens once to a word, nothing for what runs on today's GPUs (unit_simulation.cuh has others).
// ZERO: a word of packed zeros; in the paper's Deft-8, which has none, of its smallest value.
struct Splits {
    static constexpr u32 ZERO = 0;
    static __device__ __forceinline__ u32 prepare(u32 word) { return word; }
};

template <typename Format>
__device__ __forceinline__ void unpack(u32 word, float (&values)[Format::VALUES]) {
#pragma unroll
    for (int v = 0; v < Format::VALUES; ++v) values[v] = Format::value(word, v);
}

// No packing: what fission is compared with.
struct Fp32 : Splits {
    enum { VALUES = 1 };
    static __device__ __forceinline__ float value(u32 word, int) { return __uint_as_float(word); }
};

// A conversion a value, on the fp16 units: what the paper calls IEEE fission.
struct Half : Splits {
    enum { VALUES = 2 };
    static __device__ __forceinline__ float value(u32 word, int v) { return v ? high_fp16(word) : low_fp16(word); }
};

// One instruction a value: a shift, a mask. fuse() cuts two values off and puts them side by side.
struct Deft16 : Splits {
    enum { VALUES = 2 };
    static __device__ __forceinline__ float value(u32 word, int v) {
        return __uint_as_float(v ? word & 0xffff0000u : word << 16);
    }
    static __device__ __forceinline__ u32 fuse(u32 low, u32 high) { return __byte_perm(low, high, 0x7632); }
};

// Half an instruction a value: the high value is the word itself, the low one's bits below it.
struct Deft16Q : Deft16 {
    static __device__ __forceinline__ float value(u32 word, int v) { return __uint_as_float(v ? word : word << 16); }
};

// A byte's sign at bit 31 and its other bits from bit 22 + EXPONENT_BITS down: the arithmetic shift brings copies of the
// sign along, which one mask clears. The mask keeps what lies where fp32 has its exponent and mantissa.
template <int EXPONENT_BITS>
__device__ __forceinline__ u32 byte_fields(u32 word, int byte) {
    const int top = (int)(word << (24 - 8 * byte));
    return (u32)(top >> (8 - EXPONENT_BITS)) & (0x80000000u | (0x7f000000u >> (8 - EXPONENT_BITS)));
}

// Figure 8: the difference of the biases is added to every exponent. HAS_ZERO: code 0 means 0, which costs a compare and
// a selection; without it this is the paper's unit. Four instructions a value, or five.
template <int EXPONENT_BITS, bool HAS_ZERO>
struct Deft8 : Splits {
    enum { VALUES = 4 };
    static __device__ __forceinline__ float value(u32 word, int byte) {
        const u32 difference = (128u - (1u << (EXPONENT_BITS - 1))) << 23;
        const u32 fields = byte_fields<EXPONENT_BITS>(word, byte);
        const bool is_zero = HAS_ZERO && (fields & 0x7fffffffu) == 0;
        return __uint_as_float(is_zero ? fields : fields + difference);
    }
};

// Fields read as fp32 are the value times a power of two, subnormals included: three instructions and a product.
// Finite codes alone: infinities and NaN are never packed.
template <int EXPONENT_BITS>
struct Fp8 : Splits {
    enum { VALUES = 4 };
    static __device__ __forceinline__ float value(u32 word, int byte) {
        const float power = __uint_as_float((255u - (1u << (EXPONENT_BITS - 1))) << 23);
        return __fmul_rn(__uint_as_float(byte_fields<EXPONENT_BITS>(word, byte)), power);
    }
};

// A code in the low mantissa bits of 2^23 is 2^23 and the code: a permutation and an addition a value.
struct Int8 : Splits {
    enum { VALUES = 4 };
    static constexpr u32 ZERO = 0x80808080u;
    static __device__ __forceinline__ float value(u32 word, int byte) {
        return __fadd_rn(__uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440 + byte)), -8388736.0f);
    }
};

// A shift, a mask with an or (one instruction) and an addition a value.
struct Int4 : Splits {
    enum { VALUES = 8 };
    static constexpr u32 ZERO = 0x88888888u;
    static __device__ __forceinline__ float value(u32 word, int nibble) {
        return __fadd_rn(__uint_as_float(((word >> 4 * nibble) & 0xfu) | 0x4b000000u), -8388616.0f);
    }
};
