/* JPEG lossless, process 14: differences from a predicted sample, Huffman coded (ITU-T T.81 H).
 *
 * Samples are 8 or 16 bit wide, those of a pixel together. Arithmetic is modulo 2^16 (H.1.2.1), so
 * that cells of 16 bits pass whatever they mean. */
#ifndef GANTRY_JPEG_LOSSLESS_H
#define GANTRY_JPEG_LOSSLESS_H

#include "huffman.h"

#define LOSSLESS_MOST_COMPONENTS 4
#define LOSSLESS_CATEGORIES 17
#define LOSSLESS_LOOK 11

/* The most bytes that a row of so many samples can become: 16 bits of code and 15 of difference
 * each, every byte stuffed. */
#define LOSSLESS_WORST(samples) ((samples) * 8 + 32)

typedef struct {
    uint32_t columns;
    uint32_t components;    /* of the scan, interleaved: 1 to 4 */
    uint32_t sample_length; /* bytes of a native sample: 1 or 2 */
    uint32_t precision;     /* P, 2 to 16 */
    uint32_t point_transform;
    uint32_t predictor; /* selection value, 1 to 7 */
} lossless_parameters;

/* ---- encoding ---- */

typedef struct {
    uint32_t mark;
    lossless_parameters parameters;
    uint32_t row; /* rows done */
    uint32_t seen; /* all samples, or-ed */
    uint64_t bits;
    int32_t free;
    uint32_t code[LOSSLESS_CATEGORIES]; /* code, with room for the bits of the difference */
    uint8_t length[LOSSLESS_CATEGORIES];
    uint16_t lines[]; /* this row, the one above, the differences */
} lossless_encoder;

/* Bytes that the state needs, an encoder's or a decoder's; 0 for parameters that cannot be. */
size_t lossless_encoder_size(const lossless_parameters *parameters);

/* Prepares a pass over a frame: for `lossless_count`, or with a table (16 counts, values) for
 * `lossless_encode`. `state` has the size told above. */
int lossless_encoder_begin(lossless_encoder *state, const lossless_parameters *parameters,
                           const uint8_t *specification, size_t length);

/* Counts the categories of whole rows; adds to `counts`. */
int lossless_count(lossless_encoder *state, const uint8_t *rows, size_t length,
                   uint64_t counts[LOSSLESS_CATEGORIES]);

/* Encodes whole rows. Returns the bytes written; KERNEL_MISUSED where `size` is below the worst
 * case, KERNEL_DAMAGED where the table has no code for a difference. */
ptrdiff_t lossless_encode(lossless_encoder *state, const uint8_t *rows, size_t length, uint8_t *out,
                          size_t size);

/* Ends the scan: at most 16 bytes. */
ptrdiff_t lossless_finish(lossless_encoder *state, uint8_t *out, size_t size);

/* ---- decoding ---- */

typedef struct {
    huffman_decoder huffman;
    uint32_t look[1 << LOSSLESS_LOOK]; /* difference << 16 | bits; 0 where it is longer */
} lossless_table;

typedef struct {
    uint32_t mark;
    lossless_parameters parameters;
    uint32_t stride;       /* samples of a native pixel */
    uint32_t restart_rows; /* rows of a restart interval, 0 without */
    uint32_t sign_bit;     /* 0, or the bit that fills all above it in a native sample */
    uint32_t row;          /* rows since the last restart */
    uint32_t restarts;
    bit_reader reader;
    uint32_t offset[LOSSLESS_MOST_COMPONENTS]; /* of the components in a native pixel */
    lossless_table tables[LOSSLESS_MOST_COMPONENTS];
    uint16_t lines[]; /* this row, the one above, the differences */
} lossless_decoder;

size_t lossless_decoder_size(const lossless_parameters *parameters);

int lossless_decoder_begin(lossless_decoder *state, const lossless_parameters *parameters,
                           uint32_t stride, uint32_t restart_rows, uint32_t sign_bit);

/* Gives component `index` of the scan its table and its place in a native pixel. */
int lossless_decoder_component(lossless_decoder *state, uint32_t index, uint32_t offset,
                               const uint8_t *specification, size_t length);

/* Decodes rows into `out` (whole native rows, of which only this scan's samples are written) until
 * it is full, or `data` may end within the next row and `last` is 0. `*consumed` and `*rows` say
 * how far it came, before damage too. Returns 0, KERNEL_DAMAGED, KERNEL_SHORT or KERNEL_MISUSED. */
int lossless_decode(lossless_decoder *state, const uint8_t *data, size_t length, int last,
                    uint8_t *out, size_t size, size_t *consumed, size_t *rows);

#endif
