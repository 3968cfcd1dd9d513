#include "jpeg_dct.h"

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

const uint8_t jpeg_in_rows[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

const uint8_t jpeg_in_columns[64] = {
    0,  8,  1,  2,  9,  16, 24, 17, 10, 3,  4,  11, 18, 25, 32, 40, 33, 26, 19, 12, 5,  6,
    13, 20, 27, 34, 41, 48, 56, 49, 42, 35, 28, 21, 14, 7,  15, 22, 29, 36, 43, 50, 57, 58,
    51, 44, 37, 30, 23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
};

static inline uint32_t descale(uint32_t value, uint32_t bits) {
    return (uint32_t)((int32_t)(value + (1u << (bits - 1))) >> bits);
}

static inline void transpose(const uint32_t from[64], uint32_t to[64]) {
    for (int row = 0; row < 8; row++)
        for (int column = 0; column < 8; column++) to[column * 8 + row] = from[row * 8 + column];
}

/* One dimension of the forward transform, of all eight columns at once; the result is larger by
 * sqrt(8), shifted left by `up` and right by `down`. */
static inline void forward_columns(uint32_t d[64], uint32_t up, uint32_t down) {
    const uint32_t shift = BITS - up + down;
    for (int c = 0; c < 8; c++) {
        const uint32_t s07 = d[c] + d[56 + c], d07 = d[c] - d[56 + c];
        const uint32_t s16 = d[8 + c] + d[48 + c], d16 = d[8 + c] - d[48 + c];
        const uint32_t s25 = d[16 + c] + d[40 + c], d25 = d[16 + c] - d[40 + c];
        const uint32_t s34 = d[24 + c] + d[32 + c], d34 = d[24 + c] - d[32 + c];
        const uint32_t e0 = s07 + s34, e3 = s07 - s34, e1 = s16 + s25, e2 = s16 - s25;
        if (down) {
            d[c] = descale(e0 + e1, down);
            d[32 + c] = descale(e0 - e1, down);
        } else {
            d[c] = (e0 + e1) << up;
            d[32 + c] = (e0 - e1) << up;
        }
        const uint32_t turned = (e2 + e3) * C_0_541196100;
        d[16 + c] = descale(turned + e3 * C_0_765366865, shift);
        d[48 + c] = descale(turned - e2 * C_1_847759065, shift);

        const uint32_t z5 = (d34 + d16 + d25 + d07) * C_1_175875602;
        const uint32_t z1 = (d34 + d07) * C_0_899976223, z2 = (d25 + d16) * C_2_562915447;
        const uint32_t z3 = z5 - (d34 + d16) * C_1_961570560;
        const uint32_t z4 = z5 - (d25 + d07) * C_0_390180644;
        d[56 + c] = descale(d34 * C_0_298631336 - z1 + z3, shift);
        d[40 + c] = descale(d25 * C_2_053119869 - z2 + z4, shift);
        d[24 + c] = descale(d16 * C_3_072711026 - z2 + z3, shift);
        d[8 + c] = descale(d07 * C_1_501321110 - z1 + z4, shift);
    }
}

void jpeg_prepare_quantisation(uint32_t reciprocals[64], uint32_t halves[64],
                               const uint16_t table[64]) {
    for (int k = 0; k < 64; k++) {
        /* The transform is larger by 8 than that of A.3.3. */
        const uint32_t divisor = (table[k] ? table[k] : 1u) * 8;
        reciprocals[jpeg_in_columns[k]] = (uint32_t)(((UINT64_C(1) << 32) + divisor - 1) / divisor);
        halves[jpeg_in_columns[k]] = divisor / 2;
    }
}

void jpeg_forward(const uint16_t *samples, size_t stride, uint32_t precision,
                  const uint32_t reciprocals[64], const uint32_t halves[64], int16_t out[64]) {
    uint32_t columns[64], rows[64];
    const uint32_t centre = 1u << (precision - 1);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) columns[y * 8 + x] = samples[(size_t)y * stride + x] - centre;
    /* Bits that are kept between the two dimensions: as many as fit in 32 in the worst case. */
    const uint32_t kept = precision > 8 ? 1 : 2;
    if (kept == 2) {
        forward_columns(columns, 2, 0);
        transpose(columns, rows);
        forward_columns(rows, 0, 2);
    } else {
        forward_columns(columns, 1, 0);
        transpose(columns, rows);
        forward_columns(rows, 0, 1);
    }
    for (int i = 0; i < 64; i++) {
        const uint32_t sign = (uint32_t)((int32_t)rows[i] >> 31);
        const uint32_t magnitude = (rows[i] ^ sign) - sign + halves[i];
        const uint32_t quantised = (uint32_t)(((uint64_t)magnitude * reciprocals[i]) >> 32);
        out[i] = (int16_t)((quantised ^ sign) - sign);
    }
}

/* One dimension of the inverse transform of eight columns at once, of which the rows from `rows`
 * on are zero; larger by sqrt(8). */
static inline void inverse_columns(const uint32_t *in, uint32_t *out, int rows, int columns,
                                   uint32_t shift) {
    for (int c = 0; c < columns; c++) {
        const uint32_t i0 = in[c], i1 = in[8 + c], i2 = in[16 + c], i3 = in[24 + c];
        const uint32_t i4 = rows > 4 ? in[32 + c] : 0, i5 = rows > 4 ? in[40 + c] : 0;
        const uint32_t i6 = rows > 4 ? in[48 + c] : 0, i7 = rows > 4 ? in[56 + c] : 0;
        const uint32_t turned = (i2 + i6) * C_0_541196100;
        const uint32_t t2 = turned - i6 * C_1_847759065, t3 = turned + i2 * C_0_765366865;
        const uint32_t t0 = (i0 + i4) << BITS, t1 = (i0 - i4) << BITS;
        const uint32_t e0 = t0 + t3, e3 = t0 - t3, e1 = t1 + t2, e2 = t1 - t2;

        const uint32_t z5 = (i7 + i3 + i5 + i1) * C_1_175875602;
        const uint32_t z1 = (i7 + i1) * C_0_899976223, z2 = (i5 + i3) * C_2_562915447;
        const uint32_t z3 = z5 - (i7 + i3) * C_1_961570560;
        const uint32_t z4 = z5 - (i5 + i1) * C_0_390180644;
        const uint32_t o0 = i7 * C_0_298631336 - z1 + z3, o1 = i5 * C_2_053119869 - z2 + z4;
        const uint32_t o2 = i3 * C_3_072711026 - z2 + z3, o3 = i1 * C_1_501321110 - z1 + z4;

        out[c] = descale(e0 + o3, shift);
        out[56 + c] = descale(e0 - o3, shift);
        out[8 + c] = descale(e1 + o2, shift);
        out[48 + c] = descale(e1 - o2, shift);
        out[16 + c] = descale(e2 + o1, shift);
        out[40 + c] = descale(e2 - o1, shift);
        out[24 + c] = descale(e3 + o0, shift);
        out[32 + c] = descale(e3 - o0, shift);
    }
}

static inline uint16_t limited(uint32_t value, int32_t top) {
    const int32_t sample = (int32_t)value;
    return (uint16_t)(sample < 0 ? 0 : sample > top ? top : sample);
}

static inline void inverse(const int16_t coefficients[64], int extent, uint32_t kept,
                           uint32_t precision, uint16_t *samples, size_t stride) {
    /* Down the columns first, as most decoders do: their rounding is ours. */
    uint32_t rows[64], columns[64];
    for (int i = 0; i < extent * 8; i++) rows[i] = (uint32_t)(int32_t)coefficients[i];
    inverse_columns(rows, columns, extent, 8, BITS - kept);
    transpose(columns, rows);
    inverse_columns(rows, columns, extent, 8, BITS + kept + 3);
    const int32_t top = (1 << precision) - 1;
    const uint32_t centre = 1u << (precision - 1);
    uint16_t done[64];
    for (int i = 0; i < 64; i++) done[i] = limited(columns[i] + centre, top);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) samples[(size_t)y * stride + x] = done[x * 8 + y];
}

void jpeg_inverse(const int16_t coefficients[64], jpeg_extent extent, uint32_t precision,
                  uint16_t *samples, size_t stride) {
    if (extent == JPEG_DC_ONLY) {
        const uint32_t centre = 1u << (precision - 1);
        const uint16_t sample = limited(
            descale((uint32_t)(int32_t)coefficients[0], 3) + centre, (1 << precision) - 1);
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 8; x++) samples[(size_t)y * stride + x] = sample;
    } else if (extent == JPEG_LOW) {
        if (precision > 8)
            inverse(coefficients, 4, 1, precision, samples, stride);
        else
            inverse(coefficients, 4, 2, precision, samples, stride);
    } else {
        if (precision > 8)
            inverse(coefficients, 8, 1, precision, samples, stride);
        else
            inverse(coefficients, 8, 2, precision, samples, stride);
    }
}
