/* Runs a `LLVMFuzzerTestOneInput` where there is no libFuzzer: `program SECONDS SEED FILE...` gives
 * it each file, then changed copies of them until the time is over. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static uint64_t state;

static uint32_t pick(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 24) % below : 0;
}

static size_t change(uint8_t *data, size_t length) {
    for (uint32_t times = 1 + pick(6); times; times--) {
        const uint32_t at = pick((uint32_t)length);
        const uint32_t count = 1 + pick(16);
        switch (pick(7)) {
        case 0: data[at] ^= (uint8_t)(1u << pick(8)); break;
        case 1: data[at] = (uint8_t)pick(256); break;
        case 2: data[at] = 0xFF; break;
        case 3: data[pick(length < 20 ? (uint32_t)length : 20)] = (uint8_t)pick(256); break;
        case 4:
            for (uint32_t i = at; i < length && i < at + count; i++) data[i] = pick(2) ? 0 : 255;
            break;
        case 5:
            if (length > 24) length = at > 24 ? at : 24;
            break;
        default:
            if (length + count <= MOST) {
                memmove(data + at + count, data + at, length - at);
                length += count;
            }
        }
    }
    return length;
}

int main(int count, char **words) {
    static uint8_t seeds[256][MOST], data[MOST];
    static size_t lengths[256];
    if (count < 4) return 2;
    uint32_t known = 0;
    for (int i = 3; i < count && known < 256; i++) {
        FILE *file = fopen(words[i], "rb");
        if (!file) return 2;
        lengths[known] = fread(seeds[known], 1, MOST, file);
        fclose(file);
        LLVMFuzzerTestOneInput(seeds[known], lengths[known]);
        if (lengths[known]) known++;
    }
    state = strtoull(words[2], NULL, 10) * 2654435761u + 88172645463325252u;
    const time_t end = time(NULL) + atol(words[1]);
    unsigned long runs = 0;
    while (known && time(NULL) < end)
        for (int i = 0; i < 200; i++, runs++) {
            const uint32_t seed = pick(known);
            memcpy(data, seeds[seed], lengths[seed]);
            const size_t length = change(data, lengths[seed]);
            uint8_t *exact = malloc(length);
            if (!exact) return 2;
            memcpy(exact, data, length);
            FILE *file = NULL;
            if (getenv("FUZZ_LAST") && (file = fopen(getenv("FUZZ_LAST"), "wb"))) {
                fwrite(exact, 1, length, file);
                fclose(file);
            }
            LLVMFuzzerTestOneInput(exact, length);
            free(exact);
        }
    printf("%lu inputs\n", runs);
    return 0;
}
