#include "rle.h"

#include <string.h>

#define RLE_MARK 0x524C4531u
#define LONGEST 128u
#define NO_HEADER 256u

/* One row of a plane. A run of three or more is always worth a packet of its own; a run of two only
 * where no literals are open, for it would cost them a second header. */
static inline uint8_t *encode_row(const uint8_t *in, size_t count, size_t stride, uint8_t *out) {
    size_t at = 0;
    while (at < count) {
        size_t run = 1;
        const uint8_t value = in[at * stride];
        while (at + run < count && run < LONGEST && in[(at + run) * stride] == value) run++;
        if (run >= 2) {
            *out++ = (uint8_t)(257 - run);
            *out++ = value;
            at += run;
            continue;
        }
        uint8_t *header = out++;
        size_t literals = 0;
        while (at < count && literals < LONGEST) {
            const uint8_t next = in[at * stride];
            if (at + 2 < count && in[(at + 1) * stride] == next && in[(at + 2) * stride] == next)
                break;
            *out++ = next;
            literals++;
            at++;
        }
        *header = (uint8_t)(literals - 1);
    }
    return out;
}

ptrdiff_t rle_encode(const uint8_t *rows, size_t length, size_t row_length, size_t offset,
                     size_t stride, uint8_t *out, size_t size) {
    if (stride == 0 || offset >= stride || row_length == 0 || row_length % stride ||
        length % row_length)
        return KERNEL_MISUSED;
    const size_t count = row_length / stride;
    if (length / row_length > size / RLE_WORST(count)) return KERNEL_MISUSED;
    uint8_t *end = out;
    for (size_t start = 0; start < length; start += row_length) {
        const uint8_t *row = rows + start + offset;
        /* Known strides let the compiler make better loops. */
        if (stride == 1)
            end = encode_row(row, count, 1, end);
        else if (stride == 2)
            end = encode_row(row, count, 2, end);
        else
            end = encode_row(row, count, stride, end);
    }
    return end - out;
}

void rle_begin(rle_state *state) {
    memset(state, 0, sizeof *state);
    state->mark = RLE_MARK;
    state->header = NO_HEADER;
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static inline void scatter(uint8_t *to, size_t stride, const uint8_t *from, size_t count) {
    if (stride == 1) {
        memcpy(to, from, count);
        return;
    }
    for (size_t i = 0; i < count; i++) to[i * stride] = from[i];
}

static inline void fill(uint8_t *to, size_t stride, uint8_t value, size_t count) {
    if (stride == 1) {
        memset(to, value, count);
        return;
    }
    for (size_t i = 0; i < count; i++) to[i * stride] = value;
}

int rle_decode(rle_state *state, const uint8_t *data, size_t length, uint8_t *out, size_t size,
               size_t offset, size_t stride, size_t *consumed, size_t *produced) {
    *consumed = *produced = 0;
    if (state->mark != RLE_MARK || stride == 0 || offset >= stride || size % stride)
        return KERNEL_MISUSED;
    const size_t count = size / stride;
    uint8_t *to = out + offset;
    size_t in = 0, done = 0;
    while (done < count) {
        if (state->literals) {
            const size_t part = smaller(smaller(state->literals, length - in), count - done);
            if (part == 0) break;
            scatter(to + done * stride, stride, data + in, part);
            in += part;
            done += part;
            state->literals -= (uint32_t)part;
        } else if (state->replicates) {
            const size_t part = smaller(state->replicates, count - done);
            fill(to + done * stride, stride, (uint8_t)state->value, part);
            done += part;
            state->replicates -= (uint32_t)part;
        } else if (in == length) {
            break;
        } else if (state->header != NO_HEADER) {
            state->value = data[in++];
            state->replicates = 257 - state->header;
            state->header = NO_HEADER;
        } else {
            const uint8_t header = data[in++];
            if (header < 128)
                state->literals = header + 1u;
            else if (header > 128)
                state->header = header;
            /* 128 says nothing (G.3.2). */
        }
    }
    *consumed = in;
    *produced = done;
    return 0;
}
