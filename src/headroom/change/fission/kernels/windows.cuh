// The left operand of a convolution: rows are pixels of the output, and K walks each pixel's window over packed images.
#pragma once

#include "operand.cuh"

// Images in NHWC: `channels` of a pixel (all groups') and what an image takes in memory, in loads of LOAD_WORDS words.
struct Images {
    int height, width, pixel_loads, image_loads;
};
struct Steps {
    int columns_out, pixels_out, down, along, above, before;
};

// A table entry is one load of the window: its place, dilation included, and which of the pixel's loads it is.
__device__ __forceinline__ int load_of(u32 entry) { return entry & 0xffff; }
__device__ __forceinline__ int down_of(u32 entry) { return entry >> 16 & 0xff; }
__device__ __forceinline__ int along_of(u32 entry) { return entry >> 24; }

template <int LOAD_WORDS>
struct PickLoad;
template <>
struct PickLoad<1> {
    using Type = u32;
};
template <>
struct PickLoad<4> {
    using Type = uint4;
};

// LOAD_WORDS: 4 where a pixel's channels are whole units; 1 for few channels, whose neighbours in K are other places.
// The table goes on, with any entries, to the end of the last tile along K.
template <typename Format, Where WHERE, int ROWS, int THREADS, int TILE_K, int LOAD_WORDS>
struct Windows : Staged<Format, WHERE, ROWS, THREADS, TILE_K> {
    using Base = Staged<Format, WHERE, ROWS, THREADS, TILE_K>;
    using Load = typename PickLoad<LOAD_WORDS>::Type;
    const Load* from;
    const u32* table;
    Images images;
    // The window's corner, which may lie outside the image: its load of memory, and its place.
    int start, top, left;

    // Pixels past the last of `pixels` read that one's window, and what comes of it is not stored.
    __device__ __forceinline__ Windows(
        const u32* inputs, const u32* table, const Images& images, const Steps& steps, int first_pixel, int pixels, int first_load
    ) : from((const Load*)inputs), table(table), images(images) {
        const int pixel = min(first_pixel + Base::row(), pixels - 1);
        const int image = pixel / steps.pixels_out, place = pixel % steps.pixels_out;
        top = place / steps.columns_out * steps.down - steps.above;
        left = place % steps.columns_out * steps.along - steps.before;
        start = image * images.image_loads + (top * images.width + left) * images.pixel_loads + first_load;
    }

    __device__ __forceinline__ void fetch(int first_k) {
#pragma unroll
        for (int own = 0; own < Base::OWN; ++own) {
            if (!Base::owns(own)) break;
            const int unit = (first_k / Base::UNIT_K + Base::unit(own)) * Base::LOADS;
#pragma unroll
            for (int i = 0; i < Base::LOADS; ++i) this->raw[own][i] = gathered(unit + i);
        }
    }

    // 16 bytes of K.
    __device__ __forceinline__ uint4 gathered(int unit) const {
        if constexpr (LOAD_WORDS == 4) {
            return at(__ldg(table + unit), make_uint4(ZERO, ZERO, ZERO, ZERO));
        } else {
            const uint4 entries = __ldg((const uint4*)table + unit);
            return make_uint4(at(entries.x, ZERO), at(entries.y, ZERO), at(entries.z, ZERO), at(entries.w, ZERO));
        }
    }

    // What pads an image is packed as its zeros are.
    static constexpr u32 ZERO = WHERE == FUSED ? 0u : Format::ZERO;

    __device__ __forceinline__ Load at(u32 entry, Load outside) const {
        const int down = down_of(entry), along = along_of(entry);
        if ((u32)(top + down) >= (u32)images.height || (u32)(left + along) >= (u32)images.width) return outside;
        return __ldg(from + (start + (down * images.width + along) * images.pixel_loads + load_of(entry)));
    }
};
