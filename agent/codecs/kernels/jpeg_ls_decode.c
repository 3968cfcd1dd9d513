/* Bits become rows of samples (ITU-T T.87 annex A). */
#include "jpeg_ls_model.h"

/* A refill gives 32 bits at least: 15 zeros, a one, and 16 bits, which k never exceeds where errors
 * are within half a range. */
#define FAST_PREFIX 16u
#define FAST_BITS 32u
#define NOTHING UINT32_MAX

/* A.5.3: a code of limited length, or NOTHING where there is none. */
SELDOM uint32_t take_long(ls_reader *reader, uint32_t k, uint32_t prefix, uint32_t suffix) {
    uint32_t high = 0;
    for (;;) {
        if (reader->count < FAST_BITS) ls_refill(reader);
        const uint32_t zeros = leading_zeros(reader->bits);
        if (zeros < FAST_BITS) {
            high += zeros;
            ls_drop(reader, zeros + 1);
            break;
        }
        high += FAST_BITS;
        ls_drop(reader, FAST_BITS);
        if (high > prefix) return NOTHING;
    }
    if (high < prefix) return high << k | ls_take(reader, k);
    return high == prefix ? ls_take(reader, suffix) + 1 : NOTHING;
}

/* `fast` is the lesser of `prefix` and FAST_PREFIX. */
ALWAYS_INLINE uint32_t take_golomb(ls_reader *reader, uint32_t k, uint32_t prefix, uint32_t fast,
                                   uint32_t suffix) {
    if (reader->count < FAST_BITS) ls_refill(reader);
    const uint32_t high = leading_zeros(reader->bits | 1);
    if (LIKELY(high < fast)) {
        /* The one on top counts 1 << k too many. */
        const uint32_t low = (uint32_t)(reader->bits << high >> (63 - k));
        ls_drop(reader, high + 1 + k);
        return low + ((high - 1) << k);
    }
    ls_reader copy = *reader;
    const uint32_t mapped = take_long(&copy, k, prefix, suffix);
    *reader = copy;
    return mapped;
}

/* A.4 to A.6; the sample, or a negative number where the code is none. */
ALWAYS_INLINE int32_t take_sample(ls_reader *reader, jpeg_ls_context *contexts, int32_t region,
                                  int32_t edge, const jpeg_ls_measures *m, uint32_t fast,
                                  int lossless) {
    const int32_t sign = -(region < 0);
    jpeg_ls_context *context = contexts + ((region ^ sign) - sign);
    const int32_t guess = predicted(context, edge, sign, m->largest);
    const uint32_t mapped = take_golomb(reader, context->k, m->prefix, fast, m->suffix);
    if (!LIKELY(mapped <= (uint32_t)m->range)) return KERNEL_DAMAGED;
    int32_t error = (int32_t)(mapped >> 1) ^ -(int32_t)(mapped & 1);
    if (lossless) error ^= context->turned;
    const int32_t sample = reconstructed(guess, (error ^ sign) - sign, m, lossless);
    update(context, error, m, lossless);
    return sample;
}

/* A.7.1: how many samples are in the run, of `left`; `*ends` says whether it ends the line. */
static size_t take_run(ls_reader *reader, uint32_t *index, size_t left, int *ends) {
    size_t length = 0;
    while (ls_take(reader, 1)) {
        const size_t whole = (size_t)1 << RUN_ORDER[*index];
        if (left - length < whole) {
            *ends = 1;
            return left;
        }
        length += whole;
        if (*index < 31) ++*index;
        if (length == left) {
            *ends = 1;
            return left;
        }
    }
    *ends = 0;
    return length + ls_take(reader, RUN_ORDER[*index]);
}

/* A.7.2; the sample, or a negative number where the code is none. */
static int32_t take_interruption(jpeg_ls_state *state, ls_reader *reader, uint32_t type,
                                 uint32_t index, int32_t a, int32_t b) {
    const jpeg_ls_measures *m = &state->measures;
    jpeg_ls_run_context *context = &state->runs[type];
    const int32_t sign = -(!type && a > b);
    const uint32_t k = run_parameter(context, type);
    const uint32_t prefix = m->prefix - RUN_ORDER[index] - 1;
    const uint32_t mapped = take_long(reader, k, prefix, m->suffix);
    if (mapped > (uint32_t)m->range) return KERNEL_DAMAGED;
    const uint32_t map = (mapped + type) & 1;
    const int32_t size = (int32_t)((mapped + type + map) >> 1);
    const uint32_t map_of_negative = k != 0 || 2 * context->negatives >= context->n;
    const int32_t error = map == map_of_negative ? -size : size;
    update_run(context, error, mapped, type, m->reset);
    return reconstructed(type ? a : b, (error ^ sign) - sign, m, m->near == 0);
}

/* A run from `*at` on, and the sample that ends it. */
SELDOM int take_line_run(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows, uint32_t k,
                         size_t *at) {
    uint16_t *line = rows->line[k];
    const size_t start = *at;
    const uint16_t a = line[(ptrdiff_t)start - 1];
    uint32_t *index = &state->run_index[k];
    int ends;
    const size_t length = take_run(reader, index, rows->columns - start, &ends);
    const size_t x = start + length;
    if (x > rows->columns || (x == rows->columns && !ends)) return KERNEL_DAMAGED;
    for (size_t i = start; i < x; i++) line[i] = a;
    *at = x;
    if (ends) return 0;
    const int32_t b = rows->above[k][x];
    const uint32_t type = (uint32_t)is_near(a, b, state->measures.near);
    const int32_t sample = take_interruption(state, reader, type, *index, a, b);
    if (sample < 0) return KERNEL_DAMAGED;
    line[x] = (uint16_t)sample;
    if (*index) --*index;
    *at = x + 1;
    return 0;
}

ALWAYS_INLINE int decode_line(jpeg_ls_state *state, ls_reader *shared, const ls_rows *rows,
                              uint32_t k, int lossless) {
    const jpeg_ls_measures measures = state->measures;
    const uint32_t fast = measures.prefix < FAST_PREFIX ? measures.prefix : FAST_PREFIX;
    const int8_t *regions = rows->regions;
    const uint16_t *above = rows->above[k];
    uint16_t *line = rows->line[k];
    const size_t columns = rows->columns;
    ls_reader reader = *shared;
    int32_t a = line[-1], b = above[0], c = above[-1];
    int32_t second = regions[b - c];
    for (size_t x = 0; x < columns;) {
        const int32_t d = above[x + 1];
        const int32_t first = regions[d - b];
        const int32_t region = 81 * first + 9 * second + regions[c - a];
        if (region) {
            a = take_sample(&reader, state->contexts, region, edge_predicted(a, b, c), &measures,
                            fast, lossless);
            if (!LIKELY(a >= 0)) {
                *shared = reader;
                return KERNEL_DAMAGED;
            }
            line[x++] = (uint16_t)a;
            c = b;
            b = d;
            second = first;
        } else {
            ls_reader copy = reader;
            size_t at = x;
            const int result = take_line_run(state, &copy, rows, k, &at);
            reader = copy;
            x = at;
            if (result < 0) {
                *shared = reader;
                return result;
            }
            a = line[x - 1];
            b = above[x];
            c = above[x - 1];
            second = regions[b - c];
        }
    }
    *shared = reader;
    return 0;
}

int ls_decode_line(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows, uint32_t k) {
    if (state->measures.near == 0) return decode_line(state, reader, rows, k, 1);
    return decode_line(state, reader, rows, k, 0);
}

/* ---- sample interleaved (B.3) ---- */

SELDOM int take_pixel_run(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows,
                          size_t *at) {
    const uint32_t components = state->parameters.components;
    const size_t start = *at;
    uint32_t *index = &state->run_index[0];
    int ends;
    const size_t length = take_run(reader, index, rows->columns - start, &ends);
    const size_t x = start + length;
    if (x > rows->columns || (x == rows->columns && !ends)) return KERNEL_DAMAGED;
    for (uint32_t k = 0; k < components; k++) {
        const uint16_t a = rows->line[k][(ptrdiff_t)start - 1];
        for (size_t i = start; i < x; i++) rows->line[k][i] = a;
    }
    *at = x;
    if (ends) return 0;
    for (uint32_t k = 0; k < components; k++) {
        uint16_t *line = rows->line[k] + x;
        const int32_t sample =
            take_interruption(state, reader, 0, *index, line[-1], rows->above[k][x]);
        if (sample < 0) return KERNEL_DAMAGED;
        *line = (uint16_t)sample;
    }
    if (*index) --*index;
    *at = x + 1;
    return 0;
}

ALWAYS_INLINE int decode_pixels(jpeg_ls_state *state, ls_reader *shared, const ls_rows *rows,
                                uint32_t components, int lossless) {
    const jpeg_ls_measures measures = state->measures;
    const uint32_t fast = measures.prefix < FAST_PREFIX ? measures.prefix : FAST_PREFIX;
    const ls_rows local = *rows;
    const int8_t *regions = local.regions;
    ls_reader reader = *shared;
    int32_t region[JPEG_LS_MOST_COMPONENTS] = {0}, left[JPEG_LS_MOST_COMPONENTS] = {0};
    for (uint32_t k = 0; k < components; k++) left[k] = local.line[k][-1];
    for (size_t x = 0; x < local.columns;) {
        int32_t any = 0;
        UNROLLED
        for (uint32_t k = 0; k < components; k++) {
            const uint16_t *above = local.above[k] + x;
            region[k] = 81 * regions[above[1] - above[0]] + 9 * regions[above[0] - above[-1]] +
                        regions[above[-1] - left[k]];
            any |= region[k];
        }
        if (!any) {
            ls_reader copy = reader;
            size_t at = x;
            const int result = take_pixel_run(state, &copy, rows, &at);
            reader = copy;
            x = at;
            if (result < 0) {
                *shared = reader;
                return result;
            }
            for (uint32_t k = 0; k < components; k++) left[k] = local.line[k][x - 1];
            continue;
        }
        int32_t wrong = 0;
        UNROLLED
        for (uint32_t k = 0; k < components; k++) {
            const uint16_t *above = local.above[k] + x;
            const int32_t sample =
                take_sample(&reader, state->contexts, region[k],
                            edge_predicted(left[k], above[0], above[-1]), &measures, fast,
                            lossless);
            left[k] = sample;
            local.line[k][x] = (uint16_t)sample;
            wrong |= sample;
        }
        if (!LIKELY(wrong >= 0)) {
            *shared = reader;
            return KERNEL_DAMAGED;
        }
        x++;
    }
    *shared = reader;
    return 0;
}

int ls_decode_pixels(jpeg_ls_state *state, ls_reader *reader, const ls_rows *rows) {
    const uint32_t components = state->parameters.components;
    if (components == 3 && state->measures.near) return decode_pixels(state, reader, rows, 3, 0);
    if (components == 3) return decode_pixels(state, reader, rows, 3, 1);
    if (state->measures.near) return decode_pixels(state, reader, rows, components, 0);
    return decode_pixels(state, reader, rows, components, 1);
}
