/* The discrete cosine transform of JPEG in integers (ITU-T T.81 A.3.3), with quantisation.
 *
 * The fast algorithm of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), in 13 bit constants, with
 * the accuracy of IEEE 1180: eleven multiplications for eight samples. All sums wrap, so that no
 * coefficients of a damaged stream are undefined behaviour. */
#ifndef GANTRY_JPEG_DCT_H
#define GANTRY_JPEG_DCT_H

#include "kernels.h"

/* Where the k-th coefficient in zigzag order lies in a block of rows (T.81 Figure A.6), as the
 * inverse transform takes it, and in a block of columns, as the forward transform gives it. */
extern const uint8_t jpeg_in_rows[64];
extern const uint8_t jpeg_in_columns[64];

/* Elements 1 to 65535 of a quantisation table in zigzag order, made ready for `jpeg_forward`. */
void jpeg_prepare_quantisation(uint32_t reciprocals[64], uint32_t halves[64],
                               const uint16_t table[64]);

/* Transforms and quantises a block of samples of 8 or 12 bits; level shift included. */
void jpeg_forward(const uint16_t *samples, size_t stride, uint32_t precision,
                  const uint32_t reciprocals[64], const uint32_t halves[64], int16_t out[64]);

/* Blocks that are transformed side by side, so that compilers can make vector code of plain loops.
 * Coefficients are dequantised, in rows, and all zero but those that were set. */
#define JPEG_BATCH 8

typedef struct {
    uint32_t count;
    uint32_t last; /* the last place in zigzag order at which a block has a coefficient */
    uint16_t *samples[JPEG_BATCH];
    size_t strides[JPEG_BATCH];
    int16_t coefficients[64][JPEG_BATCH];
} jpeg_batch;

/* Writes the samples of the blocks of a batch, limited to the precision, and empties it. */
void jpeg_inverse(jpeg_batch *batch, uint32_t precision);

#endif
