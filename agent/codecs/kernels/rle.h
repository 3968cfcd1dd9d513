/* RLE Lossless: PackBits over one byte plane at a time (PS3.5 G.3). */
#ifndef GANTRY_RLE_H
#define GANTRY_RLE_H

#include "kernels.h"

/* The longest that a plane's row of `count` bytes can become: a header for each 128 literals. */
#define RLE_WORST(count) ((count) + ((count) + 127) / 128)

/* Encodes the bytes `offset`, `offset + stride`, ... of each row; rows do not share packets
 * (G.3.1). Returns the bytes written, or KERNEL_MISUSED when `size` is below the worst case. */
ptrdiff_t rle_encode(const uint8_t *rows, size_t length, size_t row_length, size_t offset,
                     size_t stride, uint8_t *out, size_t size);

/* What is left of a packet when the output is full or the input is used up. */
typedef struct {
    uint32_t mark;
    uint32_t literals;   /* bytes to copy still */
    uint32_t replicates; /* times to write `value` still */
    uint32_t value;
    uint32_t header; /* 256, or the header of a replicate run whose value is still to come */
} rle_state;

void rle_begin(rle_state *state);

/* Decodes into the bytes `offset`, `offset + stride`, ... of `out`. Stops when `out` is full or the
 * input is used up. `*consumed` and `*produced` say how far it came: bytes of `data`, and bytes of
 * the plane. Any sequence of bytes is a valid stream; returns 0 or KERNEL_MISUSED. */
int rle_decode(rle_state *state, const uint8_t *data, size_t length, uint8_t *out, size_t size,
               size_t offset, size_t stride, size_t *consumed, size_t *produced);

#endif
