#include <stdalign.h>

#include "binding.h"
#include "rle.h"

static PyObject *encode(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer rows, out;
    Py_ssize_t row_length, offset, stride;
    if (!PyArg_ParseTuple(arguments, "y*nnnw*:rle_encode", &rows, &row_length, &offset, &stride,
                          &out))
        return NULL;
    ptrdiff_t written = KERNEL_MISUSED;
    if (row_length > 0 && offset >= 0 && stride > 0)
        written = rle_encode(rows.buf, (size_t)rows.len, (size_t)row_length, (size_t)offset,
                             (size_t)stride, out.buf, (size_t)out.len);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    return written < 0 ? kernel_misused() : PyLong_FromSsize_t(written);
}

static PyObject *begin(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state;
    if (!PyArg_ParseTuple(arguments, "w*:rle_begin", &state)) return NULL;
    const int fits = holds_state(&state, sizeof(rle_state), alignof(rle_state));
    if (fits) rle_begin(state.buf);
    PyBuffer_Release(&state);
    if (!fits) return NULL;
    Py_RETURN_NONE;
}

static PyObject *decode(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, data, out;
    Py_ssize_t offset, stride;
    if (!PyArg_ParseTuple(arguments, "w*y*w*nn:rle_decode", &state, &data, &out, &offset, &stride))
        return NULL;
    size_t consumed = 0, produced = 0;
    int result = KERNEL_MISUSED;
    const int fits = holds_state(&state, sizeof(rle_state), alignof(rle_state));
    if (fits && offset >= 0 && stride > 0)
        result = rle_decode(state.buf, data.buf, (size_t)data.len, out.buf, (size_t)out.len,
                            (size_t)offset, (size_t)stride, &consumed, &produced);
    PyBuffer_Release(&state);
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    return Py_BuildValue("nn", (Py_ssize_t)consumed, (Py_ssize_t)produced);
}

PyMethodDef rle_methods[] = {
    {"rle_encode", encode, METH_VARARGS, "Encode one byte plane of rows (PS3.5 G.3)."},
    {"rle_begin", begin, METH_VARARGS, "Prepare the state of a segment's decoder."},
    {"rle_decode", decode, METH_VARARGS, "Decode a segment into one byte plane of rows."},
    {NULL, NULL, 0, NULL},
};
