/* The kernel of JPEG lossless given any bytes at all: parameters, a Huffman table and a scan, decoded
 * in windows of a size that they choose; what comes out is encoded, and must come back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/codecs/kernels/jpeg_lossless.h"

#define ROWS 9u
#define SPECIFICATION (HUFFMAN_LONGEST + LOSSLESS_CATEGORIES)

/* Seventeen codes of five bits. */
static const uint8_t plain[SPECIFICATION] = {0, 0, 0, 0, 17, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0, 0,
                                             1, 2, 3, 4, 5,  6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static lossless_decoder *opened(const lossless_parameters *p, uint32_t stride, uint32_t restart,
                                uint32_t sign, const uint8_t *table, size_t table_length) {
    const size_t size = lossless_decoder_size(p);
    if (!size) return NULL;
    lossless_decoder *state = calloc(1, size);
    int result = lossless_decoder_begin(state, p, stride, restart, sign);
    for (uint32_t i = 0; i < p->components && result == 0; i++)
        result = lossless_decoder_component(state, i, i, table, table_length);
    if (result == 0) return state;
    free(state);
    return NULL;
}

/* How many rows came. */
static size_t decode(lossless_decoder *state, const uint8_t *data, size_t length, size_t window,
                     uint8_t *out, size_t row_length) {
    size_t at = 0, done = 0;
    const size_t unit =
        LOSSLESS_WORST((size_t)state->parameters.columns * state->parameters.components) + window +
        BITS_AHEAD;
    while (done < ROWS) {
        const size_t part = length - at < unit ? length - at : unit;
        uint8_t *piece = malloc(part ? part : 1);
        memcpy(piece, data + at, part);
        size_t consumed, rows;
        const int result = lossless_decode(state, piece, part, at + part == length,
                                           out + done * row_length, (ROWS - done) * row_length,
                                           &consumed, &rows);
        free(piece);
        must(result != KERNEL_MISUSED && consumed <= part && rows <= ROWS - done, "decode");
        at += consumed;
        done += rows;
        if (result || !rows) break;
    }
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length < 10) return 0;
    const uint32_t sample_length = 1 + (data[2] & 1);
    const lossless_parameters p = {1u + data[0] % 70u,      1u + data[1] % 4u, sample_length,
                                   2u + data[2] / 2u % 15u, data[3] % 5u,      data[4] % 9u};
    const uint32_t stride = p.components + data[5] % 2u, restart = data[6] % 4u;
    const uint32_t sign = data[7] % 3u ? 0 : p.precision - 1;
    const size_t window = data[8], table_length = data[9] % 64u;
    data += 10;
    length -= 10;
    const uint8_t *table = plain;
    size_t specified = sizeof plain;
    if (table_length && length > table_length) {
        table = data;
        specified = table_length;
        data += table_length;
        length -= table_length;
    }
    lossless_decoder *state = opened(&p, stride, restart, sign, table, specified);
    if (!state) return 0;
    const size_t row_length = (size_t)p.columns * stride * sample_length;
    uint8_t *rows = calloc(ROWS, row_length);
    decode(state, data, length, window, rows, row_length);
    free(state);

    lossless_parameters whole = p;
    whole.components = stride < 5 ? stride : 4;
    whole.point_transform = 0;
    const size_t size = lossless_encoder_size(&whole);
    if (size && stride == whole.components) {
        for (size_t i = 0; i < ROWS * row_length && length; i++) rows[i] ^= data[i % length];
        lossless_encoder *encoder = calloc(1, size);
        must(lossless_encoder_begin(encoder, &whole, plain, sizeof plain) == 0, "begin");
        const size_t room = ROWS * LOSSLESS_WORST((size_t)whole.columns * whole.components) + 32;
        uint8_t *stream = malloc(room);
        ptrdiff_t written = lossless_encode(encoder, rows, ROWS * row_length, stream, room - 32);
        must(written >= 0, "encode");
        const ptrdiff_t end = lossless_finish(encoder, stream + written, 32);
        must(end >= 0, "finish");
        written += end;
        free(encoder);
        state = opened(&whole, stride, 0, 0, plain, sizeof plain);
        uint8_t *again = calloc(ROWS, row_length);
        must(decode(state, stream, (size_t)written, window, again, row_length) == ROWS, "rows");
        must(memcmp(rows, again, ROWS * row_length) == 0, "round trip");
        free(again);
        free(state);
        free(stream);
    }
    free(rows);
    return 0;
}
