#include "jpeg_blocks.h"

#define DECODER_MARK 0x4A504744u
#define ENCODER_MARK 0x4A504745u
#define END_OF_BLOCK 0x00
#define SIXTEEN_ZEROS 0xF0

static int is_scan(const jpeg_scan *scan) {
    if ((scan->precision != 8 && scan->precision != 12) || scan->mcus == 0 || scan->mcus > 8192 ||
        scan->interval > 65535 || scan->count == 0 || scan->count > JPEG_COMPONENTS)
        return 0;
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        const jpeg_scan_component *component = &scan->components[i];
        if (component->h == 0 || component->h > 4 || component->v == 0 || component->v > 4 ||
            component->dc > 3 || component->ac > 3 || component->quantisation > 3 ||
            component->stride < scan->mcus * component->h * 8)
            return 0;
        blocks += component->h * component->v;
    }
    return blocks <= JPEG_MCU_BLOCKS;
}

/* Whether all samples of a row of MCUs lie within the planes. */
static int fits(const jpeg_scan *scan, uint32_t block_row, size_t size) {
    if (block_row > 3 || (block_row && scan->count > 1)) return 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        const jpeg_scan_component *component = &scan->components[i];
        const uint64_t rows = (uint64_t)(component->v + block_row) * 8;
        if (component->offset + rows * component->stride > size) return 0;
    }
    return 1;
}

static void restart(jpeg_progress *progress, const jpeg_scan *scan) {
    progress->left = scan->interval;
    for (int i = 0; i < JPEG_COMPONENTS; i++) progress->predictions[i] = 0;
}

/* ---- decoding ---- */

int jpeg_begin_decoder(jpeg_decoder *decoder, const jpeg_scan *scan) {
    memset(decoder, 0, sizeof *decoder);
    if (!is_scan(scan)) return KERNEL_MISUSED;
    decoder->scan = *scan;
    decoder->mark = DECODER_MARK;
    bits_open(&decoder->reader);
    restart(&decoder->progress, scan);
    return 0;
}

/* What `JPEG_LOOK` bits begin with, for `look`; 0 where that is no whole coefficient. */
static int32_t coefficient_ahead(const huffman_decoder *table, uint32_t ahead) {
    bit_reader reader;
    bits_open(&reader);
    reader.bits = (uint64_t)ahead << (64 - JPEG_LOOK);
    reader.count = 56;
    const int symbol = huffman_decode(table, &reader);
    const uint32_t size = symbol < 0 ? 0 : (uint32_t)symbol & 15;
    if (size == 0 || 56 - reader.count + size > JPEG_LOOK) return 0;
    const int32_t value = bits_extend(&reader, size);
    return value * 65536 + (symbol >> 4) * 256 + (int32_t)(56 - reader.count);
}

int jpeg_decoder_table(jpeg_decoder *decoder, uint32_t table_class, uint32_t number,
                       const uint8_t *specification, size_t length) {
    if (decoder->mark != DECODER_MARK || table_class > 1 || number > 3) return KERNEL_MISUSED;
    huffman_decoder *table = (table_class ? decoder->ac : decoder->dc) + number;
    const int result = huffman_build_decoder(table, specification, length);
    if (result < 0 || !table_class) return result;
    for (uint32_t ahead = 0; ahead < 1u << JPEG_LOOK; ahead++)
        decoder->look[number][ahead] = coefficient_ahead(table, ahead);
    return 0;
}

int jpeg_decoder_quantisation(jpeg_decoder *decoder, uint32_t number, const uint16_t table[64]) {
    if (decoder->mark != DECODER_MARK || number > 3) return KERNEL_MISUSED;
    memcpy(decoder->quantisation[number], table, sizeof decoder->quantisation[number]);
    return 0;
}

static inline int16_t dequantised(int32_t value, uint16_t element) {
    const int64_t product = (int64_t)value * element;
    return (int16_t)(product < -32767 ? -32767 : product > 32767 ? 32767 : product);
}

/* One block (F.2.2), dequantised, into number `place` of a batch. */
static inline int decode_block(const jpeg_decoder *decoder, bit_reader *reader,
                               const jpeg_scan_component *component, int32_t *prediction,
                               jpeg_batch *batch, uint32_t place) {
    const huffman_decoder *ac = &decoder->ac[component->ac];
    const int32_t *look = decoder->look[component->ac];
    const uint16_t *quantisation = decoder->quantisation[component->quantisation];
    bits_refill(reader);
    const int size = huffman_decode(&decoder->dc[component->dc], reader);
    if (size < 0 || size > 15) return KERNEL_DAMAGED;
    int32_t value = *prediction + bits_extend(reader, (uint32_t)size);
    /* A valid stream has no more than 16 bits here; others shall not grow without end. */
    value = value < -65535 ? -65535 : value > 65535 ? 65535 : value;
    *prediction = value;
    batch->coefficients[0][place] = dequantised(value, quantisation[0]);
    uint32_t last = batch->last;
    for (uint32_t k = 1; k < 64; k++) {
        if (reader->count < 32) bits_refill(reader);
        const int32_t ahead = look[bits_peek(reader, JPEG_LOOK)];
        if (ahead) {
            bits_drop(reader, (uint32_t)ahead & 0xFF);
            k += (uint32_t)ahead >> 8 & 0xFF;
            value = ahead >> 16;
        } else {
            const int symbol = huffman_decode(ac, reader);
            const uint32_t bits = (uint32_t)symbol & 15;
            if (symbol == END_OF_BLOCK) break;
            if (symbol == SIXTEEN_ZEROS) {
                k += 15;
                continue;
            }
            if (symbol < 0 || bits == 0) return KERNEL_DAMAGED;
            k += (uint32_t)symbol >> 4;
            value = bits_extend(reader, bits);
        }
        if (k > 63) return KERNEL_DAMAGED;
        batch->coefficients[jpeg_zigzag[k]][place] = dequantised(value, quantisation[k]);
        last = last > k ? last : k;
    }
    batch->last = last;
    return 0;
}

static inline int decode_mcu(jpeg_decoder *decoder, bit_reader *reader, uint32_t block_row,
                             uint16_t *planes, jpeg_batch *batch) {
    const jpeg_scan *scan = &decoder->scan;
    for (uint32_t i = 0; i < scan->count; i++) {
        const jpeg_scan_component *component = &scan->components[i];
        const size_t stride = component->stride;
        uint16_t *first = planes + component->offset + block_row * 8 * stride +
                          (size_t)decoder->progress.mcu * component->h * 8;
        for (uint32_t y = 0; y < component->v; y++)
            for (uint32_t x = 0; x < component->h; x++) {
                const uint32_t place = batch->count;
                batch->samples[place] = first + y * 8 * stride + x * 8;
                batch->strides[place] = stride;
                const int result =
                    decode_block(decoder, reader, component, &decoder->progress.predictions[i],
                                 batch, place);
                if (result < 0) return result;
                if (++batch->count == JPEG_BATCH) jpeg_inverse(batch, scan->precision);
            }
    }
    return 0;
}

int jpeg_decode_blocks(jpeg_decoder *decoder, const uint8_t *data, size_t length, int last,
                       uint32_t block_row, uint16_t *planes, size_t size, size_t *consumed) {
    *consumed = 0;
    if (decoder->mark != DECODER_MARK || !fits(&decoder->scan, block_row, size))
        return KERNEL_MISUSED;
    jpeg_progress *progress = &decoder->progress;
    bit_reader reader = decoder->reader;
    bits_continue(&reader, data, length);
    jpeg_batch batch;
    memset(&batch, 0, sizeof batch);
    const ptrdiff_t wanted = last ? 0 : JPEG_MCU_BLOCKS * JPEG_BLOCK_WORST + 2 * BITS_AHEAD;
    int result = 1;
    while (progress->mcu < decoder->scan.mcus) {
        if (reader.end - reader.next < wanted) {
            result = 0;
            break;
        }
        if (decoder->scan.interval && progress->left == 0) {
            const int marker = bits_restart(&reader, progress->restart);
            if (marker < 0) {
                /* Fill bytes without end in front of the marker may use up the window. */
                result = marker == KERNEL_SHORT && !last ? 0 : marker;
                break;
            }
            progress->restart = (progress->restart + 1) & 7;
            restart(progress, &decoder->scan);
        }
        result = decode_mcu(decoder, &reader, block_row, planes, &batch);
        if (bits_overrun(&reader)) result = KERNEL_SHORT;
        if (result < 0) break;
        result = 1;
        progress->mcu++;
        if (decoder->scan.interval) progress->left--;
    }
    if (result >= 0 && batch.count) jpeg_inverse(&batch, decoder->scan.precision);
    if (result == 1) progress->mcu = 0;
    *consumed = (size_t)(reader.next - data);
    decoder->reader = reader;
    decoder->reader.next = decoder->reader.end = NULL;
    return result;
}

/* ---- encoding ---- */

int jpeg_begin_encoder(jpeg_encoder *encoder, const jpeg_scan *scan) {
    memset(encoder, 0, sizeof *encoder);
    if (!is_scan(scan) || scan->interval) return KERNEL_MISUSED;
    encoder->scan = *scan;
    encoder->mark = ENCODER_MARK;
    encoder->free = 64;
    restart(&encoder->progress, scan);
    return 0;
}

int jpeg_encoder_table(jpeg_encoder *encoder, uint32_t table_class, uint32_t number,
                       const uint8_t *specification, size_t length) {
    if (encoder->mark != ENCODER_MARK || table_class > 1 || number > 3) return KERNEL_MISUSED;
    huffman_encoder *table = (table_class ? encoder->ac : encoder->dc) + number;
    return huffman_build_encoder(table, specification, length);
}

int jpeg_encoder_quantisation(jpeg_encoder *encoder, uint32_t number, const uint16_t table[64]) {
    if (encoder->mark != ENCODER_MARK || number > 3) return KERNEL_MISUSED;
    jpeg_prepare_quantiser(&encoder->quantisers[number], table, encoder->scan.precision);
    return 0;
}

static inline uint32_t size_of(uint32_t magnitude) {
#if defined(__GNUC__)
    return magnitude ? 32 - (uint32_t)__builtin_clz(magnitude) : 0;
#else
    uint32_t size = 0;
    for (; magnitude; magnitude >>= 1) size++;
    return size;
#endif
}

static inline uint32_t lowest(uint64_t set) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(set);
#else
    uint32_t place = 0;
    for (; !(set & 1); set >>= 1) place++;
    return place;
#endif
}

/* Where symbols and their bits go: into the stream, or into counts. */
typedef struct {
    bit_writer writer;
    const huffman_encoder *table;
    uint64_t *counts;
    uint32_t missing;
} symbol_sink;

static inline void put(symbol_sink *sink, int counting, uint32_t symbol, uint32_t bits,
                       uint32_t size) {
    if (counting) {
        sink->counts[symbol]++;
        return;
    }
    const uint32_t length = sink->table->length[symbol];
    sink->missing |= length == 0;
    bits_put(&sink->writer, (uint32_t)sink->table->code[symbol] << size | bits, length + size);
}

/* The bits of a coefficient or difference (F.1.2.1): negative ones are less by one. */
static inline uint32_t bits_of(int32_t value, uint32_t size) {
    return (uint32_t)(value + (value >> 31)) & ((1u << size) - 1);
}

/* The upper bit of each 16 that are not all zero. */
static inline uint64_t not_zero(uint64_t four) {
    const uint64_t lower = UINT64_C(0x7FFF7FFF7FFF7FFF);
    return (((four & lower) + lower) | four) & ~lower;
}

/* Which coefficients of blocks side by side are not zero: bit k % 16 of part k / 16. */
static inline void find(const int16_t (*blocks)[JPEG_BATCH], uint16_t (*found)[JPEG_BATCH]) {
    for (uint32_t part = 0; part < 4; part++) {
        uint64_t set[2] = {0, 0};
        for (uint32_t k = 0; k < 16; k++) {
            uint64_t row[2];
            memcpy(row, blocks[jpeg_zigzag[part * 16 + k]], sizeof row);
            set[0] |= not_zero(row[0]) >> (15 - k);
            set[1] |= not_zero(row[1]) >> (15 - k);
        }
        memcpy(found[part], set, sizeof set);
    }
}

/* The coefficients but for the first of a block (F.1.2.2): number `place` of those side by side. */
static inline void encode_rest(symbol_sink *sink, int counting, const int16_t (*blocks)[JPEG_BATCH],
                               const uint16_t (*found)[JPEG_BATCH], uint32_t place) {
    uint64_t set = (uint64_t)found[3][place] << 48 | (uint64_t)found[2][place] << 32 |
                   (uint64_t)found[1][place] << 16 | found[0][place];
    set &= ~UINT64_C(1);
    uint32_t before = 0;
    while (set) {
        const uint32_t k = lowest(set);
        set &= set - 1;
        uint32_t zeros = k - before - 1;
        before = k;
        for (; zeros > 15; zeros -= 16) put(sink, counting, SIXTEEN_ZEROS, 0, 0);
        const int32_t value = blocks[jpeg_zigzag[k]][place];
        const uint32_t size = size_of((uint32_t)(value < 0 ? -value : value));
        put(sink, counting, zeros << 4 | size, bits_of(value, size), size);
    }
    if (before < 63) put(sink, counting, END_OF_BLOCK, 0, 0);
}

/* The blocks of up to JPEG_BATCH MCUs, one after another. */
static inline void encode_mcus(jpeg_encoder *encoder, symbol_sink *sink, uint64_t (*counts)[256],
                               const uint16_t *planes, uint32_t mcu, uint32_t count) {
    int16_t blocks[JPEG_MCU_BLOCKS][64][JPEG_BATCH];
    uint16_t found[JPEG_MCU_BLOCKS][4][JPEG_BATCH];
    const jpeg_scan *scan = &encoder->scan;
    uint32_t number = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        const jpeg_scan_component *component = &scan->components[i];
        const size_t step = (size_t)component->h * 8, stride = component->stride;
        const uint16_t *first = planes + component->offset + mcu * step;
        for (uint32_t y = 0; y < component->v; y++)
            for (uint32_t x = 0; x < component->h; x++, number++) {
                jpeg_forward(first + y * 8 * stride + x * 8, stride, step, count, scan->precision,
                             &encoder->quantisers[component->quantisation], blocks[number]);
                find((const int16_t(*)[JPEG_BATCH])blocks[number], found[number]);
            }
    }
    for (uint32_t place = 0; place < count; place++) {
        number = 0;
        for (uint32_t i = 0; i < scan->count; i++) {
            const jpeg_scan_component *component = &scan->components[i];
            int32_t *prediction = &encoder->progress.predictions[i];
            for (uint32_t j = 0; j < component->h * component->v; j++, number++) {
                const int32_t value = blocks[number][0][place];
                const int32_t difference = value - *prediction;
                *prediction = value;
                const uint32_t size =
                    size_of((uint32_t)(difference < 0 ? -difference : difference));
                sink->table = &encoder->dc[component->dc];
                sink->counts = counts ? counts[component->dc] : NULL;
                put(sink, counts != NULL, size, bits_of(difference, size), size);
                sink->table = &encoder->ac[component->ac];
                sink->counts = counts ? counts[4 + component->ac] : NULL;
                encode_rest(sink, counts != NULL, (const int16_t(*)[JPEG_BATCH])blocks[number],
                            (const uint16_t(*)[JPEG_BATCH])found[number], place);
            }
        }
    }
}

static inline uint32_t batch_of(const jpeg_encoder *encoder, uint32_t mcu) {
    const uint32_t left = encoder->scan.mcus - mcu;
    return left < JPEG_BATCH ? left : JPEG_BATCH;
}

int jpeg_encode_blocks(jpeg_encoder *encoder, const uint16_t *planes, size_t size, uint8_t *out,
                       size_t out_size, size_t *written) {
    *written = 0;
    if (encoder->mark != ENCODER_MARK || !fits(&encoder->scan, 0, size)) return KERNEL_MISUSED;
    jpeg_progress *progress = &encoder->progress;
    symbol_sink sink;
    memset(&sink, 0, sizeof sink);
    bits_begin(&sink.writer, out, out_size);
    sink.writer.bits = encoder->bits;
    sink.writer.free = encoder->free;
    int result = 1;
    while (progress->mcu < encoder->scan.mcus) {
        if (sink.writer.end - sink.writer.next < JPEG_BATCH_WORST) {
            result = 0;
            break;
        }
        const uint32_t count = batch_of(encoder, progress->mcu);
        encode_mcus(encoder, &sink, NULL, planes, progress->mcu, count);
        progress->mcu += count;
    }
    if (result == 1) progress->mcu = 0;
    *written = (size_t)(sink.writer.next - out);
    encoder->bits = sink.writer.bits;
    encoder->free = sink.writer.free;
    return sink.missing || sink.writer.full ? KERNEL_MISUSED : result;
}

ptrdiff_t jpeg_finish(jpeg_encoder *encoder, uint8_t *out, size_t out_size) {
    if (encoder->mark != ENCODER_MARK || out_size < 32) return KERNEL_MISUSED;
    bit_writer writer;
    bits_begin(&writer, out, out_size);
    writer.bits = encoder->bits;
    writer.free = encoder->free;
    bits_finish(&writer);
    return writer.next - out;
}

int jpeg_count_blocks(jpeg_encoder *encoder, const uint16_t *planes, size_t size,
                      uint64_t counts[8][256]) {
    if (encoder->mark != ENCODER_MARK || !fits(&encoder->scan, 0, size)) return KERNEL_MISUSED;
    symbol_sink sink;
    memset(&sink, 0, sizeof sink);
    for (uint32_t mcu = 0; mcu < encoder->scan.mcus; mcu += JPEG_BATCH)
        encode_mcus(encoder, &sink, counts, planes, mcu, batch_of(encoder, mcu));
    return 0;
}
