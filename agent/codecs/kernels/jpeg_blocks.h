/* Scans of sequential JPEG: blocks of coefficients, Huffman coded (ITU-T T.81 F.1.2, F.2.2), from
 * the planes of a row of MCUs and into them. */
#ifndef GANTRY_JPEG_BLOCKS_H
#define GANTRY_JPEG_BLOCKS_H

#include "huffman.h"
#include "jpeg_dct.h"
#include "jpeg_planes.h"

/* The most bytes that a block takes: 64 codes of 16 bits with 15 more each, all of them stuffed. */
#define JPEG_BLOCK_WORST 512

/* Blocks of an MCU (B.2.3). */
#define JPEG_MCU_BLOCKS 10

/* What an encoder needs room for, as it takes JPEG_BATCH MCUs at a time. */
#define JPEG_BATCH_WORST (JPEG_BATCH * JPEG_MCU_BLOCKS * JPEG_BLOCK_WORST + 64)

typedef struct {
    uint32_t h, v;         /* blocks of an MCU; 1 and 1 in a scan of one component */
    uint32_t offset;       /* of its plane, see jpeg_plane */
    uint32_t stride;
    uint32_t dc, ac;       /* its Huffman tables */
    uint32_t quantisation; /* its quantisation table */
} jpeg_scan_component;

typedef struct {
    uint32_t precision;
    uint32_t mcus;     /* in a row */
    uint32_t interval; /* MCUs between restart markers, or 0; encoders write none */
    uint32_t count;    /* of components */
    jpeg_scan_component components[JPEG_COMPONENTS];
} jpeg_scan;

/* Where the coding of a scan stands. */
typedef struct {
    uint32_t mcu;     /* of the row: the next one */
    uint32_t left;    /* MCUs before the next restart marker */
    uint32_t restart; /* its number */
    int32_t predictions[JPEG_COMPONENTS];
} jpeg_progress;

/* Symbols of AC coefficients with their bits, where both have no more bits than this. */
#define JPEG_LOOK 10

typedef struct {
    uint32_t mark;
    jpeg_scan scan;
    jpeg_progress progress;
    bit_reader reader;
    int32_t look[4][1 << JPEG_LOOK]; /* coefficient << 16 | zeros before << 8 | bits; or 0 */
    uint16_t quantisation[4][64]; /* in zigzag order */
    huffman_decoder dc[4], ac[4];
} jpeg_decoder;

typedef struct {
    uint32_t mark;
    jpeg_scan scan;
    jpeg_progress progress;
    uint64_t bits;
    int32_t free;
    jpeg_quantiser quantisers[4];
    huffman_encoder dc[4], ac[4];
} jpeg_encoder;

/* Prepare a state for a scan; tables come after. Return 0, KERNEL_MISUSED for a scan that makes no
 * sense. */
int jpeg_begin_decoder(jpeg_decoder *decoder, const jpeg_scan *scan);
int jpeg_begin_encoder(jpeg_encoder *encoder, const jpeg_scan *scan);

/* Set a Huffman table, of class 0 (DC) or 1 (AC) and number 0 to 3. Return 0, KERNEL_MISUSED, or
 * KERNEL_DAMAGED for what is no table. */
int jpeg_decoder_table(jpeg_decoder *decoder, uint32_t table_class, uint32_t number,
                       const uint8_t *specification, size_t length);
int jpeg_encoder_table(jpeg_encoder *encoder, uint32_t table_class, uint32_t number,
                       const uint8_t *specification, size_t length);

/* Set a quantisation table, in zigzag order. Return 0 or KERNEL_MISUSED. */
int jpeg_decoder_quantisation(jpeg_decoder *decoder, uint32_t number, const uint16_t table[64]);
int jpeg_encoder_quantisation(jpeg_encoder *encoder, uint32_t number, const uint16_t table[64]);

/* Decodes MCUs into the planes, of which block row `block_row` (not 0 only in a scan of one
 * component) of the row of MCUs is being filled, until the row is full: 1. Before that, 0 where
 * `data` has no whole MCU more for certain and is not the `last` of the stream. `*consumed` bytes
 * are used up, the reader's own bits apart. KERNEL_DAMAGED for a code that is none, a coefficient
 * beyond the 64th, a restart marker that is not there; KERNEL_SHORT where the stream ends. */
int jpeg_decode_blocks(jpeg_decoder *decoder, const uint8_t *data, size_t length, int last,
                       uint32_t block_row, uint16_t *planes, size_t size, size_t *consumed);

/* Encodes the planes' MCUs until the row is done (1) or `out` has no room for JPEG_BATCH_WORST (0),
 * and sets `*written`. KERNEL_MISUSED also for a symbol without a code. */
int jpeg_encode_blocks(jpeg_encoder *encoder, const uint16_t *planes, size_t size, uint8_t *out,
                       size_t out_size, size_t *written);

/* Writes the last bits of the scan; `out` needs 32 bytes. Returns how many. */
ptrdiff_t jpeg_finish(jpeg_encoder *encoder, uint8_t *out, size_t out_size);

/* Counts the symbols of a row instead: `counts[class * 4 + table][symbol]`. */
int jpeg_count_blocks(jpeg_encoder *encoder, const uint16_t *planes, size_t size,
                      uint64_t counts[8][256]);

#endif
