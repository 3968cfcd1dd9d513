/* The bits of a JPEG-LS scan: after a byte FF the next one has only seven (ITU-T T.87 A.1, C.1). */
#ifndef GANTRY_JPEG_LS_BITS_H
#define GANTRY_JPEG_LS_BITS_H

#include "huffman.h"

/* Slow paths work on a copy of a reader or writer, so that the one of a loop stays in registers. */
#if defined(__GNUC__)
#define SELDOM static __attribute__((noinline, unused))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#else
#define SELDOM static
#define LIKELY(condition) (condition)
#endif

static inline uint32_t leading_zeros(uint64_t value) {
#if defined(__GNUC__)
    return value ? (uint32_t)__builtin_clzll(value) : 64;
#else
    uint32_t count = 64;
    for (; value; value >>= 1) count--;
    return count;
#endif
}

/* ---- reading ----
 *
 * The next bit is on top of `bits`; the `count` upper ones are valid, what is below them is either
 * 0 or already what comes next. At a marker, and at `end`, the reader stops and goes on with zeros
 * that it counts. `next` never passes a marker, and never stands between FF and its seven bits. */
typedef struct {
    const uint8_t *next;
    const uint8_t *end;
    uint64_t bits;
    uint32_t count;
    uint32_t invented; /* zeros among those fed */
} ls_reader;

#define LS_REFILLED 49u

SELDOM void ls_refill_slowly(ls_reader *reader) {
    /* What lies below the valid bits may not be what follows once zeros are fed. */
    reader->bits = reader->count ? reader->bits & ~UINT64_C(0) << (64 - reader->count) : 0;
    while (reader->count < LS_REFILLED) {
        uint64_t piece = 0;
        uint32_t width = 8;
        if (reader->next < reader->end && *reader->next != 0xFF) {
            piece = *reader->next++;
        } else if (reader->end - reader->next >= 2 && reader->next[1] < 0x80) {
            piece = (uint64_t)0xFF << 7 | reader->next[1];
            width = 15;
            reader->next += 2;
        } else if (reader->invented < (UINT32_MAX >> 1)) {
            reader->invented += 8;
        }
        reader->bits |= piece << (64 - width - reader->count);
        reader->count += width;
    }
}

/* At least LS_REFILLED valid bits. */
ALWAYS_INLINE void ls_refill(ls_reader *reader) {
    if (reader->end - reader->next >= 8) {
        const uint64_t ahead = load_big_endian(reader->next);
        if (!has_ff(ahead)) {
            if (reader->count > 56) return;
            reader->bits |= ahead >> reader->count;
            reader->next += (63 - reader->count) >> 3;
            reader->count |= 56;
            return;
        }
    }
    ls_reader copy = *reader;
    ls_refill_slowly(&copy);
    *reader = copy;
}

ALWAYS_INLINE void ls_drop(ls_reader *reader, uint32_t count) {
    reader->bits <<= count;
    reader->count -= count;
}

/* The next `count` bits, 0 to 32. */
ALWAYS_INLINE uint32_t ls_take(ls_reader *reader, uint32_t count) {
    if (reader->count < count) ls_refill(reader);
    const uint32_t value = (uint32_t)(reader->bits >> 1 >> (63 - count));
    ls_drop(reader, count);
    return value;
}

/* Whether bits were used that the stream does not have. */
static inline int ls_overrun(const ls_reader *reader) { return reader->invented > reader->count; }

/* Ends a restart interval: passes what fills its last byte, and its marker. */
static inline int ls_restart(ls_reader *reader, uint32_t number) {
    const uint32_t invented = reader->invented < reader->count ? reader->invented : reader->count;
    /* The rest of an FF and the seven bits after it. */
    if (reader->count - invented > 14) return KERNEL_DAMAGED;
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
    uint32_t free;
    uint32_t after_ff;
    uint32_t full;
} ls_writer;

/* Writes bytes from the `count` upper bits of `word` while there are enough; returns how many bits
 * are left, fewer than eight. */
SELDOM uint32_t ls_emit_slowly(ls_writer *writer, uint64_t word, uint32_t count) {
    uint8_t *to = writer->next;
    if (writer->end - to < 16) {
        writer->full = 1;
        return 0;
    }
    for (;;) {
        const uint32_t width = writer->after_ff ? 7 : 8;
        if (count < width) break;
        *to = (uint8_t)(word >> (64 - width));
        writer->after_ff = *to++ == 0xFF;
        word <<= width;
        count -= width;
    }
    writer->next = to;
    return count;
}

/* Appends the lower `length` bits of `code`, 0 to 56; the others of `code` must be 0. */
ALWAYS_INLINE void ls_put(ls_writer *writer, uint64_t code, uint32_t length) {
    if (length <= writer->free) {
        writer->bits = writer->bits << length | code;
        writer->free -= length;
        return;
    }
    const uint32_t rest = length - writer->free;
    const uint64_t word = writer->bits << writer->free | code >> rest;
    if (!has_ff(word) && !writer->after_ff && writer->end - writer->next >= 16) {
        store_big_endian(writer->next, word);
        writer->next += 8;
        writer->bits = code;
        writer->free = 64 - rest;
        return;
    }
    ls_writer copy = *writer;
    const uint32_t left = ls_emit_slowly(&copy, word, 64);
    *writer = copy;
    const uint64_t kept = word & ((UINT64_C(1) << left) - 1);
    writer->bits = kept << rest | (code & ((UINT64_C(1) << rest) - 1));
    writer->free = 64 - left - rest;
}

/* Ends a scan: the last byte is filled with zeros; after FF there is one more, so that no marker
 * is seen where there is none. */
static inline void ls_finish(ls_writer *writer) {
    const uint32_t count = 64 - writer->free;
    uint64_t word = count ? writer->bits << writer->free : 0;
    const uint32_t left = ls_emit_slowly(writer, word, count);
    if (left) {
        word = (writer->bits & ((UINT64_C(1) << left) - 1)) << (64 - left);
        ls_emit_slowly(writer, word, writer->after_ff ? 7 : 8);
    }
    if (writer->after_ff) ls_emit_slowly(writer, 0, 7);
    writer->bits = 0;
    writer->free = 64;
    writer->after_ff = 0;
}

#endif
