/* What the bindings share: each kernel brings its own table of methods, `module.c` gathers them. */
#ifndef GANTRY_BINDING_H
#define GANTRY_BINDING_H

#include <Python.h>

#include "kernels.h"

extern PyMethodDef jpeg_dct_methods[];
extern PyMethodDef jpeg_lossless_methods[];
extern PyMethodDef jpeg_ls_methods[];
extern PyMethodDef rle_methods[];

/* Raises ValueError for KERNEL_MISUSED; other negative results are told to the caller as they are. */
PyObject *kernel_misused(void);

/* Whether a caller's buffer can hold a state of this size and alignment; raises ValueError if not. */
int holds_state(const Py_buffer *buffer, size_t size, size_t alignment);

#endif
