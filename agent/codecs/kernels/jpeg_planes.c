#include "jpeg_planes.h"

#include <string.h>

/* Pixels that are transformed at a time: their samples stay in the first cache, and compilers make
 * vector code only of loops of which they know the length. */
#define PIECE 64u

/* The transform of JFIF (ITU-T T.871 clause 7) by 2^16, in factors of 16 bits with their sign,
 * which are multiplied faster. */
#define Y_R 19595
#define Y_G_LESS 27066 /* G times 2^16, less this */
#define Y_B 7471
#define CB_R 11059
#define CB_G 21709
#define CR_G 27439
#define CR_B 5329
#define R_CR_MORE 26345 /* Cr times 2^16, and this */
#define G_CB 22554
#define G_CR_LESS 18734
#define B_CB_LESS 14942 /* Cb times 2^17, less this */
#define HALF 32768

static inline uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Samples of a component in a row or a column (A.1.1). */
static inline uint32_t extent(uint32_t samples, uint32_t factor, uint32_t largest) {
    return (samples * factor + largest - 1) / largest;
}

int jpeg_is_layout(const jpeg_layout *layout, size_t size) {
    if (layout->columns == 0 || layout->columns > 65535 || layout->rows == 0 ||
        layout->rows > 65535 || layout->components == 0 || layout->components > JPEG_COMPONENTS ||
        (layout->precision != 8 && layout->precision != 12) ||
        layout->cell < (layout->precision + 7) / 8 || layout->cell > 2 || layout->top > 65535 || layout->h == 0 ||
        layout->h > 4 || layout->v == 0 || layout->v > 4 || layout->colour > JPEG_PAIRS ||
        (layout->colour != JPEG_AS_IS && layout->components != 3))
        return 0;
    const uint32_t mcus = (layout->columns + 8 * layout->h - 1) / (8 * layout->h);
    for (uint32_t i = 0; i < layout->components; i++) {
        const jpeg_plane *plane = &layout->planes[i];
        if (plane->h == 0 || plane->h > layout->h || plane->v == 0 || plane->v > layout->v ||
            plane->stride < mcus * 8 * plane->h || plane->offset < plane->stride ||
            plane->offset > size ||
            (uint64_t)plane->stride * 8 * plane->v > (uint64_t)(size - plane->offset))
            return 0;
    }
    return 1;
}

size_t jpeg_row_length(const jpeg_layout *layout) {
    const uint32_t samples = layout->colour == JPEG_PAIRS ? 2 : layout->components;
    return (size_t)layout->columns * samples * layout->cell;
}

int jpeg_carry(const jpeg_layout *layout, uint16_t *planes, size_t size) {
    if (!jpeg_is_layout(layout, size)) return KERNEL_MISUSED;
    for (uint32_t i = 0; i < layout->components; i++) {
        const jpeg_plane *plane = &layout->planes[i];
        uint16_t *first = planes + plane->offset;
        memcpy(first - plane->stride, first + (size_t)(8 * plane->v - 1) * plane->stride,
               plane->stride * sizeof *planes);
    }
    return 0;
}

/* ---- from native rows ---- */

static inline uint16_t native(const uint8_t *cells, size_t place, uint32_t cell, uint16_t top) {
    if (cell == 1) return cells[place];
    uint16_t value;
    memcpy(&value, cells + place * 2, 2);
    return value > top ? top : value;
}

static inline void take_samples(const uint8_t *row, uint32_t cell, uint16_t top, uint32_t count,
                                uint32_t first, uint32_t step, uint16_t *restrict out) {
    if (cell == 1)
        for (uint32_t x = 0; x < count; x++) out[x] = row[(size_t)x * step + first];
    else
        for (uint32_t x = 0; x < count; x++)
            out[x] = native(row, (size_t)x * step + first, 2, top);
}

static void separate_pairs(const uint8_t *row, uint32_t columns, uint16_t *restrict y,
                           uint16_t *restrict cb, uint16_t *restrict cr) {
    for (uint32_t x = 0; x < columns / 2; x++) {
        y[2 * x] = row[4 * x];
        y[2 * x + 1] = row[4 * x + 1];
        cb[x] = row[4 * x + 2];
        cr[x] = row[4 * x + 3];
    }
}

/* Y of some pixels and, for `step` of them together, Cb and Cr. */
ALWAYS_INLINE void separate_piece(const uint8_t *pixel, uint32_t count, uint32_t step,
                                  uint16_t *y, uint16_t *cb, uint16_t *cr) {
    int16_t r[PIECE], g[PIECE], b[PIECE], rs[PIECE], gs[PIECE], bs[PIECE];
    uint16_t luma[PIECE], blue[PIECE], red[PIECE];
    const int32_t bits = step == 2 ? 17 : 16;
    const int32_t round = (128 << bits) + (1 << (bits - 1)) - 1;
    for (uint32_t x = 0; x < count; x++, pixel += 3) {
        r[x] = pixel[0];
        g[x] = pixel[1];
        b[x] = pixel[2];
    }
    for (uint32_t x = 0; x < count; x++)
        luma[x] = (uint16_t)(g[x] + ((Y_R * r[x] - Y_G_LESS * g[x] + Y_B * b[x] + HALF) >> 16));
    for (uint32_t x = 0; x < count / step; x++) {
        rs[x] = (int16_t)(step == 2 ? r[2 * x] + r[2 * x + 1] : r[x]);
        gs[x] = (int16_t)(step == 2 ? g[2 * x] + g[2 * x + 1] : g[x]);
        bs[x] = (int16_t)(step == 2 ? b[2 * x] + b[2 * x + 1] : b[x]);
    }
    for (uint32_t x = 0; x < count / step; x++) {
        blue[x] = (uint16_t)((bs[x] * HALF - CB_R * rs[x] - CB_G * gs[x] + round) >> bits);
        red[x] = (uint16_t)((rs[x] * HALF - CR_G * gs[x] - CR_B * bs[x] + round) >> bits);
    }
    memcpy(y, luma, count * sizeof *y);
    memcpy(cb, blue, count / step * sizeof *cb);
    memcpy(cr, red, count / step * sizeof *cr);
}

/* `columns` is a multiple of `step`. */
ALWAYS_INLINE void separate_rgb(const uint8_t *row, uint32_t columns, uint32_t step,
                                uint16_t *y, uint16_t *cb, uint16_t *cr) {
    uint32_t x = 0;
    for (; x + PIECE <= columns; x += PIECE)
        separate_piece(row + (size_t)x * 3, PIECE, step, y + x, cb + x / step, cr + x / step);
    if (x < columns)
        separate_piece(row + (size_t)x * 3, columns - x, step, y + x, cb + x / step, cr + x / step);
}

/* Half as many samples; what lies halfway is rounded up and down in turn. */
static void take_halved(const uint8_t *row, uint32_t cell, uint16_t top, uint32_t count,
                        uint32_t first, uint32_t step, uint16_t *out) {
    for (uint32_t x = 0; x < count / 2; x++) {
        const size_t place = (size_t)x * 2 * step + first;
        out[x] = (uint16_t)((native(row, place, cell, top) + native(row, place + step, cell, top) +
                             (x & 1)) >> 1);
    }
    if (count & 1) out[count / 2] = native(row, (size_t)(count - 1) * step + first, cell, top);
}

static void separate_row(const jpeg_layout *layout, const uint8_t *row, uint16_t *const to[]) {
    const uint32_t columns = layout->columns, step = layout->h;
    if (layout->colour == JPEG_PAIRS) {
        separate_pairs(row, columns, to[0], to[1], to[2]);
    } else if (layout->colour == JPEG_FROM_YBR) {
        if (step == 1) {
            separate_rgb(row, columns, 1, to[0], to[1], to[2]);
            return;
        }
        separate_rgb(row, columns & ~1u, 2, to[0], to[1], to[2]);
        const uint32_t last = columns - 1;
        if (columns & 1)
            separate_rgb(row + (size_t)last * 3, 1, 1, to[0] + last, to[1] + last / 2,
                         to[2] + last / 2);
    } else {
        const uint16_t top = (uint16_t)((1u << layout->precision) - 1);
        for (uint32_t i = 0; i < layout->components; i++) {
            if (layout->planes[i].h < layout->h)
                take_halved(row, layout->cell, top, columns, i, layout->components, to[i]);
            else
                take_samples(row, layout->cell, top, columns, i, layout->components, to[i]);
        }
    }
}

static void pad(const jpeg_layout *layout, uint16_t *planes, uint32_t count) {
    for (uint32_t i = 0; i < layout->components; i++) {
        const jpeg_plane *plane = &layout->planes[i];
        uint16_t *first = planes + plane->offset;
        const uint32_t width = extent(layout->columns, plane->h, layout->h);
        for (uint32_t y = 0; y < count; y++) {
            uint16_t *row = first + (size_t)y * plane->stride;
            for (uint32_t x = width; x < plane->stride; x++) row[x] = row[width - 1];
        }
        const uint16_t *last = first + (size_t)(count - 1) * plane->stride;
        for (uint32_t y = count; y < 8; y++)
            memcpy(first + (size_t)y * plane->stride, last, plane->stride * sizeof *planes);
    }
}

int jpeg_separate(const jpeg_layout *layout, const uint8_t *rows, size_t length, uint16_t *planes,
                  size_t size) {
    if (!jpeg_is_layout(layout, size) || layout->v != 1 || layout->h > 2) return KERNEL_MISUSED;
    const size_t row_length = jpeg_row_length(layout);
    const size_t count = length / row_length;
    if (count == 0 || count > 8 || length % row_length) return KERNEL_MISUSED;
    if (layout->colour != JPEG_AS_IS && layout->cell != 1) return KERNEL_MISUSED;
    if (layout->colour == JPEG_PAIRS && (layout->h != 2 || layout->columns & 1))
        return KERNEL_MISUSED;
    for (uint32_t i = 0; i < layout->components; i++) {
        const uint32_t wanted = i == 0 || layout->colour == JPEG_AS_IS ? layout->h : 1;
        if (layout->planes[i].h != wanted && (i == 0 || layout->planes[i].h != 1))
            return KERNEL_MISUSED;
    }
    for (uint32_t y = 0; y < count; y++) {
        uint16_t *to[JPEG_COMPONENTS];
        for (uint32_t i = 0; i < layout->components; i++)
            to[i] = planes + layout->planes[i].offset + (size_t)y * layout->planes[i].stride;
        separate_row(layout, rows + y * row_length, to);
    }
    pad(layout, planes, (uint32_t)count);
    return 0;
}

/* ---- to native rows ---- */

/* Twice as many samples, of each pair of neighbours: three parts the nearer and one part the
 * farther. `even` and `odd` are added before the shift. */
ALWAYS_INLINE void widen_piece(const uint16_t *restrict in, uint32_t count, uint32_t even,
                               uint32_t odd, uint32_t shift, uint16_t *restrict out) {
    uint16_t samples[2 * PIECE];
    for (uint32_t x = 0; x < count; x++) {
        samples[2 * x] = (uint16_t)((in[x] * 3u + in[x + 1] + odd) >> shift);
        samples[2 * x + 1] = (uint16_t)((in[x + 1] * 3u + in[x] + even) >> shift);
    }
    memcpy(out, samples, 2 * count * sizeof *out);
}

/* A row of twice as many samples; the first and the last are as they were, but for the rounding. */
ALWAYS_INLINE void widen(const uint16_t *in, uint32_t count, uint32_t weight, uint32_t even,
                         uint32_t odd, uint32_t shift, uint16_t *out) {
    out[0] = (uint16_t)((in[0] * 4u + even * (weight > 1)) >> shift);
    uint32_t x = 0;
    for (; x + PIECE < count; x += PIECE)
        widen_piece(in + x, PIECE, even, odd, shift, out + 2 * x + 1);
    widen_piece(in + x, count - 1 - x, even, odd, shift, out + 2 * x + 1);
    out[2 * count - 1] = (uint16_t)((in[count - 1] * 4u + odd * (weight > 1)) >> shift);
}

/* Where the row of an image's component lies in its plane. */
static const uint16_t *plane_row(const jpeg_plane *plane, const uint16_t *planes, uint32_t mcu_row,
                                 uint32_t row) {
    const int64_t place = (int64_t)row - (int64_t)mcu_row * 8 * plane->v;
    return planes + ((int64_t)plane->offset + place * plane->stride);
}

/* The samples of a component for each column of the image's row `y`: in the plane, or in `out`,
 * which like `sums` has room for the columns and 8 more. */
static const uint16_t *component_row(const jpeg_layout *layout, const jpeg_plane *plane,
                                     const uint16_t *planes, uint32_t mcu_row, uint32_t y,
                                     uint16_t *restrict sums, uint16_t *restrict out) {
    const uint32_t row = y * plane->v / layout->v;
    const uint16_t *in = plane_row(plane, planes, mcu_row, row);
    const uint32_t width = extent(layout->columns, plane->h, layout->h);
    const int wide = plane->h * 2 == layout->h && width > 2;
    const int high = plane->v * 2 == layout->v && (wide || plane->h == layout->h);
    if (plane->h == layout->h && !high) return in;
    if (high) {
        /* The row below the planes is not asked for, but must not be read either. */
        const uint32_t last = smaller(extent(layout->rows, plane->v, layout->v),
                                      (mcu_row + 1) * 8 * plane->v) - 1;
        const uint32_t other = y & 1 ? smaller(row + 1, last) : row ? row - 1 : 0;
        const uint16_t *beside = plane_row(plane, planes, mcu_row, other);
        if (!wide) {
            const uint32_t round = y & 1 ? 2 : 1;
            for (uint32_t x = 0; x < width; x++)
                out[x] = (uint16_t)((in[x] * 3u + beside[x] + round) >> 2);
            return out;
        }
        for (uint32_t x = 0; x < width; x++) sums[x] = (uint16_t)(in[x] * 3u + beside[x]);
        widen(sums, width, 4, 8, 7, 4, out);
    } else if (wide) {
        widen(in, width, 1, 1, 2, 2, out);
    } else {
        for (uint32_t x = 0; x < layout->columns; x++) out[x] = in[x * plane->h / layout->h];
    }
    return out;
}

static inline uint8_t byte_of(int16_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

ALWAYS_INLINE void join_piece(const uint16_t *luma, const uint16_t *blue, const uint16_t *red,
                              uint32_t count, uint8_t *out) {
    uint8_t r[PIECE], g[PIECE], b[PIECE];
    uint32_t pixels[PIECE];
    for (uint32_t x = 0; x < count; x++) {
        const int16_t y = (int16_t)luma[x];
        const int16_t cb = (int16_t)(blue[x] - 128), cr = (int16_t)(red[x] - 128);
        const int16_t more_red = (int16_t)((R_CR_MORE * cr + HALF) >> 16);
        const int16_t green = (int16_t)((G_CR_LESS * cr - G_CB * cb + HALF) >> 16);
        const int16_t less_blue = (int16_t)((HALF - B_CB_LESS * cb) >> 16);
        r[x] = byte_of((int16_t)(y + cr + more_red));
        g[x] = byte_of((int16_t)(y - cr + green));
        b[x] = byte_of((int16_t)(y + 2 * cb + less_blue));
    }
    for (uint32_t x = 0; x < count; x++)
        pixels[x] = (uint32_t)r[x] | (uint32_t)g[x] << 8 | (uint32_t)b[x] << 16;
    /* One byte of each is written over by the next. */
    for (uint32_t x = 0; x + 1 < count; x++, out += 3) memcpy(out, pixels + x, 4);
    memcpy(out, pixels + count - 1, 3);
}

static void join_rgb(const uint16_t *const from[], uint32_t columns, uint8_t *out) {
    uint32_t x = 0;
    for (; x + PIECE <= columns; x += PIECE)
        join_piece(from[0] + x, from[1] + x, from[2] + x, PIECE, out + (size_t)x * 3);
    if (x < columns)
        join_piece(from[0] + x, from[1] + x, from[2] + x, columns - x, out + (size_t)x * 3);
}

static void limit(const uint16_t *in, uint32_t count, uint32_t top, uint16_t *out) {
    for (uint32_t x = 0; x < count; x++) out[x] = in[x] > top ? (uint16_t)top : in[x];
}

static void join_samples(const uint16_t *restrict in, uint32_t count, uint32_t cell, uint32_t first,
                         uint32_t step, uint8_t *restrict out) {
    if (cell == 1 && step == 1)
        for (uint32_t x = 0; x < count; x++) out[x] = (uint8_t)in[x];
    else if (cell == 1)
        for (uint32_t x = 0; x < count; x++) out[(size_t)x * step + first] = (uint8_t)in[x];
    else if (step == 1)
        memcpy(out, in, (size_t)count * 2);
    else
        for (uint32_t x = 0; x < count; x++)
            memcpy(out + ((size_t)x * step + first) * 2, in + x, 2);
}

size_t jpeg_scratch(const jpeg_layout *layout) {
    return ((size_t)layout->columns + 8) * (layout->components + 1);
}

int jpeg_join(const jpeg_layout *layout, const uint16_t *planes, size_t size, uint32_t mcu_row,
              uint32_t first, uint32_t count, uint16_t *scratch, size_t scratch_size, uint8_t *out,
              size_t out_length) {
    if (!jpeg_is_layout(layout, size) || layout->colour == JPEG_PAIRS ||
        (layout->colour == JPEG_FROM_YBR && (layout->cell != 1 || layout->precision != 8)) ||
        scratch_size < jpeg_scratch(layout) || mcu_row > layout->rows)
        return KERNEL_MISUSED;
    const uint32_t begin = mcu_row * 8 * layout->v;
    const size_t row_length = jpeg_row_length(layout);
    if (count > out_length / row_length || first > layout->rows || count > layout->rows - first ||
        first + 1 < begin || first + count > begin + 8 * layout->v)
        return KERNEL_MISUSED;
    for (uint32_t y = first; y < first + count; y++, out += row_length) {
        const uint16_t *from[JPEG_COMPONENTS];
        for (uint32_t i = 0; i < layout->components; i++)
            from[i] = component_row(layout, &layout->planes[i], planes, mcu_row, y, scratch,
                                    scratch + ((size_t)layout->columns + 8) * (i + 1));
        if (layout->colour == JPEG_FROM_YBR)
            join_rgb(from, layout->columns, out);
        else
            for (uint32_t i = 0; i < layout->components; i++) {
                uint16_t *kept = scratch + ((size_t)layout->columns + 8) * (i + 1);
                if (layout->top < (1u << layout->precision) - 1) {
                    limit(from[i], layout->columns, layout->top, kept);
                    from[i] = kept;
                }
                join_samples(from[i], layout->columns, layout->cell, i, layout->components, out);
            }
    }
    return 0;
}
