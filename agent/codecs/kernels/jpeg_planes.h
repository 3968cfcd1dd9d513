/* Native rows and the component planes of JPEG (ITU-T T.81 A.1, A.2): colour transform, sampling,
 * and the padding to whole blocks.
 *
 * A plane has 16 bit samples, and holds the rows of one row of MCUs, with the last row of the one
 * before in front of them. */
#ifndef GANTRY_JPEG_PLANES_H
#define GANTRY_JPEG_PLANES_H

#include "kernels.h"

#define JPEG_COMPONENTS 4

enum {
    JPEG_AS_IS,   /* samples of a pixel together, as they are */
    JPEG_FROM_YBR, /* the same, but the components are Y Cb Cr and the native samples R G B */
    JPEG_PAIRS    /* native samples are Y Y Cb Cr (PS3.3 C.7.6.3.1.2, YBR_FULL_422) */
};

typedef struct {
    uint32_t h, v;   /* sampling factors, 1 to 4 */
    uint32_t offset; /* samples before the plane's first row of the row of MCUs */
    uint32_t stride; /* samples of a row: of whole MCUs */
} jpeg_plane;

typedef struct {
    uint32_t columns, rows; /* of the image */
    uint32_t components;
    uint32_t precision;    /* 8 or 12 */
    uint32_t cell;         /* bytes of a native sample, 1 or 2 */
    uint32_t top;          /* the largest native sample that may come out */
    uint32_t colour;       /* JPEG_AS_IS, ... */
    uint32_t h, v;         /* the largest sampling factors */
    jpeg_plane planes[JPEG_COMPONENTS];
} jpeg_layout;

/* Whether the layout makes sense, and its planes lie within `size` samples. */
int jpeg_is_layout(const jpeg_layout *layout, size_t size);

/* Bytes of a native row. */
size_t jpeg_row_length(const jpeg_layout *layout);

/* Fills the planes of one row of MCUs from `count` native rows, at most 8 * v; what is missing is
 * repeated from the last row and column. Sampling factors must be 1, or 2 for the first component
 * of three, horizontally. Returns 0 or KERNEL_MISUSED. */
int jpeg_separate(const jpeg_layout *layout, const uint8_t *rows, size_t length, uint16_t *planes,
                  size_t size);

/* Native rows from the planes of the row of MCUs `mcu_row`: from row `first` of the image, `count`
 * rows, which may begin one row before those of the planes. `scratch` has `jpeg_scratch` samples.
 * Chroma of half the width or height is interpolated with weights 3 and 1. Returns 0 or
 * KERNEL_MISUSED. */
int jpeg_join(const jpeg_layout *layout, const uint16_t *planes, size_t size, uint32_t mcu_row,
              uint32_t first, uint32_t count, uint16_t *scratch, size_t scratch_size, uint8_t *out,
              size_t out_length);
size_t jpeg_scratch(const jpeg_layout *layout);

/* Keeps the last row of each plane in front, for the next row of MCUs. */
int jpeg_carry(const jpeg_layout *layout, uint16_t *planes, size_t size);

#endif
