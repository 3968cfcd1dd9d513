#include "huffman.h"

/* Whether the counts and values of a specification fit each other (C.2). */
static int is_table(const uint8_t *specification, size_t length) {
    if (length < HUFFMAN_LONGEST) return 0;
    uint32_t code = 0, total = 0;
    for (uint32_t size = 1; size <= HUFFMAN_LONGEST; size++) {
        const uint32_t count = specification[size - 1];
        total += count;
        code = code * 2 + count;
        if (count && code >= 1u << size) return 0;
    }
    return total <= 256 && length == HUFFMAN_LONGEST + total;
}

int huffman_build_decoder(huffman_decoder *decoder, const uint8_t *specification, size_t length) {
    if (!is_table(specification, length)) return KERNEL_DAMAGED;
    memset(decoder, 0, sizeof *decoder);
    const uint8_t *values = specification + HUFFMAN_LONGEST;
    memcpy(decoder->values, values, length - HUFFMAN_LONGEST);
    uint32_t code = 0, place = 0;
    for (uint32_t size = 1; size <= HUFFMAN_LONGEST; size++) {
        const uint32_t count = specification[size - 1];
        decoder->offset[size] = (int32_t)place - (int32_t)code;
        for (uint32_t i = 0; i < count && size <= HUFFMAN_LOOK; i++) {
            const uint32_t shift = HUFFMAN_LOOK - size;
            for (uint32_t j = 0; j < 1u << shift; j++)
                decoder->look[((code + i) << shift) + j] = (uint16_t)(size << 8 | values[place + i]);
        }
        code += count;
        place += count;
        decoder->limit[size] = code << (HUFFMAN_LONGEST - size);
        code <<= 1;
    }
    return 0;
}

int huffman_build_encoder(huffman_encoder *encoder, const uint8_t *specification, size_t length) {
    if (!is_table(specification, length)) return KERNEL_DAMAGED;
    memset(encoder, 0, sizeof *encoder);
    const uint8_t *value = specification + HUFFMAN_LONGEST;
    uint32_t code = 0;
    for (uint32_t size = 1; size <= HUFFMAN_LONGEST; size++, code <<= 1)
        for (uint32_t i = 0; i < specification[size - 1]; i++, code++, value++)
            if (!encoder->length[*value]) {
                encoder->code[*value] = (uint16_t)code;
                encoder->length[*value] = (uint8_t)size;
            }
    return 0;
}
