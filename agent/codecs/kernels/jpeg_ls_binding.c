#include <stdalign.h>

#include "row_binding.h"
#include "jpeg_ls.h"

/* A binding's view of `jpeg_ls_parameters`: a tuple of ten numbers, in the order of the struct. */
#define PARAMETERS "(IIIIIIIIII)"
#define INTO(p)                                                                                    \
    &(p).columns, &(p).components, &(p).interleave, &(p).sample_length, &(p).near, &(p).largest,   \
        &(p).threshold[0], &(p).threshold[1], &(p).threshold[2], &(p).reset

static PyObject *state_length(PyObject *module, PyObject *arguments) {
    (void)module;
    jpeg_ls_parameters p;
    if (!PyArg_ParseTuple(arguments, PARAMETERS ":jpeg_ls_state_length", INTO(p))) return NULL;
    const size_t size = jpeg_ls_state_size(&p);
    return size ? PyLong_FromSize_t(size) : kernel_misused();
}

static PyObject *encoder_begin(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state;
    jpeg_ls_parameters p;
    unsigned int sign_bit;
    if (!PyArg_ParseTuple(arguments, "w*" PARAMETERS "I:jpeg_ls_encoder_begin", &state, INTO(p),
                          &sign_bit))
        return NULL;
    const size_t size = jpeg_ls_state_size(&p);
    int result = KERNEL_MISUSED;
    const int fits = size == 0 || holds_state(&state, size, alignof(jpeg_ls_state));
    if (fits && size) result = jpeg_ls_encoder_begin(state.buf, &p, sign_bit);
    PyBuffer_Release(&state);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    Py_RETURN_NONE;
}

/* Whether a state that was begun is still as long as its parameters ask. */
static int holds_begun(const Py_buffer *state) {
    if (!holds_state(state, sizeof(jpeg_ls_state), alignof(jpeg_ls_state))) return 0;
    const size_t size = jpeg_ls_state_size(&((const jpeg_ls_state *)state->buf)->parameters);
    return holds_state(state, size ? size : (size_t)PY_SSIZE_T_MAX, 1);
}

static PyObject *bits_seen(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer rows;
    unsigned int sample_length;
    if (!PyArg_ParseTuple(arguments, "y*I:jpeg_ls_bits_seen", &rows, &sample_length)) return NULL;
    const uint32_t seen = jpeg_ls_bits_seen(rows.buf, (size_t)rows.len, sample_length);
    PyBuffer_Release(&rows);
    return PyLong_FromUnsignedLong(seen);
}

static PyObject *decoder_begin(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state;
    jpeg_ls_parameters p;
    unsigned int stride, restart_rows, sign_bit;
    uint32_t offset[JPEG_LS_MOST_COMPONENTS];
    if (!PyArg_ParseTuple(arguments, "w*" PARAMETERS "I(IIII)II:jpeg_ls_decoder_begin", &state,
                          INTO(p), &stride, offset, offset + 1, offset + 2, offset + 3,
                          &restart_rows, &sign_bit))
        return NULL;
    const size_t size = jpeg_ls_state_size(&p);
    int result = KERNEL_MISUSED;
    const int fits = size == 0 || holds_state(&state, size, alignof(jpeg_ls_state));
    if (fits && size)
        result = jpeg_ls_decoder_begin(state.buf, &p, stride, offset, restart_rows, sign_bit);
    PyBuffer_Release(&state);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    Py_RETURN_NONE;
}

static ptrdiff_t encode_rows(void *state, const uint8_t *rows, size_t length, uint8_t *out,
                             size_t size) {
    return jpeg_ls_encode(state, rows, length, out, size);
}

static ptrdiff_t finish_rows(void *state, uint8_t *out, size_t size) {
    return jpeg_ls_finish(state, out, size);
}

static int decode_rows(void *state, const uint8_t *data, size_t length, int last, uint8_t *out,
                       size_t size, size_t *consumed, size_t *rows) {
    return jpeg_ls_decode(state, data, length, last, out, size, consumed, rows);
}

static const row_kernel kernel = {holds_begun, holds_begun, encode_rows, finish_rows, decode_rows};

static PyObject *encode(PyObject *module, PyObject *arguments) {
    (void)module;
    return rows_encode(&kernel, arguments);
}

static PyObject *finish(PyObject *module, PyObject *arguments) {
    (void)module;
    return rows_finish(&kernel, arguments);
}

static PyObject *decode(PyObject *module, PyObject *arguments) {
    (void)module;
    return rows_decode(&kernel, arguments);
}

PyMethodDef jpeg_ls_methods[] = {
    {"jpeg_ls_state_length", state_length, METH_VARARGS, "Bytes that a state needs."},
    {"jpeg_ls_encoder_begin", encoder_begin, METH_VARARGS, "Prepare an encoder."},
    {"jpeg_ls_bits_seen", bits_seen, METH_VARARGS, "All samples of rows, or-ed."},
    {"jpeg_ls_encode", encode, METH_VARARGS, "Encode rows (T.87 annex A)."},
    {"jpeg_ls_finish", finish, METH_VARARGS, "End the scan."},
    {"jpeg_ls_decoder_begin", decoder_begin, METH_VARARGS, "Prepare the decoder of a scan."},
    {"jpeg_ls_decode", decode, METH_VARARGS, "Decode rows of a scan."},
    {NULL, NULL, 0, NULL},
};
