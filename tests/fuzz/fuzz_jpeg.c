/* The kernels of JPEG baseline and extended given any bytes at all: layouts, scans, tables, what is
 * decoded, and what is encoded.
 *
 * The first bytes are the parameters, the rest is tables and a scan. It is decoded in windows of a
 * size that they choose as well and joined to rows. Then its bytes are taken for rows, which are
 * encoded, and must be decoded again without damage. */
#include <stdlib.h>
#include <string.h>

#include "../../agent/codecs/kernels/jpeg_blocks.h"

#define HEAD 48u

typedef struct {
    const uint8_t *at;
    size_t left;
} bytes;

static uint32_t take(bytes *from) {
    if (!from->left) return 0;
    from->left--;
    return *from->at++;
}

static void *exactly(size_t size) {
    void *buffer = calloc(size ? size : 1, 1);
    if (!buffer) abort();
    return buffer;
}

static uint32_t whole(uint32_t length, uint32_t unit) { return (length + unit - 1) / unit; }

/* A layout that fits its planes, unless the input wants it otherwise; samples of the planes. */
static size_t make_layout(bytes *in, jpeg_layout *layout) {
    layout->columns = 1 + take(in) % 160;
    layout->rows = 1 + take(in) % 70;
    layout->components = 1 + take(in) % 4;
    const uint32_t depth = take(in);
    layout->precision = depth & 1 ? 12 : 8;
    layout->cell = depth & 3 ? 2 : 1;
    layout->top = depth & 4 ? 1000 : 65535;
    layout->colour = take(in) % 3;
    layout->h = layout->v = 1;
    for (uint32_t i = 0; i < JPEG_COMPONENTS; i++) {
        const uint32_t factors = take(in);
        layout->planes[i].h = 1 + factors % 4;
        layout->planes[i].v = 1 + factors / 4 % 4;
        if (i >= layout->components) continue;
        if (layout->planes[i].h > layout->h) layout->h = layout->planes[i].h;
        if (layout->planes[i].v > layout->v) layout->v = layout->planes[i].v;
    }
    uint32_t offset = 0;
    for (uint32_t i = 0; i < layout->components; i++) {
        jpeg_plane *plane = &layout->planes[i];
        plane->stride = whole(layout->columns, 8 * layout->h) * 8 * plane->h;
        plane->offset = offset + plane->stride;
        offset += plane->stride * (8 * plane->v + 1);
    }
    const uint32_t wrong = take(in), value = take(in);
    if (wrong < 24) {
        uint32_t words[sizeof *layout / 4];
        memcpy(words, layout, sizeof words);
        words[wrong] = value < 200 ? value : (value - 199) << 25;
        memcpy(layout, words, sizeof words);
    }
    return offset;
}

static void make_scan(bytes *in, const jpeg_layout *layout, jpeg_scan *scan) {
    const uint32_t single = take(in);
    scan->precision = layout->precision;
    scan->interval = take(in) % 9;
    scan->count = single & 1 ? 1 : layout->components;
    scan->mcus = layout->h ? whole(layout->columns, 8 * layout->h) : 1;
    for (uint32_t i = 0; i < scan->count && i < JPEG_COMPONENTS; i++) {
        const jpeg_plane *plane = &layout->planes[i];
        const uint32_t tables = take(in);
        jpeg_scan_component *component = &scan->components[i];
        component->h = scan->count > 1 ? plane->h : 1;
        component->v = scan->count > 1 ? plane->v : 1;
        component->offset = plane->offset;
        component->stride = plane->stride;
        component->dc = tables & 3;
        component->ac = tables >> 2 & 3;
        component->quantisation = tables >> 4 & 3;
    }
}

/* All 256 symbols, each with a code of 8 or 9 bits. */
static void all_symbols(uint8_t specification[16 + 256]) {
    memset(specification, 0, 16);
    specification[7] = 254;
    specification[8] = 2;
    for (uint32_t i = 0; i < 256; i++) specification[16 + i] = (uint8_t)i;
}

/* Tables of the input's own symbols: four codes of two to five bits, the rest of nine. */
static size_t some_symbols(bytes *in, uint8_t specification[16 + 256]) {
    memset(specification, 0, 16);
    for (uint32_t i = 1; i < 5; i++) specification[i] = 1;
    specification[8] = (uint8_t)(take(in) % 32);
    size_t length = 16;
    for (uint32_t i = 0; i < 4u + specification[8]; i++)
        specification[length++] = (uint8_t)take(in);
    return length;
}

/* Decodes the rows of MCUs of an image in pieces; how many there were. */
static uint32_t decode(jpeg_decoder *decoder, const jpeg_layout *layout, bytes in, size_t piece,
                       uint16_t *planes, size_t size, uint32_t rows_of_mcus) {
    const size_t scratch = jpeg_scratch(layout), row_length = jpeg_row_length(layout);
    uint16_t *spare = exactly(scratch * 2);
    uint8_t *out = exactly(8 * layout->v * row_length);
    uint32_t row = 0;
    for (; row < rows_of_mcus; row++) {
        size_t window = piece;
        int result = 0;
        while (result == 0) {
            const size_t part = in.left < window ? in.left : window;
            uint8_t *copy = exactly(part);
            if (part) memcpy(copy, in.at, part);
            size_t consumed;
            result = jpeg_decode_blocks(decoder, copy, part, part == in.left, 0, planes, size,
                                        &consumed);
            free(copy);
            if (result == KERNEL_MISUSED || consumed > part) abort();
            if (result == 0 && part == in.left) abort();
            in.at += consumed;
            in.left -= consumed;
            window = consumed ? piece : window * 2;
        }
        if (result < 0) break;
        const uint32_t first = row * 8 * layout->v;
        const uint32_t left = layout->rows - first;
        const uint32_t before = row > 0;
        const uint32_t count = left < 8 * layout->v ? left : 8 * layout->v - 1;
        if (layout->colour != JPEG_PAIRS &&
            jpeg_join(layout, planes, size, row, first - before, count, spare, scratch, out,
                      8 * layout->v * row_length) < 0 &&
            !(layout->colour == JPEG_FROM_YBR && (layout->cell > 1 || layout->precision > 8)))
            abort();
        if (jpeg_carry(layout, planes, size) < 0) abort();
    }
    free(out);
    free(spare);
    return row;
}

static void set_tables(jpeg_decoder *decoder, jpeg_encoder *encoder, const uint8_t *specification,
                       size_t length, const uint16_t quantisation[64]) {
    for (uint32_t number = 0; number < 4; number++) {
        for (uint32_t kind = 0; kind < 2; kind++) {
            const int made = jpeg_decoder_table(decoder, kind, number, specification, length);
            if (made == KERNEL_MISUSED) abort();
            if (encoder && jpeg_encoder_table(encoder, kind, number, specification, length) != made)
                abort();
        }
        if (jpeg_decoder_quantisation(decoder, number, quantisation) < 0) abort();
        if (encoder && jpeg_encoder_quantisation(encoder, number, quantisation) < 0) abort();
    }
}

static void encode_and_decode(jpeg_decoder *decoder, const jpeg_layout *layout, jpeg_scan *scan,
                              bytes in, uint16_t *planes, size_t size,
                              const uint16_t quantisation[64]) {
    const size_t row_length = jpeg_row_length(layout);
    const uint32_t count = layout->rows < 8 ? layout->rows : 8;
    uint8_t *rows = exactly(count * row_length);
    for (size_t i = 0; i < count * row_length; i++) rows[i] = in.left ? in.at[i % in.left] : 0;
    const int separated = jpeg_separate(layout, rows, count * row_length, planes, size);
    free(rows);
    scan->interval = 0;
    jpeg_encoder *encoder = exactly(sizeof *encoder);
    uint8_t specification[16 + 256];
    all_symbols(specification);
    if (jpeg_begin_encoder(encoder, scan) < 0 || jpeg_begin_decoder(decoder, scan) < 0) abort();
    set_tables(decoder, encoder, specification, sizeof specification, quantisation);
    uint64_t(*counts)[256] = exactly(sizeof(uint64_t[8][256]));
    if (jpeg_count_blocks(encoder, planes, size, counts) < 0) abort();
    free(counts);
    if (jpeg_begin_encoder(encoder, scan) < 0) abort();
    set_tables(decoder, encoder, specification, sizeof specification, quantisation);
    const size_t room = JPEG_BATCH_WORST;
    uint8_t *coded = exactly(room * 4);
    size_t length = 0;
    int result = 0;
    while (result == 0) {
        uint8_t *out = exactly(room);
        size_t written;
        result = jpeg_encode_blocks(encoder, planes, size, out, room, &written);
        /* Samples beyond the precision may have symbols that there are no codes for. */
        if (result < 0 || length + written > 3 * room) abort();
        memcpy(coded + length, out, written);
        free(out);
        length += written;
    }
    const ptrdiff_t rest = jpeg_finish(encoder, coded + length, 32);
    if (rest < 0) abort();
    const bytes stream = {coded, length + (size_t)rest};
    if (separated == 0 && decode(decoder, layout, stream, 6000, planes, size, 1) != 1) abort();
    free(coded);
    free(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length < HEAD) return 0;
    bytes in = {data, length};
    jpeg_layout layout;
    jpeg_scan scan;
    memset(&layout, 0, sizeof layout);
    memset(&scan, 0, sizeof scan);
    const size_t size = make_layout(&in, &layout);
    make_scan(&in, &layout, &scan);
    const size_t piece = 1 + (size_t)take(&in) * 64;
    uint16_t quantisation[64];
    const uint32_t steps = take(&in);
    for (uint32_t k = 0; k < 64; k++)
        quantisation[k] = (uint16_t)(steps < 250 ? 1 + steps : take(&in) << 8 | take(&in));
    uint8_t specification[16 + 256];
    size_t table = some_symbols(&in, specification);
    if (steps & 1) {
        all_symbols(specification);
        table = sizeof specification;
    }
    uint16_t *planes = exactly(size * 2);
    jpeg_decoder *decoder = exactly(sizeof *decoder);
    const int sensible = jpeg_is_layout(&layout, size);
    if (jpeg_begin_decoder(decoder, &scan) == 0) {
        set_tables(decoder, NULL, specification, table, quantisation);
        if (sensible)
            decode(decoder, &layout, in, piece, planes, size,
                   whole(layout.rows, 8 * layout.v));
        if (sensible && layout.precision == scan.precision)
            encode_and_decode(decoder, &layout, &scan, in, planes, size, quantisation);
    }
    free(decoder);
    free(planes);
    return 0;
}
