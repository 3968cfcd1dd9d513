#include "jpeg_lossless.h"

#include <stdalign.h>

#define ENCODER_MARK 0x4A4C4531u
#define DECODER_MARK 0x4A4C4431u
#define SHORTEST_SAMPLE 2u
#define LONGEST_SAMPLE 16u

static size_t samples_of(const lossless_parameters *parameters) {
    return (size_t)parameters->columns * parameters->components;
}

static int are_valid(const lossless_parameters *p) {
    return p->columns >= 1 && p->columns <= 65535 && p->components >= 1 &&
           p->components <= LOSSLESS_MOST_COMPONENTS && p->sample_length >= 1 &&
           p->sample_length <= 2 && p->precision >= SHORTEST_SAMPLE &&
           p->precision <= LONGEST_SAMPLE && p->precision <= 8 * p->sample_length &&
           p->point_transform < p->precision && p->predictor >= 1 && p->predictor <= 7;
}

size_t lossless_encoder_size(const lossless_parameters *parameters) {
    if (!are_valid(parameters)) return 0;
    return sizeof(lossless_encoder) + 3 * samples_of(parameters) * sizeof(uint16_t);
}

size_t lossless_decoder_size(const lossless_parameters *parameters) {
    if (!are_valid(parameters)) return 0;
    return sizeof(lossless_decoder) + 3 * samples_of(parameters) * sizeof(uint16_t);
}

/* Table H.1; a, b and c are the samples to the left, above, and above to the left. */
ALWAYS_INLINE int32_t predicted(int predictor, int32_t a, int32_t b, int32_t c) {
    switch (predictor) {
    case 1: return a;
    case 2: return b;
    case 3: return c;
    case 4: return a + b - c;
    case 5: return a + ((b - c) >> 1);
    case 6: return b + ((a - c) >> 1);
    default: return (a + b) >> 1;
    }
}

/* ---- encoding ---- */

ALWAYS_INLINE void differences_by(int predictor, const uint16_t *restrict line,
                                  const uint16_t *restrict above, uint16_t *restrict out,
                                  size_t samples, size_t step) {
    for (size_t i = step; i < samples; i++)
        out[i] = (uint16_t)(line[i] -
                            predicted(predictor, line[i - step], above[i], above[i - step]));
}

/* H.1.2.1: the first row is predicted from the left, its first sample from half of the range; in
 * other rows the first sample is predicted from above. */
static void differences(const lossless_parameters *p, int first, const uint16_t *line,
                        const uint16_t *above, uint16_t *out) {
    const size_t samples = samples_of(p), step = p->components;
    const uint16_t half = (uint16_t)(1u << (p->precision - p->point_transform - 1));
    for (size_t i = 0; i < step; i++) out[i] = (uint16_t)(line[i] - (first ? half : above[i]));
    switch (first ? 1 : p->predictor) {
    case 1: differences_by(1, line, above, out, samples, step); break;
    case 2: differences_by(2, line, above, out, samples, step); break;
    case 3: differences_by(3, line, above, out, samples, step); break;
    case 4: differences_by(4, line, above, out, samples, step); break;
    case 5: differences_by(5, line, above, out, samples, step); break;
    case 6: differences_by(6, line, above, out, samples, step); break;
    default: differences_by(7, line, above, out, samples, step); break;
    }
}

/* A row of native samples as 16 bit ones, without the bits of the point transform. */
static uint32_t load_row(const lossless_parameters *p, const uint8_t *row, uint16_t *line) {
    const size_t samples = samples_of(p);
    uint32_t seen = 0;
    if (p->sample_length == 1)
        for (size_t i = 0; i < samples; i++) line[i] = row[i];
    else
        memcpy(line, row, samples * 2);
    for (size_t i = 0; i < samples; i++) seen |= line[i];
    if (p->point_transform)
        for (size_t i = 0; i < samples; i++) line[i] = (uint16_t)(line[i] >> p->point_transform);
    return seen;
}

int lossless_encoder_begin(lossless_encoder *state, const lossless_parameters *parameters,
                           const uint8_t *specification, size_t length) {
    if (!are_valid(parameters)) return KERNEL_MISUSED;
    memset(state, 0, sizeof *state);
    state->parameters = *parameters;
    state->free = 64;
    if (length) {
        huffman_encoder huffman;
        if (huffman_build_encoder(&huffman, specification, length) < 0) return KERNEL_MISUSED;
        for (uint32_t category = 0; category < LOSSLESS_CATEGORIES; category++) {
            /* Category 16 is one difference, 32768, and has no bits of its own (H.1.2.2). */
            const uint32_t extra = category < 16 ? category : 0;
            state->code[category] = (uint32_t)huffman.code[category] << extra;
            if (huffman.length[category])
                state->length[category] = (uint8_t)(huffman.length[category] + extra);
        }
    }
    state->mark = ENCODER_MARK;
    return 0;
}

static inline uint32_t category_of(uint32_t magnitude) {
#if defined(__GNUC__)
    return magnitude ? 32u - (uint32_t)__builtin_clz(magnitude) : 0;
#else
    uint32_t category = 0;
    for (; magnitude; magnitude >>= 1) category++;
    return category;
#endif
}

static inline uint32_t magnitude_of(uint16_t difference) {
    return difference < 32768u ? difference : 65536u - difference;
}

/* The differences of the next row, and the row itself kept as the one above. */
static const uint16_t *next_differences(lossless_encoder *state, const uint8_t *row) {
    const lossless_parameters *p = &state->parameters;
    const size_t samples = samples_of(p);
    uint16_t *even = state->lines, *odd = even + samples, *out = odd + samples;
    uint16_t *line = state->row & 1 ? odd : even;
    const uint16_t *above = state->row & 1 ? even : odd;
    state->seen |= load_row(p, row, line);
    differences(p, state->row == 0, line, above, out);
    state->row++;
    return out;
}

/* Code and bits of a difference; a negative one is sent less one (F.1.2.1). */
static inline uint32_t coded(const lossless_encoder *state, uint32_t difference,
                             uint32_t *length) {
    const uint32_t category = category_of(magnitude_of((uint16_t)difference));
    *length = state->length[category];
    const uint32_t mask = (1u << (category & 15)) - 1;
    return state->code[category] | ((difference - (difference >> 15)) & mask);
}

int lossless_count(lossless_encoder *state, const uint8_t *rows, size_t length,
                   uint64_t counts[LOSSLESS_CATEGORIES]) {
    if (state->mark != ENCODER_MARK) return KERNEL_MISUSED;
    const size_t samples = samples_of(&state->parameters);
    const size_t row_length = samples * state->parameters.sample_length;
    if (length % row_length) return KERNEL_MISUSED;
    for (size_t at = 0; at < length; at += row_length) {
        const uint16_t *out = next_differences(state, rows + at);
        /* Two tables, so that equal categories one after another do not wait for each other. */
        uint32_t even[LOSSLESS_CATEGORIES] = {0}, odd[LOSSLESS_CATEGORIES] = {0};
        size_t i = 0;
        for (; i + 1 < samples; i += 2) {
            even[category_of(magnitude_of(out[i]))]++;
            odd[category_of(magnitude_of(out[i + 1]))]++;
        }
        if (i < samples) even[category_of(magnitude_of(out[i]))]++;
        for (size_t k = 0; k < LOSSLESS_CATEGORIES; k++) counts[k] += even[k] + odd[k];
    }
    return 0;
}

ptrdiff_t lossless_encode(lossless_encoder *state, const uint8_t *rows, size_t length, uint8_t *out,
                          size_t size) {
    if (state->mark != ENCODER_MARK) return KERNEL_MISUSED;
    const size_t samples = samples_of(&state->parameters);
    const size_t row_length = samples * state->parameters.sample_length;
    if (length % row_length || size / LOSSLESS_WORST(samples) < length / row_length)
        return KERNEL_MISUSED;
    bit_writer writer = {out, out + size, state->bits, state->free, 0};
    int complete = 1;
    for (size_t at = 0; at < length; at += row_length) {
        const uint16_t *each = next_differences(state, rows + at);
        size_t i = 0;
        /* Two at a time: at most 62 bits. */
        for (; i + 1 < samples; i += 2) {
            uint32_t first_length, second_length;
            const uint64_t first = coded(state, each[i], &first_length);
            const uint64_t second = coded(state, each[i + 1], &second_length);
            complete &= first_length && second_length;
            bits_put(&writer, first << second_length | second, first_length + second_length);
        }
        if (i < samples) {
            uint32_t last_length;
            const uint64_t last = coded(state, each[i], &last_length);
            complete &= last_length != 0;
            bits_put(&writer, last, last_length);
        }
    }
    state->bits = writer.bits;
    state->free = writer.free;
    if (!complete) return KERNEL_DAMAGED;
    if (writer.full) return KERNEL_MISUSED;
    return writer.next - out;
}

ptrdiff_t lossless_finish(lossless_encoder *state, uint8_t *out, size_t size) {
    if (state->mark != ENCODER_MARK || size < 32) return KERNEL_MISUSED;
    bit_writer writer = {out, out + size, state->bits, state->free, 0};
    bits_finish(&writer);
    state->mark = 0;
    return writer.full ? KERNEL_MISUSED : writer.next - out;
}

/* ---- decoding ---- */

int lossless_decoder_begin(lossless_decoder *state, const lossless_parameters *parameters,
                           uint32_t stride, uint32_t restart_rows, uint32_t sign_bit) {
    if (!are_valid(parameters) || stride < parameters->components ||
        stride > LOSSLESS_MOST_COMPONENTS || sign_bit > 15)
        return KERNEL_MISUSED;
    memset(state, 0, sizeof *state);
    state->mark = DECODER_MARK;
    state->parameters = *parameters;
    state->stride = stride;
    state->restart_rows = restart_rows;
    state->sign_bit = sign_bit;
    bits_open(&state->reader);
    return 0;
}

int lossless_decoder_component(lossless_decoder *state, uint32_t index, uint32_t offset,
                               const uint8_t *specification, size_t length) {
    if (state->mark != DECODER_MARK || index >= state->parameters.components ||
        offset >= state->stride)
        return KERNEL_MISUSED;
    lossless_table *table = &state->tables[index];
    if (huffman_build_decoder(&table->huffman, specification, length) < 0) return KERNEL_DAMAGED;
    state->offset[index] = offset;
    for (uint32_t ahead = 0; ahead < 1u << LOSSLESS_LOOK; ahead++) {
        bit_reader reader;
        bits_open(&reader);
        reader.bits = (uint64_t)ahead << (64 - LOSSLESS_LOOK);
        reader.count = 63;
        const int category = huffman_decode(&table->huffman, &reader);
        table->look[ahead] = 0;
        if (category < 0 || category > 16) continue;
        const int32_t difference = bits_extend(&reader, (uint32_t)category);
        const uint32_t used = 63 - reader.count;
        if (used <= LOSSLESS_LOOK) table->look[ahead] = (uint32_t)(uint16_t)difference << 16 | used;
    }
    return 0;
}

/* A difference that is not in the table: needs 31 bits, and leaves a reader that is full again. */
static int long_difference(const lossless_table *table, bit_reader *reader, uint16_t *difference) {
    bits_refill(reader);
    const int category = huffman_decode(&table->huffman, reader);
    if (category < 0 || category > 16) return KERNEL_DAMAGED;
    *difference = (uint16_t)bits_extend(reader, (uint32_t)category);
    bits_refill(reader);
    return 0;
}

/* Four differences of at most LOSSLESS_LOOK bits fit into a full reader. */
#define FAST_DIFFERENCES 4

ALWAYS_INLINE int one_difference(const lossless_table *table, bit_reader *reader, uint16_t *out) {
    const uint32_t entry = table->look[bits_peek(reader, LOSSLESS_LOOK)];
    if (!entry) return long_difference(table, reader, out);
    bits_drop(reader, entry & 0xFF);
    *out = (uint16_t)(entry >> 16);
    return 0;
}

ALWAYS_INLINE int read_differences(const lossless_decoder *state, size_t components,
                                   bit_reader *shared, uint16_t *out, size_t samples) {
    const size_t group = components == 1 ? FAST_DIFFERENCES : components;
    bit_reader reader = *shared;
    size_t i = 0;
    int result = 0;
    for (; samples - i >= group && result == 0; i += group) {
        bits_refill(&reader);
        UNROLLED
        for (size_t k = 0; k < group; k++)
            result |= one_difference(&state->tables[components == 1 ? 0 : k], &reader, out + i + k);
    }
    for (; i < samples && result == 0; i++) {
        bits_refill(&reader);
        result |= one_difference(&state->tables[0], &reader, out + i);
    }
    *shared = reader;
    return result ? KERNEL_DAMAGED : 0;
}

ALWAYS_INLINE void reconstruct_by(int predictor, uint16_t *restrict line,
                                  const uint16_t *restrict above, const uint16_t *restrict each,
                                  size_t samples, size_t step) {
    for (size_t i = step; i < samples; i++)
        line[i] =
            (uint16_t)(each[i] + predicted(predictor, line[i - step], above[i], above[i - step]));
}

static void reconstruct(const lossless_parameters *p, int first, uint16_t *line,
                        const uint16_t *above, const uint16_t *each) {
    const size_t samples = samples_of(p), step = p->components;
    const uint16_t half = (uint16_t)(1u << (p->precision - p->point_transform - 1));
    for (size_t i = 0; i < step; i++) line[i] = (uint16_t)(each[i] + (first ? half : above[i]));
    switch (first ? 1 : p->predictor) {
    case 1: reconstruct_by(1, line, above, each, samples, step); break;
    case 2: reconstruct_by(2, line, above, each, samples, step); break;
    case 3: reconstruct_by(3, line, above, each, samples, step); break;
    case 4: reconstruct_by(4, line, above, each, samples, step); break;
    case 5: reconstruct_by(5, line, above, each, samples, step); break;
    case 6: reconstruct_by(6, line, above, each, samples, step); break;
    default: reconstruct_by(7, line, above, each, samples, step); break;
    }
}

static inline uint16_t native(const lossless_decoder *state, uint16_t sample) {
    uint32_t value = (uint32_t)sample << state->parameters.point_transform;
    const uint32_t sign = 1u << state->sign_bit;
    if (state->sign_bit) value = ((value & (2 * sign - 1)) ^ sign) - sign;
    return (uint16_t)value;
}

static void store_row(const lossless_decoder *state, const uint16_t *line, uint8_t *row) {
    const lossless_parameters *p = &state->parameters;
    const size_t samples = samples_of(p);
    const int plain = p->components == state->stride && !p->point_transform && !state->sign_bit;
    if (plain && p->sample_length == 2) {
        memcpy(row, line, samples * 2);
    } else if (plain) {
        for (size_t i = 0; i < samples; i++) row[i] = (uint8_t)line[i];
    } else {
        for (size_t k = 0; k < p->components; k++) {
            const uint16_t *from = line + k;
            for (size_t x = 0; x < p->columns; x++) {
                const uint16_t value = native(state, from[x * p->components]);
                const size_t to = x * state->stride + state->offset[k];
                if (p->sample_length == 2)
                    memcpy(row + 2 * to, &value, 2);
                else
                    row[to] = (uint8_t)value;
            }
        }
    }
}

static int decode_row(lossless_decoder *state, uint8_t *row) {
    const lossless_parameters *p = &state->parameters;
    const size_t samples = samples_of(p);
    if (state->restart_rows && state->row == state->restart_rows) {
        const int result = bits_restart(&state->reader, state->restarts++ & 7);
        if (result < 0) return result;
        state->row = 0;
    }
    uint16_t *even = state->lines, *odd = even + samples, *each = odd + samples;
    uint16_t *line = state->row & 1 ? odd : even;
    const uint16_t *above = state->row & 1 ? even : odd;
    int result;
    if (p->components == 1)
        result = read_differences(state, 1, &state->reader, each, samples);
    else if (p->components == 3)
        result = read_differences(state, 3, &state->reader, each, samples);
    else
        result = read_differences(state, p->components, &state->reader, each, samples);
    /* Zeros that the stream does not have may look like damage: its end comes first. */
    if (bits_overrun(&state->reader)) return KERNEL_SHORT;
    if (result < 0) return result;
    reconstruct(p, state->row == 0, line, above, each);
    store_row(state, line, row);
    state->row++;
    return 0;
}

int lossless_decode(lossless_decoder *state, const uint8_t *data, size_t length, int last,
                    uint8_t *out, size_t size, size_t *consumed, size_t *rows) {
    *consumed = *rows = 0;
    if (state->mark != DECODER_MARK) return KERNEL_MISUSED;
    const lossless_parameters *p = &state->parameters;
    const size_t row_length = (size_t)p->columns * state->stride * p->sample_length;
    if (size % row_length) return KERNEL_MISUSED;
    const size_t needed = LOSSLESS_WORST(samples_of(p)) + BITS_AHEAD;
    const size_t wanted = size / row_length;
    bits_continue(&state->reader, data, length);
    int result = 0;
    while (*rows < wanted && result == 0) {
        if (!last && (size_t)(state->reader.end - state->reader.next) < needed) break;
        result = decode_row(state, out + *rows * row_length);
        if (result == 0) ++*rows;
    }
    *consumed = (size_t)(state->reader.next - data);
    state->reader.next = state->reader.end = NULL;
    return result;
}
