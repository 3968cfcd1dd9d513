/* Huffman codes of JPEG (ITU-T T.81 annexes C and F), and the bits of an entropy-coded segment.
 *
 * Tables are built from a specification: 16 counts, then the values, as in a DHT segment. Reader
 * and writer are meant to live in local variables while a kernel works. */
#ifndef GANTRY_HUFFMAN_H
#define GANTRY_HUFFMAN_H

#include <string.h>

#include "kernels.h"

#define HUFFMAN_LONGEST 16
#define HUFFMAN_LOOK 9

typedef struct {
    uint32_t limit[HUFFMAN_LONGEST + 1]; /* what is less, left-aligned in 16 bits, is not longer */
    int32_t offset[HUFFMAN_LONGEST + 1]; /* from a code of this length to the place of its value */
    uint16_t look[1 << HUFFMAN_LOOK];    /* length << 8 | value; 0 where the code is longer */
    uint8_t values[256];
} huffman_decoder;

typedef struct {
    uint16_t code[256];
    uint8_t length[256]; /* 0: the symbol has no code */
} huffman_encoder;

/* Both return 0, or KERNEL_DAMAGED for what is no table (C.2): too short, codes that do not fit
 * their length, a code of all ones. An encoder takes the first code of a value that comes twice. */
int huffman_build_decoder(huffman_decoder *decoder, const uint8_t *specification, size_t length);
int huffman_build_encoder(huffman_encoder *encoder, const uint8_t *specification, size_t length);

static inline uint64_t load_big_endian(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, sizeof value);
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(value);
#else
    value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | from[i];
    return value;
#endif
}

static inline void store_big_endian(uint8_t *to, uint64_t value) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
#else
    for (int i = 7; i >= 0; i--, value >>= 8) to[i] = (uint8_t)value;
#endif
}

/* Not 0 where one of the eight bytes is FF. */
static inline uint64_t has_ff(uint64_t value) {
    return (~value - UINT64_C(0x0101010101010101)) & value & UINT64_C(0x8080808080808080);
}

/* ---- reading ----
 *
 * `bits` has the next bit on top; the `count` upper ones are valid, what is below them is either 0
 * or already what comes next. Stuffed zeros are taken out. At a marker, and at `end`, the reader
 * stops and goes on with zero bits that it counts: `bits_overrun` says whether any of them was
 * used. `next` never passes a marker. */
typedef struct {
    const uint8_t *next;
    const uint8_t *end;
    uint64_t bits;
    uint32_t count;
    uint32_t invented; /* zero bits among those fed; stays small: see bits_overrun */
} bit_reader;

/* How much more than the worst case of a unit a window must have that is not the last one: the
 * reader looks ahead, and must not take the end of the window for that of the stream. */
#define BITS_AHEAD 16

static inline void bits_open(bit_reader *reader) { memset(reader, 0, sizeof *reader); }

/* Reads on in a window that begins where the last one was left (its `next`). */
static inline void bits_continue(bit_reader *reader, const uint8_t *data, size_t length) {
    reader->next = data;
    reader->end = data + length;
}

/* At least 57 valid bits, byte by byte. */
static inline void bits_refill_slowly(bit_reader *reader) {
    /* What lies below the valid bits may not be what follows once zeros are fed. */
    if (reader->count == 0)
        reader->bits = 0;
    else
        reader->bits &= ~UINT64_C(0) << (64 - reader->count);
    while (reader->count <= 56) {
        uint64_t byte = 0;
        if (reader->next < reader->end && *reader->next != 0xFF) {
            byte = *reader->next++;
        } else if (reader->end - reader->next >= 2 && reader->next[1] == 0) {
            byte = 0xFF;
            reader->next += 2;
        } else if (reader->invented < (UINT32_MAX >> 1)) {
            reader->invented += 8;
        }
        reader->bits |= byte << (56 - reader->count);
        reader->count += 8;
    }
}

/* At least 56 valid bits. */
static inline void bits_refill(bit_reader *reader) {
    if (reader->end - reader->next >= 8) {
        const uint64_t ahead = load_big_endian(reader->next);
        if (!has_ff(ahead)) {
            /* count < 64 here: a reader that is full would shift by 64. */
            if (reader->count > 56) return;
            reader->bits |= ahead >> reader->count;
            reader->next += (63 - reader->count) >> 3;
            reader->count |= 56;
            return;
        }
    }
    bits_refill_slowly(reader);
}

/* The next `count` bits, 1 to 32, which must be valid. */
static inline uint32_t bits_peek(const bit_reader *reader, uint32_t count) {
    return (uint32_t)(reader->bits >> (64 - count));
}

/* Takes `count` valid bits, 0 to 56. */
static inline void bits_drop(bit_reader *reader, uint32_t count) {
    reader->bits <<= count;
    reader->count -= count;
}

/* Whether bits were used that the stream does not have. Kernels ask after each unit (a row, an
 * MCU); the segment is then too short. */
static inline int bits_overrun(const bit_reader *reader) {
    return reader->invented > reader->count;
}

/* The next symbol, 0 to 255, or KERNEL_DAMAGED where no code begins so. Needs 16 valid bits. */
static inline int huffman_decode(const huffman_decoder *decoder, bit_reader *reader) {
    const uint32_t ahead = bits_peek(reader, HUFFMAN_LONGEST);
    const uint32_t entry = decoder->look[ahead >> (HUFFMAN_LONGEST - HUFFMAN_LOOK)];
    if (entry) {
        bits_drop(reader, entry >> 8);
        return (int)(entry & 0xFF);
    }
    for (uint32_t length = HUFFMAN_LOOK + 1; length <= HUFFMAN_LONGEST; length++)
        if (ahead < decoder->limit[length]) {
            const int32_t place =
                (int32_t)(ahead >> (HUFFMAN_LONGEST - length)) + decoder->offset[length];
            bits_drop(reader, length);
            return decoder->values[place & 0xFF];
        }
    return KERNEL_DAMAGED;
}

/* The difference of category `size`, 0 to 16, whose bits come next (F.2.2.1, H.1.2.2). Needs that
 * many valid bits; category 16 has none. */
static inline int32_t bits_extend(bit_reader *reader, uint32_t size) {
    if (size == 0) return 0;
    if (size >= 16) return 32768;
    const int32_t value = (int32_t)bits_peek(reader, size);
    bits_drop(reader, size);
    return value < (1 << (size - 1)) ? value - (1 << size) + 1 : value;
}

/* Passes any fill bytes and the marker RST`number` (modulo 8). KERNEL_DAMAGED where something else
 * stands there, KERNEL_SHORT at the end of the data. */
static inline int pass_restart_marker(const uint8_t **next, const uint8_t *end, uint32_t number) {
    const uint8_t *at = *next;
    while (end - at >= 2 && at[0] == 0xFF && at[1] == 0xFF) at++;
    *next = at;
    if (end - at < 2) return KERNEL_SHORT;
    if (at[0] != 0xFF || at[1] != 0xD0 + (number & 7)) return KERNEL_DAMAGED;
    *next = at + 2;
    return 0;
}

/* Ends a restart interval: passes the rest of its last byte, and its marker. Whole bytes of the
 * interval that were not used are damage as well. */
static inline int bits_restart(bit_reader *reader, uint32_t number) {
    if (reader->count - (reader->invented < reader->count ? reader->invented : reader->count) >= 8)
        return KERNEL_DAMAGED;
    reader->bits = 0;
    reader->count = reader->invented = 0;
    return pass_restart_marker(&reader->next, reader->end, number);
}

/* ---- writing ----
 *
 * The lower `64 - free` bits are kept until eight bytes are full. A writer without room writes
 * nothing more and remembers that. */
typedef struct {
    uint8_t *next;
    uint8_t *end;
    uint64_t bits;
    int32_t free;
    int32_t full;
} bit_writer;

static inline void bits_begin(bit_writer *writer, uint8_t *out, size_t size) {
    writer->next = out;
    writer->end = out + size;
    writer->bits = 0;
    writer->free = 64;
    writer->full = 0;
}

/* The most bytes that `count` bits can become: each byte may be FF, and brings a 0. The bits kept
 * from before are counted by the caller. */
#define BITS_WORST(count) (((count) + 7) / 8 * 2 + 16)

static inline void bits_emit(bit_writer *writer, uint64_t value, uint32_t bytes) {
    uint8_t *to = writer->next;
    if (writer->end - to < 16) {
        writer->full = 1;
        return;
    }
    if (bytes == 8 && !has_ff(value)) {
        store_big_endian(to, value);
        writer->next = to + 8;
        return;
    }
    while (bytes) {
        const uint8_t byte = (uint8_t)(value >> (--bytes * 8));
        *to++ = byte;
        if (byte == 0xFF) *to++ = 0;
    }
    writer->next = to;
}

/* Appends the lower `length` bits of `code`, 0 to 63; the others of `code` must be 0. */
static inline void bits_put(bit_writer *writer, uint64_t code, uint32_t length) {
    const int32_t free = writer->free - (int32_t)length;
    if (free >= 0) {
        writer->bits = writer->bits << length | code;
        writer->free = free;
        return;
    }
    bits_emit(writer, writer->bits << writer->free | code >> -free, 8);
    writer->bits = code;
    writer->free = free + 64;
}

/* Writes the whole bytes that are kept; fewer than eight bits stay. */
static inline void bits_flush(bit_writer *writer) {
    const uint32_t kept = (uint32_t)(64 - writer->free);
    const uint32_t rest = kept & 7;
    bits_emit(writer, writer->bits >> rest, kept >> 3);
    writer->bits &= (UINT64_C(1) << rest) - 1;
    writer->free = 64 - (int32_t)rest;
}

/* Ends a scan or a restart interval: the last byte is filled with ones (F.1.2.3). */
static inline void bits_finish(bit_writer *writer) {
    const uint32_t kept = (uint32_t)(64 - writer->free) & 7;
    if (kept) bits_put(writer, (1u << (8 - kept)) - 1, 8 - kept);
    bits_flush(writer);
}

#endif
