/* JPEG-LS: samples predicted from four neighbours, Golomb codes by context, and runs (ITU-T T.87).
 *
 * Native samples are 8 or 16 bit wide, those of a pixel together. */
#ifndef GANTRY_JPEG_LS_H
#define GANTRY_JPEG_LS_H

#include "jpeg_ls_bits.h"

#define JPEG_LS_MOST_COMPONENTS 4
#define JPEG_LS_CONTEXTS 365

/* The most bytes that a row of so many samples can become: LIMIT is at most 64 bits (A.2.1), and
 * after each FF a byte has only seven. */
#define JPEG_LS_WORST(samples) ((samples) * 10 + 32)

enum { JPEG_LS_NONE, JPEG_LS_LINE, JPEG_LS_SAMPLE }; /* ILV, C.2.3 */

typedef struct {
    uint32_t columns;
    uint32_t components;    /* of the scan, 1 to 4; several only where they are interleaved */
    uint32_t interleave;    /* ILV */
    uint32_t sample_length; /* bytes of a native sample: 1 or 2 */
    uint32_t near;          /* NEAR */
    uint32_t largest;       /* MAXVAL, 1 to 65535 */
    uint32_t threshold[3];  /* T1, T2, T3 */
    uint32_t reset;         /* RESET */
} jpeg_ls_parameters;

/* A.2.1: A, B, N and C; and from them k (A.5.1), and whether the sign of what is mapped turns
 * (A.5.2), as the next sample of the context will need them. */
typedef struct {
    uint32_t a;
    int32_t b;
    uint16_t n;
    int16_t correction;
    uint8_t k;
    int8_t turned;
} jpeg_ls_context;

typedef struct {
    uint32_t a;
    uint32_t n;
    uint32_t negatives; /* Nn */
} jpeg_ls_run_context;

/* What follows from the parameters. */
typedef struct {
    int32_t largest;
    int32_t near;
    int32_t step;      /* 2 * NEAR + 1 */
    int32_t range;     /* RANGE */
    uint32_t reciprocal; /* of step, times 2^32, rounded up */
    uint32_t reset;
    uint32_t suffix;   /* qbpp */
    uint32_t limit;    /* LIMIT */
    uint32_t prefix;   /* LIMIT - qbpp - 1: the longest run of zeros */
    uint32_t start;    /* the first value of A */
} jpeg_ls_measures;

/* Both an encoder and a decoder. Behind it: for each component two lines with a sample of margin on
 * either side, then the regions of all differences (A.3.3). */
typedef struct {
    uint32_t mark;
    jpeg_ls_parameters parameters;
    jpeg_ls_measures measures;
    uint32_t row;        /* rows since the last restart */
    uint32_t run_index[JPEG_LS_MOST_COMPONENTS];
    jpeg_ls_context contexts[JPEG_LS_CONTEXTS];
    jpeg_ls_run_context runs[2];
    uint32_t sign_bit;   /* see the functions below */
    uint32_t stride;     /* decoder: samples of a native pixel */
    uint32_t restart_rows;
    uint32_t restarts;
    uint32_t offset[JPEG_LS_MOST_COMPONENTS];
    ls_reader reader;
    ls_writer writer;
    uint16_t lines[];
} jpeg_ls_state;

/* Bytes that the state needs; 0 for parameters that cannot be. */
size_t jpeg_ls_state_size(const jpeg_ls_parameters *parameters);

/* Prepares an encoder in a state of that size, for all components of a pixel. `sign_bit` is 0, or
 * the sign of signed samples: one that an error of NEAR could turn over is refused. */
int jpeg_ls_encoder_begin(jpeg_ls_state *state, const jpeg_ls_parameters *parameters,
                          uint32_t sign_bit);

/* Encodes whole rows. Returns the bytes written; KERNEL_MISUSED where `size` is below the worst
 * case, KERNEL_DAMAGED where a sample is beyond MAXVAL or too near to the turn of its sign. */
ptrdiff_t jpeg_ls_encode(jpeg_ls_state *state, const uint8_t *rows, size_t length, uint8_t *out,
                         size_t size);

/* All samples, or-ed. */
uint32_t jpeg_ls_bits_seen(const uint8_t *rows, size_t length, uint32_t sample_length);

/* Ends the scan: at most 32 bytes. */
ptrdiff_t jpeg_ls_finish(jpeg_ls_state *state, uint8_t *out, size_t size);

/* Prepares the decoder of a scan whose components lie at `offset` in native pixels of `stride`
 * samples. `restart_rows`: rows between restart markers, 0 without. `sign_bit`: 0, or the bit that
 * fills all above it in a native sample. */
int jpeg_ls_decoder_begin(jpeg_ls_state *state, const jpeg_ls_parameters *parameters,
                          uint32_t stride, const uint32_t *offset, uint32_t restart_rows,
                          uint32_t sign_bit);

/* Decodes rows into `out` (whole native rows, of which only this scan's samples are written) until
 * it is full, or `data` may end within the next row and `last` is 0. `*consumed` and `*rows` say
 * how far it came, before damage too, after which the state is done with. Returns 0,
 * KERNEL_DAMAGED, KERNEL_SHORT or KERNEL_MISUSED. */
int jpeg_ls_decode(jpeg_ls_state *state, const uint8_t *data, size_t length, int last, uint8_t *out,
                   size_t size, size_t *consumed, size_t *rows);

#endif
