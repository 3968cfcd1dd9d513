#include "binding.h"

PyObject *kernel_misused(void) {
    PyErr_SetString(PyExc_ValueError, "lengths or parameters that do not fit each other");
    return NULL;
}

int holds_state(const Py_buffer *buffer, size_t size, size_t alignment) {
    if ((size_t)buffer->len >= size && (uintptr_t)buffer->buf % alignment == 0) return 1;
    PyErr_SetString(PyExc_ValueError, "the buffer cannot hold the state of this kernel");
    return 0;
}

static int execute(PyObject *module) {
    static PyMethodDef *const tables[] = {jpeg_dct_methods, jpeg_lossless_methods, jpeg_ls_methods,
                                          rle_methods};
    /* Native samples are little endian, and the kernels read them as the processor does. */
    const uint16_t one = 1;
    if (*(const uint8_t *)&one != 1) {
        PyErr_SetString(PyExc_ImportError, "the kernels are for little endian processors");
        return -1;
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (PyModule_AddFunctions(module, tables[i]) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "kernel", "The sequential cores of the codecs.", 0, NULL, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_kernel(void) { return PyModuleDef_Init(&definition); }
