/* Rows of samples become bits (ITU-T T.87 annex A). */
#include "jpeg_ls_model.h"

/* Longer codes are seldom, and may not fit `ls_put`. */
#define FAST_PREFIX 32u

SELDOM void put_long(ls_writer *writer, uint32_t mapped, uint32_t k, uint32_t prefix,
                     uint32_t suffix) {
    const uint32_t high = mapped >> k;
    if (high < prefix) {
        ls_put(writer, 0, high);
        ls_put(writer, (uint64_t)1 << k | (mapped & ((1u << k) - 1)), k + 1);
    } else {
        ls_put(writer, 0, prefix);
        ls_put(writer, (uint64_t)1 << suffix | ((mapped - 1) & ((1u << suffix) - 1)), suffix + 1);
    }
}

/* A.5.3: the code of limited length; `fast` is the lesser of `prefix` and FAST_PREFIX. */
ALWAYS_INLINE void put_golomb(ls_writer *writer, uint32_t mapped, uint32_t k, uint32_t prefix,
                              uint32_t fast, uint32_t suffix) {
    const uint32_t high = mapped >> k;
    if (LIKELY(high < fast)) {
        ls_put(writer, (uint64_t)1 << k | (mapped & ((1u << k) - 1)), high + 1 + k);
    } else {
        ls_writer copy = *writer;
        put_long(&copy, mapped, k, prefix, suffix);
        *writer = copy;
    }
}

/* A.4 to A.6; returns the sample as the decoder will know it. */
ALWAYS_INLINE int32_t put_sample(ls_writer *writer, jpeg_ls_context *contexts, int32_t region,
                                 int32_t edge, int32_t sample, const jpeg_ls_measures *m,
                                 uint32_t fast, int lossless) {
    const int32_t sign = -(region < 0);
    jpeg_ls_context *context = contexts + ((region ^ sign) - sign);
    const int32_t guess = predicted(context, edge, sign, m->largest);
    int32_t error = ((sample - guess) ^ sign) - sign;
    if (!lossless) {
        error = quantised(error, m);
        sample = reconstructed(guess, (error ^ sign) - sign, m, 0);
    }
    error = reduced(error, m);
    const int32_t turned = lossless ? error ^ context->turned : error;
    const uint32_t mapped = (uint32_t)turned << 1 ^ (uint32_t)-(turned < 0);
    put_golomb(writer, mapped, context->k, m->prefix, fast, m->suffix);
    update(context, error, m, lossless);
    return sample;
}

/* A.7.1: `length` samples of a run, and whether the line ends with them. */
static void put_run(ls_writer *writer, uint32_t *index, size_t length, int ends) {
    while (length >= (size_t)1 << RUN_ORDER[*index]) {
        ls_put(writer, 1, 1);
        length -= (size_t)1 << RUN_ORDER[*index];
        if (*index < 31) ++*index;
    }
    if (!ends)
        ls_put(writer, length, 1u + RUN_ORDER[*index]);
    else if (length)
        ls_put(writer, 1, 1);
}

/* A.7.2; returns the sample as the decoder will know it. */
static int32_t put_interruption(jpeg_ls_state *state, ls_writer *writer, uint32_t type,
                                uint32_t index, int32_t a, int32_t b, int32_t sample) {
    const jpeg_ls_measures *m = &state->measures;
    jpeg_ls_run_context *context = &state->runs[type];
    const int32_t guess = type ? a : b;
    const int32_t sign = -(!type && a > b);
    int32_t error = ((sample - guess) ^ sign) - sign;
    if (m->near) {
        error = quantised(error, m);
        sample = reconstructed(guess, (error ^ sign) - sign, m, 0);
    }
    error = reduced(error, m);
    const uint32_t k = run_parameter(context, type);
    const int more_negative = 2 * context->negatives >= context->n;
    const uint32_t map = error < 0 ? (k != 0 || more_negative) : error > 0 && k == 0 && !more_negative;
    const uint32_t mapped = 2 * (uint32_t)(error < 0 ? -error : error) - type - map;
    const uint32_t prefix = m->prefix - RUN_ORDER[index] - 1;
    put_long(writer, mapped, k, prefix, m->suffix);
    update_run(context, error, mapped, type, m->reset);
    return sample;
}

/* A run from `x` on, and the sample that ends it; returns where the next one lies. */
SELDOM size_t put_line_run(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows,
                           uint32_t k, size_t x) {
    uint16_t *line = rows->line[k];
    const int32_t near = state->measures.near;
    const uint16_t a = line[(ptrdiff_t)x - 1];
    const size_t start = x;
    if (near == 0)
        while (x < rows->columns && line[x] == a) x++;
    else
        while (x < rows->columns && is_near(line[x], a, near)) line[x++] = a;
    uint32_t *index = &state->run_index[k];
    put_run(writer, index, x - start, x == rows->columns);
    if (x == rows->columns) return x;
    const int32_t b = rows->above[k][x];
    line[x] = (uint16_t)put_interruption(state, writer, (uint32_t)is_near(a, b, near), *index, a, b,
                                         line[x]);
    if (*index) --*index;
    return x + 1;
}

ALWAYS_INLINE void encode_line(jpeg_ls_state *state, ls_writer *shared, const ls_rows *rows,
                               uint32_t k, int lossless) {
    const jpeg_ls_measures measures = state->measures;
    const uint32_t fast = measures.prefix < FAST_PREFIX ? measures.prefix : FAST_PREFIX;
    const int8_t *regions = rows->regions;
    const uint16_t *above = rows->above[k];
    uint16_t *line = rows->line[k];
    const size_t columns = rows->columns;
    ls_writer writer = *shared;
    int32_t a = line[-1], b = above[0], c = above[-1];
    int32_t second = regions[b - c];
    for (size_t x = 0; x < columns;) {
        const int32_t d = above[x + 1];
        const int32_t first = regions[d - b];
        const int32_t region = 81 * first + 9 * second + regions[c - a];
        if (region) {
            a = put_sample(&writer, state->contexts, region, edge_predicted(a, b, c), line[x],
                           &measures, fast, lossless);
            if (!lossless) line[x] = (uint16_t)a;
            c = b;
            b = d;
            second = first;
            x++;
        } else {
            ls_writer copy = writer;
            x = put_line_run(state, &copy, rows, k, x);
            writer = copy;
            a = line[x - 1];
            b = above[x];
            c = above[x - 1];
            second = regions[b - c];
        }
    }
    *shared = writer;
}

void ls_encode_line(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows, uint32_t k) {
    if (state->measures.near == 0)
        encode_line(state, writer, rows, k, 1);
    else
        encode_line(state, writer, rows, k, 0);
}

/* ---- sample interleaved (B.3) ---- */

SELDOM size_t put_pixel_run(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows,
                            size_t x) {
    const uint32_t components = state->parameters.components;
    const int32_t near = state->measures.near;
    const size_t start = x;
    for (; x < rows->columns; x++) {
        int is_run = 1;
        for (uint32_t k = 0; k < components; k++)
            is_run &= is_near(rows->line[k][x], rows->line[k][(ptrdiff_t)start - 1], near);
        if (!is_run) break;
        for (uint32_t k = 0; k < components; k++)
            rows->line[k][x] = rows->line[k][(ptrdiff_t)start - 1];
    }
    uint32_t *index = &state->run_index[0];
    put_run(writer, index, x - start, x == rows->columns);
    if (x == rows->columns) return x;
    for (uint32_t k = 0; k < components; k++)
        rows->line[k][x] = (uint16_t)put_interruption(state, writer, 0, *index,
                                                      rows->line[k][(ptrdiff_t)x - 1],
                                                      rows->above[k][x], rows->line[k][x]);
    if (*index) --*index;
    return x + 1;
}

ALWAYS_INLINE void encode_pixels(jpeg_ls_state *state, ls_writer *shared, const ls_rows *rows,
                                 uint32_t components, int lossless) {
    const jpeg_ls_measures measures = state->measures;
    const uint32_t fast = measures.prefix < FAST_PREFIX ? measures.prefix : FAST_PREFIX;
    const ls_rows local = *rows;
    const int8_t *regions = local.regions;
    ls_writer writer = *shared;
    int32_t region[JPEG_LS_MOST_COMPONENTS] = {0};
    for (size_t x = 0; x < local.columns;) {
        int32_t any = 0;
        UNROLLED
        for (uint32_t k = 0; k < components; k++) {
            const uint16_t *above = local.above[k] + x;
            region[k] = 81 * regions[above[1] - above[0]] + 9 * regions[above[0] - above[-1]] +
                        regions[above[-1] - local.line[k][(ptrdiff_t)x - 1]];
            any |= region[k];
        }
        if (!any) {
            ls_writer copy = writer;
            x = put_pixel_run(state, &copy, rows, x);
            writer = copy;
            continue;
        }
        UNROLLED
        for (uint32_t k = 0; k < components; k++) {
            const uint16_t *above = local.above[k] + x;
            uint16_t *line = local.line[k] + x;
            const int32_t sample = put_sample(&writer, state->contexts, region[k],
                                              edge_predicted(line[-1], above[0], above[-1]), *line,
                                              &measures, fast, lossless);
            if (!lossless) *line = (uint16_t)sample;
        }
        x++;
    }
    *shared = writer;
}

void ls_encode_pixels(jpeg_ls_state *state, ls_writer *writer, const ls_rows *rows) {
    const uint32_t components = state->parameters.components;
    if (components == 3 && state->measures.near)
        encode_pixels(state, writer, rows, 3, 0);
    else if (components == 3)
        encode_pixels(state, writer, rows, 3, 1);
    else if (state->measures.near)
        encode_pixels(state, writer, rows, components, 0);
    else
        encode_pixels(state, writer, rows, components, 1);
}
