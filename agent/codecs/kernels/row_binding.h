/* The calls that kernels of rows share: rows in, bytes out, and the other way round. */
#ifndef GANTRY_ROW_BINDING_H
#define GANTRY_ROW_BINDING_H

#include "binding.h"

/* What a kernel does with a state of its own; `holds_...` say whether a caller's buffer is one that
 * was begun, and raise ValueError if not. */
typedef struct {
    int (*holds_encoder)(const Py_buffer *state);
    int (*holds_decoder)(const Py_buffer *state);
    ptrdiff_t (*encode)(void *state, const uint8_t *rows, size_t length, uint8_t *out, size_t size);
    ptrdiff_t (*finish)(void *state, uint8_t *out, size_t size);
    int (*decode)(void *state, const uint8_t *data, size_t length, int last, uint8_t *out,
                  size_t size, size_t *consumed, size_t *rows);
} row_kernel;

/* (state, rows, out): bytes written, or what is wrong with the rows, below 0. */
PyObject *rows_encode(const row_kernel *kernel, PyObject *arguments);

/* (state, out): bytes written. */
PyObject *rows_finish(const row_kernel *kernel, PyObject *arguments);

/* (state, data, last, out): what stopped it, bytes used, rows written. */
PyObject *rows_decode(const row_kernel *kernel, PyObject *arguments);

#endif
