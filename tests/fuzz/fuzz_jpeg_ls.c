/* The JPEG-LS kernel given any bytes at all: parameters, what is decoded, and what is encoded.
 *
 * The first bytes are the parameters, the rest is a scan. It is decoded in windows of a size that
 * they choose as well, then its bytes are taken for samples, encoded, and must come back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/codecs/kernels/jpeg_ls.h"

#define ROWS 24u

static void *exactly(size_t size) {
    void *buffer = malloc(size ? size : 1);
    if (!buffer) abort();
    return buffer;
}

/* Decodes up to ROWS rows in pieces of at most `piece` bytes; returns how many there were. */
static size_t decode(jpeg_ls_state *state, const uint8_t *data, size_t length, size_t piece,
                     uint8_t *out, size_t row_length, int *result) {
    size_t at = 0, done = 0, window = piece;
    *result = 0;
    while (done < ROWS) {
        const size_t part = length - at < window ? length - at : window;
        const int last = part == length - at;
        uint8_t *copy = exactly(part);
        memcpy(copy, data + at, part);
        size_t consumed, rows;
        *result = jpeg_ls_decode(state, copy, part, last, out + done * row_length,
                                 (ROWS - done) * row_length, &consumed, &rows);
        free(copy);
        if (*result == KERNEL_MISUSED || consumed > part || rows > ROWS - done) abort();
        at += consumed;
        done += rows;
        if (*result < 0 || (last && rows == 0)) break;
        window = rows ? piece : window * 2;
    }
    return done;
}

static void encode_and_compare(const jpeg_ls_parameters *p, const uint8_t *data, size_t length) {
    const size_t samples = (size_t)p->columns * p->components;
    const size_t row_length = samples * p->sample_length, size = jpeg_ls_state_size(p);
    uint8_t *rows = exactly(ROWS * row_length), *back = exactly(ROWS * row_length);
    for (size_t i = 0; i < ROWS * row_length; i++) rows[i] = length ? data[i % length] : 0;
    for (size_t i = 0; i < ROWS * samples; i++) {
        if (p->sample_length == 1) {
            if (rows[i] > p->largest) rows[i] = (uint8_t)p->largest;
        } else {
            uint16_t sample;
            memcpy(&sample, rows + 2 * i, 2);
            if (sample > p->largest) sample = (uint16_t)p->largest;
            memcpy(rows + 2 * i, &sample, 2);
        }
    }
    jpeg_ls_state *state = exactly(size);
    const size_t room = ROWS * JPEG_LS_WORST(samples);
    uint8_t *coded = exactly(room + 32);
    if (jpeg_ls_encoder_begin(state, p, 0) < 0) abort();
    const ptrdiff_t written = jpeg_ls_encode(state, rows, ROWS * row_length, coded, room);
    if (written < 0) abort();
    const ptrdiff_t rest = jpeg_ls_finish(state, coded + written, 32);
    if (rest < 0) abort();
    const uint32_t offsets[JPEG_LS_MOST_COMPONENTS] = {0, 1, 2, 3};
    int result;
    if (jpeg_ls_decoder_begin(state, p, p->components, offsets, 0, 0) < 0) abort();
    if (decode(state, coded, (size_t)(written + rest), room, back, row_length, &result) != ROWS)
        abort();
    for (size_t i = 0; i < ROWS * samples; i++) {
        int one, other;
        if (p->sample_length == 1) {
            one = rows[i];
            other = back[i];
        } else {
            uint16_t pair[2];
            memcpy(pair, rows + 2 * i, 2);
            memcpy(pair + 1, back + 2 * i, 2);
            one = pair[0];
            other = pair[1];
        }
        if (abs(one - other) > (int)p->near) abort();
    }
    free(coded);
    free(state);
    free(back);
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length < 20) return 0;
    jpeg_ls_parameters p;
    memset(&p, 0, sizeof p);
    p.columns = 1 + data[0] % 80u;
    p.interleave = data[1] % 3u;
    p.components = p.interleave ? 1 + data[1] / 3 % 4u : 1;
    p.sample_length = 1 + data[2] % 2u;
    p.near = data[3] % 16u ? data[3] % 5u : data[4];
    const uint32_t precision = 2 + data[5] % (8 * p.sample_length - 1u);
    p.largest = (1u << precision) - 1;
    if (data[5] & 128) p.largest = (uint32_t)(data[6] << 8 | data[7]) & p.largest;
    for (int i = 0; i < 3; i++) p.threshold[i] = (uint32_t)(data[8 + 2 * i] << 8 | data[9 + 2 * i]);
    p.reset = data[14] ? data[14] : 65535u;
    if (!(data[15] & 1)) { /* mostly something that can be */
        uint32_t least = p.near + 1;
        for (int i = 0; i < 3; i++) {
            p.threshold[i] = least + p.threshold[i] % 64u;
            if (p.threshold[i] > p.largest) p.threshold[i] = p.largest;
            least = p.threshold[i];
        }
    }
    const size_t piece = 1 + (size_t)(data[16] << 4), size = jpeg_ls_state_size(&p);
    const uint32_t restart_rows = data[17] % 5u, sign_bit = data[18] % (8 * p.sample_length);
    data += 20;
    length -= 20;
    jpeg_ls_state *state = exactly(size ? size : sizeof *state);
    const uint32_t stride = p.interleave ? p.components : 1 + data[-1] % 4u;
    uint32_t offsets[JPEG_LS_MOST_COMPONENTS] = {0, 1, 2, 3};
    if (!p.interleave) offsets[0] = stride - 1;
    const int begun =
        jpeg_ls_decoder_begin(state, &p, stride, offsets, restart_rows, sign_bit);
    if ((begun == 0) != (size != 0)) abort();
    if (size) {
        const size_t row_length = (size_t)p.columns * stride * p.sample_length;
        uint8_t *out = exactly(ROWS * row_length);
        int result;
        decode(state, data, length, piece, out, row_length, &result);
        free(out);
        encode_and_compare(&p, data, length);
    }
    free(state);
    return 0;
}
