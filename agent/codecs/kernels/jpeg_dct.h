/* The discrete cosine transform of JPEG in integers (ITU-T T.81 A.3.3), with quantisation.
 *
 * The fast algorithm of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), in 13 bit constants, with
 * the accuracy of IEEE 1180: eleven multiplications for eight samples. All sums wrap, so that no
 * coefficients of a damaged stream are undefined behaviour. */
#ifndef GANTRY_JPEG_DCT_H
#define GANTRY_JPEG_DCT_H

#include "kernels.h"

/* Where the k-th coefficient in zigzag order lies in rows of eight (T.81 Figure A.6). */
extern const uint8_t jpeg_zigzag[64];

/* Blocks are transformed side by side, so that compilers can make vector code of plain loops. */
#define JPEG_BATCH 8

/* A quantisation table in rows: divisors as what to multiply with, and how far to shift. */
typedef struct {
    uint32_t reciprocals[64];
    uint32_t halves[64];
    uint32_t shifts[64];
} jpeg_quantiser;

/* From the elements of a table in zigzag order; 0 stands for 1. */
void jpeg_prepare_quantiser(jpeg_quantiser *quantiser, const uint16_t table[64],
                            uint32_t precision);

/* Transforms and quantises blocks of samples of 8 or 12 bits, `step` samples apart, of which there
 * are `count`, 1 to JPEG_BATCH; level shift included. Coefficients come in rows. */
void jpeg_forward(const uint16_t *samples, size_t stride, size_t step, uint32_t count,
                  uint32_t precision, const jpeg_quantiser *quantiser,
                  int16_t (*out)[JPEG_BATCH]);

/* What the inverse transform takes: coefficients are dequantised, in rows, and all zero but those
 * that were set. */
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
