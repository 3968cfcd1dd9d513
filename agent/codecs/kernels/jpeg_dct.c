#include "jpeg_dct.h"

#include <string.h>

/* cos and sin of the paper's rotations, by 2^13. */
#define BITS 13
#define C_0_298631336 2446u
#define C_0_390180644 3196u
#define C_0_541196100 4433u
#define C_0_765366865 6270u
#define C_0_899976223 7373u
#define C_1_175875602 9633u
#define C_1_501321110 12299u
#define C_1_847759065 15137u
#define C_1_961570560 16069u
#define C_2_053119869 16819u
#define C_2_562915447 20995u
#define C_3_072711026 25172u

const uint8_t jpeg_zigzag[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

static inline uint32_t descale(uint32_t value, uint32_t bits) {
    return (uint32_t)((int32_t)(value + (1u << (bits - 1))) >> bits);
}

/* A product of a sample that has 16 bits where `narrow` says so: much cheaper for processors whose
 * vector units multiply no 32 bits. */
static inline uint32_t times(uint32_t value, uint32_t constant, int narrow) {
    return narrow ? (uint32_t)((int32_t)(int16_t)value * (int32_t)(int16_t)constant)
                  : value * constant;
}

/* One dimension of the forward transform, of eight elements `step` vectors apart; larger by
 * sqrt(8), shifted left by `up` and right by `down`. */
#define FORWARD(name, input, output, narrow)                                                       \
    ALWAYS_INLINE void name(const input (*restrict in)[JPEG_BATCH],                                \
                            output (*restrict out)[JPEG_BATCH], int step, uint32_t up,             \
                            uint32_t down) {                                                       \
        const uint32_t shift = BITS - up + down;                                                   \
        for (int b = 0; b < JPEG_BATCH; b++) {                                                     \
            const uint32_t i0 = (uint32_t)in[0][b], i1 = (uint32_t)in[step][b];                    \
            const uint32_t i2 = (uint32_t)in[2 * step][b], i3 = (uint32_t)in[3 * step][b];         \
            const uint32_t i4 = (uint32_t)in[4 * step][b], i5 = (uint32_t)in[5 * step][b];         \
            const uint32_t i6 = (uint32_t)in[6 * step][b], i7 = (uint32_t)in[7 * step][b];         \
            const uint32_t s0 = i0 + i7, d0 = i0 - i7, s1 = i1 + i6, d1 = i1 - i6;                 \
            const uint32_t s2 = i2 + i5, d2 = i2 - i5, s3 = i3 + i4, d3 = i3 - i4;                 \
            const uint32_t e0 = s0 + s3, e3 = s0 - s3, e1 = s1 + s2, e2 = s1 - s2;                 \
            out[0][b] = (output)(down ? descale(e0 + e1, down) : (e0 + e1) << up);                 \
            out[4 * step][b] = (output)(down ? descale(e0 - e1, down) : (e0 - e1) << up);          \
            const uint32_t turned = times(e2 + e3, C_0_541196100, narrow);                         \
            out[2 * step][b] =                                                                     \
                (output)descale(turned + times(e3, C_0_765366865, narrow), shift);                 \
            out[6 * step][b] =                                                                     \
                (output)descale(turned - times(e2, C_1_847759065, narrow), shift);                 \
            const uint32_t z5 = times(d3 + d1 + d2 + d0, C_1_175875602, narrow);                   \
            const uint32_t z1 = times(d3 + d0, C_0_899976223, narrow);                             \
            const uint32_t z2 = times(d2 + d1, C_2_562915447, narrow);                             \
            const uint32_t z3 = z5 - times(d3 + d1, C_1_961570560, narrow);                        \
            const uint32_t z4 = z5 - times(d2 + d0, C_0_390180644, narrow);                        \
            out[7 * step][b] =                                                                     \
                (output)descale(times(d3, C_0_298631336, narrow) - z1 + z3, shift);                \
            out[5 * step][b] =                                                                     \
                (output)descale(times(d2, C_2_053119869, narrow) - z2 + z4, shift);                \
            out[3 * step][b] =                                                                     \
                (output)descale(times(d1, C_3_072711026, narrow) - z2 + z3, shift);                \
            out[step][b] = (output)descale(times(d0, C_1_501321110, narrow) - z1 + z4, shift);     \
        }                                                                                          \
    }

FORWARD(forward_narrow, int16_t, int16_t, 1)
FORWARD(forward_wide, int32_t, int32_t, 0)

void jpeg_prepare_quantiser(jpeg_quantiser *quantiser, const uint16_t table[64],
                            uint32_t precision) {
    for (int k = 0; k < 64; k++) {
        /* The transform is larger by 8 than that of A.3.3. */
        const uint32_t divisor = (table[k] ? table[k] : 1u) * 8;
        const int place = jpeg_zigzag[k];
        uint32_t shift = 32;
        if (precision == 8)
            for (shift = 15; 1u << (shift - 15) < divisor; shift++) continue;
        /* With 16 bits and this shift the quotients of what has 15 bits are exact. */
        quantiser->reciprocals[place] =
            (uint32_t)(((UINT64_C(1) << shift) + divisor - 1) / divisor);
        quantiser->halves[place] = divisor / 2;
        quantiser->shifts[place] = shift;
    }
}

static inline void forward_8(const int16_t (*in)[JPEG_BATCH], const jpeg_quantiser *quantiser,
                             int16_t (*restrict out)[JPEG_BATCH]) {
    int16_t rows[64][JPEG_BATCH], done[64][JPEG_BATCH];
    for (int y = 0; y < 8; y++) forward_narrow(in + y * 8, rows + y * 8, 1, 2, 0);
    for (int x = 0; x < 8; x++)
        forward_narrow((const int16_t(*)[JPEG_BATCH])rows + x, done + x, 8, 0, 2);
    for (int i = 0; i < 64; i++) {
        const uint16_t reciprocal = (uint16_t)quantiser->reciprocals[i];
        const uint16_t half = (uint16_t)quantiser->halves[i];
        const uint32_t shift = quantiser->shifts[i] - 16;
        int16_t quantised[JPEG_BATCH];
        for (int b = 0; b < JPEG_BATCH; b++) {
            const int16_t sign = (int16_t)(done[i][b] >> 15);
            const uint16_t magnitude = (uint16_t)((done[i][b] ^ sign) - sign + half);
            const uint16_t high = (uint16_t)(((uint32_t)magnitude * reciprocal) >> 16);
            quantised[b] = (int16_t)(((high >> shift) ^ sign) - sign);
        }
        memcpy(out[i], quantised, sizeof quantised);
    }
}

static inline void forward_12(const int16_t (*in)[JPEG_BATCH], const jpeg_quantiser *quantiser,
                              int16_t (*restrict out)[JPEG_BATCH]) {
    int32_t samples[64][JPEG_BATCH], rows[64][JPEG_BATCH], done[64][JPEG_BATCH];
    for (int i = 0; i < 64; i++)
        for (int b = 0; b < JPEG_BATCH; b++) samples[i][b] = in[i][b];
    for (int y = 0; y < 8; y++)
        forward_wide((const int32_t(*)[JPEG_BATCH])samples + y * 8, rows + y * 8, 1, 1, 0);
    for (int x = 0; x < 8; x++)
        forward_wide((const int32_t(*)[JPEG_BATCH])rows + x, done + x, 8, 0, 1);
    for (int i = 0; i < 64; i++) {
        const uint32_t reciprocal = quantiser->reciprocals[i], half = quantiser->halves[i];
        int16_t quantised[JPEG_BATCH];
        for (int b = 0; b < JPEG_BATCH; b++) {
            const uint32_t sign = (uint32_t)(done[i][b] >> 31);
            const uint32_t magnitude = ((uint32_t)done[i][b] ^ sign) - sign + half;
            const uint32_t quotient = (uint32_t)(((uint64_t)magnitude * reciprocal) >> 32);
            quantised[b] = (int16_t)((quotient ^ sign) - sign);
        }
        memcpy(out[i], quantised, sizeof quantised);
    }
}

void jpeg_forward(const uint16_t *samples, size_t stride, size_t step, uint32_t count,
                  uint32_t precision, const jpeg_quantiser *quantiser,
                  int16_t (*out)[JPEG_BATCH]) {
    int16_t in[64][JPEG_BATCH];
    const uint16_t centre = (uint16_t)(1u << (precision - 1));
    for (uint32_t b = 0; b < JPEG_BATCH; b++) {
        const uint16_t *from = samples + (b < count ? b : count - 1) * step;
        for (int y = 0; y < 64; y += 8, from += stride) {
            in[y][b] = (int16_t)(from[0] - centre);
            in[y + 1][b] = (int16_t)(from[1] - centre);
            in[y + 2][b] = (int16_t)(from[2] - centre);
            in[y + 3][b] = (int16_t)(from[3] - centre);
            in[y + 4][b] = (int16_t)(from[4] - centre);
            in[y + 5][b] = (int16_t)(from[5] - centre);
            in[y + 6][b] = (int16_t)(from[6] - centre);
            in[y + 7][b] = (int16_t)(from[7] - centre);
        }
    }
    if (precision > 8)
        forward_12((const int16_t(*)[JPEG_BATCH])in, quantiser, out);
    else
        forward_8((const int16_t(*)[JPEG_BATCH])in, quantiser, out);
}

/* One dimension of the inverse transform, of eight elements `step` vectors apart, of which those
 * from `count` on are zero; larger by sqrt(8). */
#define INVERSE(name, input, output, narrow)                                                       \
    ALWAYS_INLINE void name(const input (*restrict in)[JPEG_BATCH],                                \
                            output (*restrict out)[JPEG_BATCH], int step, int count,               \
                            uint32_t shift) {                                                      \
        for (int b = 0; b < JPEG_BATCH; b++) {                                                     \
            const uint32_t i0 = (uint32_t)in[0][b], i1 = (uint32_t)in[step][b];                    \
            const uint32_t i2 = (uint32_t)in[2 * step][b], i3 = (uint32_t)in[3 * step][b];         \
            const uint32_t i4 = count > 4 ? (uint32_t)in[4 * step][b] : 0;                         \
            const uint32_t i5 = count > 4 ? (uint32_t)in[5 * step][b] : 0;                         \
            const uint32_t i6 = count > 4 ? (uint32_t)in[6 * step][b] : 0;                         \
            const uint32_t i7 = count > 4 ? (uint32_t)in[7 * step][b] : 0;                         \
            const uint32_t turned = times(i2 + i6, C_0_541196100, narrow);                         \
            const uint32_t t2 = turned - times(i6, C_1_847759065, narrow);                         \
            const uint32_t t3 = turned + times(i2, C_0_765366865, narrow);                         \
            const uint32_t t0 = (i0 + i4) << BITS, t1 = (i0 - i4) << BITS;                         \
            const uint32_t e0 = t0 + t3, e3 = t0 - t3, e1 = t1 + t2, e2 = t1 - t2;                 \
            const uint32_t z5 = times(i7 + i3 + i5 + i1, C_1_175875602, narrow);                   \
            const uint32_t z1 = times(i7 + i1, C_0_899976223, narrow);                             \
            const uint32_t z2 = times(i5 + i3, C_2_562915447, narrow);                             \
            const uint32_t z3 = z5 - times(i7 + i3, C_1_961570560, narrow);                        \
            const uint32_t z4 = z5 - times(i5 + i1, C_0_390180644, narrow);                        \
            const uint32_t o0 = times(i7, C_0_298631336, narrow) - z1 + z3;                        \
            const uint32_t o1 = times(i5, C_2_053119869, narrow) - z2 + z4;                        \
            const uint32_t o2 = times(i3, C_3_072711026, narrow) - z2 + z3;                        \
            const uint32_t o3 = times(i1, C_1_501321110, narrow) - z1 + z4;                        \
            out[0][b] = (output)descale(e0 + o3, shift);                                           \
            out[7][b] = (output)descale(e0 - o3, shift);                                           \
            out[1][b] = (output)descale(e1 + o2, shift);                                           \
            out[6][b] = (output)descale(e1 - o2, shift);                                           \
            out[2][b] = (output)descale(e2 + o1, shift);                                           \
            out[5][b] = (output)descale(e2 - o1, shift);                                           \
            out[3][b] = (output)descale(e3 + o0, shift);                                           \
            out[4][b] = (output)descale(e3 - o0, shift);                                           \
        }                                                                                          \
    }

INVERSE(inverse_narrow, int16_t, int16_t, 1)
INVERSE(inverse_first, int16_t, int32_t, 0)
INVERSE(inverse_second, int32_t, int32_t, 0)

static inline uint16_t limited(int32_t sample, int32_t top) {
    return (uint16_t)(sample < 0 ? 0 : sample > top ? top : sample);
}

/* Down the columns first, as most decoders do: their rounding is ours. */
ALWAYS_INLINE void inverse_8(const int16_t (*in)[JPEG_BATCH],
                             uint16_t (*restrict out)[JPEG_BATCH], int count) {
    int16_t columns[64][JPEG_BATCH], samples[64][JPEG_BATCH];
    for (int x = 0; x < count; x++)
        inverse_narrow(in + x, columns + x * 8, 8, count, BITS - 2);
    for (int y = 0; y < 8; y++)
        inverse_narrow((const int16_t(*)[JPEG_BATCH])columns + y, samples + y * 8, 8, count,
                       BITS + 2 + 3);
    for (int i = 0; i < 64; i++)
        for (int b = 0; b < JPEG_BATCH; b++) {
            const int16_t sample = (int16_t)(samples[i][b] + 128);
            out[i][b] = (uint16_t)(sample < 0 ? 0 : sample > 255 ? 255 : sample);
        }
}

ALWAYS_INLINE void inverse_12(const int16_t (*in)[JPEG_BATCH],
                              uint16_t (*restrict out)[JPEG_BATCH], int count) {
    int32_t columns[64][JPEG_BATCH], samples[64][JPEG_BATCH];
    for (int x = 0; x < count; x++) inverse_first(in + x, columns + x * 8, 8, count, BITS - 1);
    for (int y = 0; y < 8; y++)
        inverse_second((const int32_t(*)[JPEG_BATCH])columns + y, samples + y * 8, 8, count,
                       BITS + 1 + 3);
    for (int i = 0; i < 64; i++)
        for (int b = 0; b < JPEG_BATCH; b++)
            out[i][b] = limited(samples[i][b] + 2048, 4095);
}

/* The last place in zigzag order up to which all are of the four lowest rows and columns. */
#define LAST_LOW 9

static void inverse_flat(const jpeg_batch *batch, uint32_t precision) {
    for (uint32_t b = 0; b < batch->count; b++) {
        const int32_t centre = 1 << (precision - 1);
        const int32_t sample = (int32_t)descale((uint32_t)batch->coefficients[0][b], 3);
        const uint16_t value = limited(sample + centre, 2 * centre - 1);
        const uint64_t four = value * UINT64_C(0x0001000100010001);
        for (size_t y = 0; y < 8; y++) {
            uint16_t *to = batch->samples[b] + y * batch->strides[b];
            memcpy(to, &four, sizeof four);
            memcpy(to + 4, &four, sizeof four);
        }
    }
}

void jpeg_inverse(jpeg_batch *batch, uint32_t precision) {
    if (batch->last == 0) {
        inverse_flat(batch, precision);
        memset(batch->coefficients[0], 0, sizeof batch->coefficients[0]);
        batch->count = 0;
        return;
    }
    uint16_t samples[64][JPEG_BATCH];
    const int16_t(*in)[JPEG_BATCH] = (const int16_t(*)[JPEG_BATCH])batch->coefficients;
    if (precision > 8 && batch->last > LAST_LOW)
        inverse_12(in, samples, 8);
    else if (precision > 8)
        inverse_12(in, samples, 4);
    else if (batch->last > LAST_LOW)
        inverse_8(in, samples, 8);
    else
        inverse_8(in, samples, 4);
    for (uint32_t b = 0; b < batch->count; b++) {
        uint16_t *to = batch->samples[b];
        for (int y = 0; y < 64; y += 8, to += batch->strides[b]) {
            to[0] = samples[y][b];
            to[1] = samples[y + 1][b];
            to[2] = samples[y + 2][b];
            to[3] = samples[y + 3][b];
            to[4] = samples[y + 4][b];
            to[5] = samples[y + 5][b];
            to[6] = samples[y + 6][b];
            to[7] = samples[y + 7][b];
        }
    }
    memset(batch->coefficients, 0, sizeof batch->coefficients);
    batch->count = batch->last = 0;
}
