/* The RLE kernel given any bytes at all: as a segment to decode, in windows of a size that they
 * choose, and as rows to encode, which must come back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../agent/codecs/kernels/rle.h"

#define COLUMNS 97u
#define ROWS 13u

static void must(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Decodes a segment in windows; how many bytes of the plane came. */
static size_t decode(const uint8_t *data, size_t length, size_t window, uint8_t *out, size_t size,
                     size_t offset, size_t stride) {
    rle_state state;
    rle_begin(&state);
    const size_t wanted = size / stride;
    size_t at = 0, done = 0;
    while (done < wanted) {
        const size_t part = length - at < window ? length - at : window;
        /* Of its own length, so that reading beyond it is found. */
        uint8_t *piece = malloc(part ? part : 1);
        memcpy(piece, data + at, part);
        size_t consumed, produced;
        const int result = rle_decode(&state, piece, part, out + done * stride,
                                      (wanted - done) * stride, offset, stride, &consumed,
                                      &produced);
        free(piece);
        must(result == 0 && consumed <= part && produced <= wanted - done, "decode");
        at += consumed;
        done += produced;
        if (!consumed && !produced) break;
    }
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length < 4) return 0;
    const size_t stride = 1 + data[0] % 5, offset = data[1] % stride, window = 1 + data[2];
    const size_t columns = 1 + data[3] % COLUMNS;
    data += 4;
    length -= 4;

    const size_t row_length = columns * stride, size = row_length * ROWS;
    uint8_t *rows = calloc(1, size), *again = calloc(1, size);
    decode(data, length, window, rows, size, offset, stride);
    for (size_t i = 0; i < size && length; i++) rows[i] ^= data[i % length];

    const size_t room = RLE_WORST(columns) * ROWS;
    uint8_t *segment = malloc(room);
    const ptrdiff_t written = rle_encode(rows, size, row_length, offset, stride, segment, room);
    must(written > 0 && (size_t)written <= room, "encode");
    must(rle_encode(rows, size, row_length, offset, stride, segment, room - 1) == KERNEL_MISUSED,
         "room");
    const size_t done = decode(segment, (size_t)written, window, again, size, offset, stride);
    must(done == columns * ROWS, "length");
    for (size_t i = offset; i < size; i += stride) must(rows[i] == again[i], "round trip");
    free(segment);
    free(again);
    free(rows);
    return 0;
}
