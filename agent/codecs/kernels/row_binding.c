#include "row_binding.h"

PyObject *rows_encode(const row_kernel *kernel, PyObject *arguments) {
    Py_buffer state, rows, out;
    if (!PyArg_ParseTuple(arguments, "w*y*w*", &state, &rows, &out)) return NULL;
    ptrdiff_t written = KERNEL_MISUSED;
    const int fits = kernel->holds_encoder(&state);
    if (fits)
        written = kernel->encode(state.buf, rows.buf, (size_t)rows.len, out.buf, (size_t)out.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    return written == KERNEL_MISUSED ? kernel_misused() : PyLong_FromSsize_t(written);
}

PyObject *rows_finish(const row_kernel *kernel, PyObject *arguments) {
    Py_buffer state, out;
    if (!PyArg_ParseTuple(arguments, "w*w*", &state, &out)) return NULL;
    ptrdiff_t written = KERNEL_MISUSED;
    const int fits = kernel->holds_encoder(&state);
    if (fits) written = kernel->finish(state.buf, out.buf, (size_t)out.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    return written < 0 ? kernel_misused() : PyLong_FromSsize_t(written);
}

PyObject *rows_decode(const row_kernel *kernel, PyObject *arguments) {
    Py_buffer state, data, out;
    int last;
    if (!PyArg_ParseTuple(arguments, "w*y*pw*", &state, &data, &last, &out)) return NULL;
    size_t consumed = 0, rows = 0;
    int result = KERNEL_MISUSED;
    const int fits = kernel->holds_decoder(&state);
    if (fits)
        result = kernel->decode(state.buf, data.buf, (size_t)data.len, last, out.buf,
                                (size_t)out.len, &consumed, &rows);
    PyBuffer_Release(&state);
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    if (result == KERNEL_MISUSED) return kernel_misused();
    return Py_BuildValue("inn", result, (Py_ssize_t)consumed, (Py_ssize_t)rows);
}
