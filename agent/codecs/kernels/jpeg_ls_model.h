/* How rows of samples and bits become each other (ITU-T T.87 annex A); see `jpeg_ls.h`. */
#ifndef GANTRY_JPEG_LS_MODEL_H
#define GANTRY_JPEG_LS_MODEL_H

#include "jpeg_ls.h"

/* The row in work and the one above it, component by component, with margins (A.2.1): a sample
 * before each line is what stands to the left of its first one, a sample after it to the right of
 * its last one. `regions` has the region of difference 0 in its middle. */
typedef struct {
    uint16_t *line[JPEG_LS_MOST_COMPONENTS];
    const uint16_t *above[JPEG_LS_MOST_COMPONENTS];
    const int8_t *regions;
    size_t columns;
} ls_rows;

/* All components of the row, sample interleaved; or one of them. */
void ls_encode_pixels(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows);
void ls_encode_line(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows, uint32_t k);

/* The same, read: 0, or KERNEL_DAMAGED. */
int ls_decode_pixels(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows);
int ls_decode_line(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows, uint32_t k);

/* A.7.1.2: the order of the code of run lengths. */
static const uint8_t RUN_ORDER[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2,  2,  2,  3,  3,  3,  3,
                                      4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* The least k with n << k >= a (A.5.1); n is not 0. */
ALWAYS_INLINE uint8_t golomb_parameter(uint32_t n, uint32_t a) {
    /* The ones change nothing, and tell the compiler that neither is 0. */
    const int32_t longer = (int32_t)leading_zeros(n | 1) - (int32_t)leading_zeros(a | 1);
    const uint32_t k = longer > 0 ? (uint32_t)longer : 0;
    return (uint8_t)(k + (n << k < a));
}

ALWAYS_INLINE int32_t clamped(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* A.4.1: `a` to the left, `b` above, `c` above to the left. */
ALWAYS_INLINE int32_t edge_predicted(int32_t a, int32_t b, int32_t c) {
    return clamped(a + b - c, a < b ? a : b, a < b ? b : a);
}

/* A.4.2; `sign` is 0 or -1. */
ALWAYS_INLINE int32_t predicted(const jpeg_ls_context *context, int32_t edge, int32_t sign,
                                int32_t largest) {
    const int32_t value = edge + ((context->correction ^ sign) - sign);
    return LIKELY((uint32_t)value <= (uint32_t)largest) ? value : value < 0 ? 0 : largest;
}

/* A.6 */
ALWAYS_INLINE void update(jpeg_ls_context *context, int32_t error, const jpeg_ls_measures *m,
                          int lossless) {
    uint32_t a = context->a + (uint32_t)(error < 0 ? -error : error);
    int32_t b = context->b + (lossless ? error : error * m->step);
    int32_t n = context->n;
    if (n == (int32_t)m->reset) {
        a >>= 1;
        b = b < 0 ? -((1 - b) >> 1) : b >> 1;
        n >>= 1;
    }
    n++;
    const int32_t less = b <= -n, more = b > 0;
    b += less ? n : 0;
    b -= more ? n : 0;
    b = clamped(b, 1 - n, 0);
    const uint8_t k = golomb_parameter((uint32_t)n, a);
    context->a = a;
    context->b = b;
    context->n = (uint16_t)n;
    const int32_t correction = context->correction + more - less;
    if (LIKELY(correction >= -128 && correction <= 127)) context->correction = (int16_t)correction;
    context->k = k;
    if (lossless) context->turned = (int8_t)-(k == 0 && 2 * b <= -n);
}

/* A.4.4 and A.4.5: the sample that both sides know, from what was predicted and a whole number of
 * steps added to it. `moved` is at most half a range from 0. */
ALWAYS_INLINE int32_t reconstructed(int32_t guess, int32_t moved, const jpeg_ls_measures *m,
                                    int lossless) {
    int32_t value = guess + (lossless ? moved : moved * m->step);
    if (lossless) {
        if (!LIKELY((uint32_t)value <= (uint32_t)m->largest))
            value += value < 0 ? m->range : -m->range;
        return value;
    }
    if (LIKELY((uint32_t)value <= (uint32_t)m->largest)) return value;
    if (value < -m->near)
        value += m->range * m->step;
    else if (value > m->largest + m->near)
        value -= m->range * m->step;
    return clamped(value, 0, m->largest);
}

/* A.4.5 */
ALWAYS_INLINE int32_t reduced(int32_t error, const jpeg_ls_measures *m) {
    if (error < 0) error += m->range;
    if (error >= (m->range + 1) / 2) error -= m->range;
    return error;
}

/* A.4.4 */
ALWAYS_INLINE int32_t quantised(int32_t error, const jpeg_ls_measures *m) {
    const uint32_t size = (uint32_t)((error < 0 ? -error : error) + m->near);
    const int32_t steps = (int32_t)(((uint64_t)size * m->reciprocal) >> 32);
    return error < 0 ? -steps : steps;
}

/* Whether samples differ by NEAR at most (A.3.2). */
ALWAYS_INLINE int is_near(int32_t one, int32_t other, int32_t near) {
    return one - other <= near && other - one <= near;
}

/* A.7.2.2 */
ALWAYS_INLINE uint8_t run_parameter(const jpeg_ls_run_context *context, uint32_t type) {
    return golomb_parameter(context->n, context->a + (type ? context->n >> 1 : 0));
}

static inline void update_run(jpeg_ls_run_context *context, int32_t error, uint32_t mapped,
                              uint32_t type, uint32_t reset) {
    context->negatives += error < 0;
    context->a += (mapped + 1 - type) >> 1;
    if (context->n == reset) {
        context->a >>= 1;
        context->n >>= 1;
        context->negatives >>= 1;
    }
    context->n++;
}

#endif
