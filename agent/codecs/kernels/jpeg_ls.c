#include "jpeg_ls.h"

#include "jpeg_ls_model.h"

#define ENCODER_MARK 0x4A535345u
#define DECODER_MARK 0x4A535344u

/* ---- parameters ---- */

static int are_valid(const jpeg_ls_parameters *p) {
    if (p->columns < 1 || p->columns > 65535 || p->components < 1 ||
        p->components > JPEG_LS_MOST_COMPONENTS || p->interleave > JPEG_LS_SAMPLE ||
        (p->interleave == JPEG_LS_NONE && p->components > 1) || p->sample_length < 1 ||
        p->sample_length > 2 || p->largest < 1 || p->largest >> (8 * p->sample_length))
        return 0;
    /* C.2.4.1.1 */
    return p->near <= 255 && p->near <= p->largest / 2 && p->threshold[0] > p->near &&
           p->threshold[0] <= p->threshold[1] && p->threshold[1] <= p->threshold[2] &&
           p->threshold[2] <= p->largest && p->reset >= 3 && p->reset <= 65535;
}

static size_t line_length(const jpeg_ls_parameters *p) { return (size_t)p->columns + 2; }

static size_t lines_length(const jpeg_ls_parameters *p) {
    return 2 * p->components * line_length(p);
}

size_t jpeg_ls_state_size(const jpeg_ls_parameters *parameters) {
    if (!are_valid(parameters)) return 0;
    return sizeof(jpeg_ls_state) + lines_length(parameters) * sizeof(uint16_t) +
           2 * (size_t)parameters->largest + 1;
}

static uint32_t bits_of(uint32_t value) { return 64 - leading_zeros(value); }

/* A.2.1 */
static jpeg_ls_measures measured(const jpeg_ls_parameters *p) {
    jpeg_ls_measures m;
    m.largest = (int32_t)p->largest;
    m.near = (int32_t)p->near;
    m.step = 2 * m.near + 1;
    m.range = (m.largest + 2 * m.near) / m.step + 1;
    m.reciprocal = UINT32_MAX / (uint32_t)m.step + 1;
    m.reset = p->reset;
    m.suffix = bits_of((uint32_t)m.range - 1);
    const uint32_t depth = p->largest < 4 ? 2 : bits_of(p->largest);
    m.limit = 2 * (depth + (depth > 8 ? depth : 8));
    m.prefix = m.limit - m.suffix - 1;
    m.start = (uint32_t)(m.range + 32) / 64;
    if (m.start < 2) m.start = 2;
    return m;
}

/* The region of each difference (A.3.3). */
static void fill_regions(const jpeg_ls_parameters *p, int8_t *zero) {
    const int32_t largest = (int32_t)p->largest;
    for (int32_t d = -largest; d <= largest; d++) {
        const uint32_t size = (uint32_t)(d < 0 ? -d : d);
        int8_t region = 0;
        if (size > p->near)
            region = (int8_t)(1 + (size >= p->threshold[0]) + (size >= p->threshold[1]) +
                              (size >= p->threshold[2]));
        zero[d] = d < 0 ? (int8_t)-region : region;
    }
}

/* A.2.1 and A.2.2: as at the begin of a scan. */
static void restart(jpeg_ls_state *state) {
    const jpeg_ls_measures *m = &state->measures;
    for (size_t i = 0; i < JPEG_LS_CONTEXTS; i++) {
        const jpeg_ls_context fresh = {m->start, 0, 1, 0, golomb_parameter(1, m->start), 0};
        state->contexts[i] = fresh;
    }
    for (size_t i = 0; i < 2; i++) {
        const jpeg_ls_run_context fresh = {m->start, 1, 0};
        state->runs[i] = fresh;
    }
    memset(state->run_index, 0, sizeof state->run_index);
    memset(state->lines, 0, lines_length(&state->parameters) * sizeof(uint16_t));
    state->row = 0;
}

static void begin(jpeg_ls_state *state, const jpeg_ls_parameters *parameters, uint32_t mark) {
    memset(state, 0, sizeof *state);
    state->mark = mark;
    state->parameters = *parameters;
    state->measures = measured(parameters);
    int8_t *regions = (int8_t *)(state->lines + lines_length(parameters));
    fill_regions(parameters, regions + parameters->largest);
    restart(state);
}

/* ---- rows ---- */

/* Turns to the next row, and gives it and the one above their margins (A.2.1, Figure A.1). */
static ls_rows next_rows(jpeg_ls_state *state) {
    const jpeg_ls_parameters *p = &state->parameters;
    const size_t length = line_length(p);
    ls_rows rows;
    rows.columns = p->columns;
    rows.regions = (const int8_t *)(state->lines + lines_length(p)) + p->largest;
    for (size_t k = 0; k < p->components; k++) {
        uint16_t *first = state->lines + 2 * k * length + 1, *second = first + length;
        uint16_t *above = state->row & 1 ? first : second;
        rows.line[k] = state->row & 1 ? second : first;
        above[p->columns] = above[p->columns - 1];
        rows.line[k][-1] = above[0];
        rows.above[k] = above;
    }
    return rows;
}

/* ---- encoding ---- */

int jpeg_ls_encoder_begin(jpeg_ls_state *state, const jpeg_ls_parameters *parameters,
                          uint32_t sign_bit) {
    if (!are_valid(parameters) || sign_bit >= 8 * parameters->sample_length) return KERNEL_MISUSED;
    begin(state, parameters, ENCODER_MARK);
    state->sign_bit = sign_bit;
    state->writer.free = 64;
    return 0;
}

uint32_t jpeg_ls_bits_seen(const uint8_t *rows, size_t length, uint32_t sample_length) {
    uint32_t seen = 0;
    if (sample_length == 1)
        for (size_t i = 0; i < length; i++) seen |= rows[i];
    else
        for (size_t i = 0; i + 1 < length; i += 2) {
            uint16_t sample;
            memcpy(&sample, rows + i, 2);
            seen |= sample;
        }
    return seen;
}

/* A component of a row of native samples; the largest of them. */
static uint32_t load(const jpeg_ls_parameters *p, const uint8_t *row, size_t component,
                     uint16_t *line) {
    const size_t step = p->components;
    uint32_t largest = 0;
    if (p->sample_length == 1) {
        row += component;
        for (size_t x = 0; x < p->columns; x++) line[x] = row[x * step];
    } else {
        row += 2 * component;
        for (size_t x = 0; x < p->columns; x++) memcpy(line + x, row + 2 * x * step, 2);
    }
    for (size_t x = 0; x < p->columns; x++) largest = line[x] > largest ? line[x] : largest;
    return largest;
}

/* Whether an error of NEAR leaves signed samples what they are. */
static int keep_their_sign(const jpeg_ls_state *state, const uint16_t *line) {
    const jpeg_ls_parameters *p = &state->parameters;
    const int32_t half = 1 << state->sign_bit, near = (int32_t)p->near;
    const int32_t cell = 1 << (8 * p->sample_length);
    int32_t lowest = 0, highest = 0;
    for (size_t x = 0; x < p->columns; x++) {
        const int32_t value = line[x] >= cell / 2 ? line[x] - cell : line[x];
        if (value < lowest) lowest = value;
        if (value > highest) highest = value;
    }
    return lowest - near >= -half && highest + near < half;
}

static int encode_row(jpeg_ls_state *state, ls_writer *writer, const uint8_t *row) {
    const jpeg_ls_parameters *p = &state->parameters;
    const ls_rows rows = next_rows(state);
    for (size_t k = 0; k < p->components; k++) {
        if (load(p, row, k, rows.line[k]) > p->largest) return KERNEL_DAMAGED;
        if (p->near && state->sign_bit && !keep_their_sign(state, rows.line[k]))
            return KERNEL_DAMAGED;
    }
    if (p->interleave == JPEG_LS_SAMPLE)
        ls_encode_pixels(state, writer, &rows);
    else
        for (uint32_t k = 0; k < p->components; k++) ls_encode_line(state, writer, &rows, k);
    state->row++;
    return 0;
}

ptrdiff_t jpeg_ls_encode(jpeg_ls_state *state, const uint8_t *rows, size_t length, uint8_t *out,
                         size_t size) {
    if (state->mark != ENCODER_MARK || !are_valid(&state->parameters)) return KERNEL_MISUSED;
    const jpeg_ls_parameters *p = &state->parameters;
    const size_t samples = (size_t)p->columns * p->components;
    const size_t row_length = samples * p->sample_length;
    if (length % row_length || length / row_length > size / JPEG_LS_WORST(samples))
        return KERNEL_MISUSED;
    state->writer.next = out;
    state->writer.end = out + size;
    int result = 0;
    for (size_t start = 0; start < length && result == 0; start += row_length)
        result = encode_row(state, &state->writer, rows + start);
    const ptrdiff_t written = state->writer.next - out;
    state->writer.next = state->writer.end = NULL;
    if (state->writer.full) return KERNEL_MISUSED;
    return result < 0 ? result : written;
}

ptrdiff_t jpeg_ls_finish(jpeg_ls_state *state, uint8_t *out, size_t size) {
    if (state->mark != ENCODER_MARK || size < 32) return KERNEL_MISUSED;
    state->writer.next = out;
    state->writer.end = out + size;
    ls_finish(&state->writer);
    const ptrdiff_t written = state->writer.next - out;
    state->writer.next = state->writer.end = NULL;
    return state->writer.full ? KERNEL_MISUSED : written;
}

/* ---- decoding ---- */

int jpeg_ls_decoder_begin(jpeg_ls_state *state, const jpeg_ls_parameters *parameters,
                          uint32_t stride, const uint32_t *offset, uint32_t restart_rows,
                          uint32_t sign_bit) {
    if (!are_valid(parameters) || stride < parameters->components ||
        stride > JPEG_LS_MOST_COMPONENTS || sign_bit >= 8 * parameters->sample_length)
        return KERNEL_MISUSED;
    for (size_t k = 0; k < parameters->components; k++)
        if (offset[k] >= stride) return KERNEL_MISUSED;
    begin(state, parameters, DECODER_MARK);
    state->stride = stride;
    state->restart_rows = restart_rows;
    state->sign_bit = sign_bit;
    memcpy(state->offset, offset, parameters->components * sizeof *offset);
    return 0;
}

static void store(const jpeg_ls_state *state, const uint16_t *line, size_t component,
                  uint8_t *row) {
    const jpeg_ls_parameters *p = &state->parameters;
    const size_t step = state->stride, offset = state->offset[component];
    const uint32_t sign = state->sign_bit ? 1u << state->sign_bit : 0;
    if (p->sample_length == 1) {
        row += offset;
        for (size_t x = 0; x < p->columns; x++) row[x * step] = (uint8_t)((line[x] ^ sign) - sign);
    } else {
        row += 2 * offset;
        for (size_t x = 0; x < p->columns; x++) {
            const uint16_t value = (uint16_t)((line[x] ^ sign) - sign);
            memcpy(row + 2 * x * step, &value, 2);
        }
    }
}

static int decode_row(jpeg_ls_state *state, ls_reader *reader, uint8_t *row) {
    const jpeg_ls_parameters *p = &state->parameters;
    if (state->restart_rows && state->row == state->restart_rows) {
        const int result = ls_restart(reader, state->restarts & 7);
        if (result < 0) return result;
        state->restarts++;
        restart(state);
    }
    const ls_rows rows = next_rows(state);
    int result = 0;
    if (p->interleave == JPEG_LS_SAMPLE)
        result = ls_decode_pixels(state, reader, &rows);
    else
        for (uint32_t k = 0; k < p->components && result == 0; k++)
            result = ls_decode_line(state, reader, &rows, k);
    /* Zeros that the stream does not have may look like damage: its end comes first. */
    if (ls_overrun(reader)) return KERNEL_SHORT;
    if (result < 0) return result;
    for (size_t k = 0; k < p->components; k++) store(state, rows.line[k], k, row);
    state->row++;
    return 0;
}

int jpeg_ls_decode(jpeg_ls_state *state, const uint8_t *data, size_t length, int last, uint8_t *out,
                   size_t size, size_t *consumed, size_t *rows) {
    *consumed = *rows = 0;
    if (state->mark != DECODER_MARK || !are_valid(&state->parameters)) return KERNEL_MISUSED;
    const jpeg_ls_parameters *p = &state->parameters;
    const size_t row_length = (size_t)p->columns * state->stride * p->sample_length;
    if (size % row_length) return KERNEL_MISUSED;
    const size_t needed = JPEG_LS_WORST((size_t)p->columns * p->components) + BITS_AHEAD;
    const size_t wanted = size / row_length;
    ls_reader *reader = &state->reader;
    reader->next = data;
    reader->end = data + length;
    int result = 0;
    while (*rows < wanted && result == 0) {
        if (!last && (size_t)(reader->end - reader->next) < needed) break;
        result = decode_row(state, reader, out + *rows * row_length);
        if (result == 0) ++*rows;
    }
    *consumed = (size_t)(reader->next - data);
    reader->next = reader->end = NULL;
    /* What was in work is not to go on with. */
    if (result < 0) state->mark = 0;
    return result;
}
