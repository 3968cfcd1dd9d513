#include <stdalign.h>

#include "row_binding.h"
#include "jpeg_lossless.h"

/* A binding's view of `lossless_parameters`: a tuple of six numbers, in the order of the struct. */
#define PARAMETERS "(IIIIII)"
#define INTO(p)                                                                                    \
    &(p).columns, &(p).components, &(p).sample_length, &(p).precision, &(p).point_transform,       \
        &(p).predictor

static PyObject *state_length(PyObject *module, PyObject *arguments) {
    (void)module;
    lossless_parameters p;
    int decoder;
    if (!PyArg_ParseTuple(arguments, PARAMETERS "p:lossless_state_length", INTO(p), &decoder))
        return NULL;
    const size_t size = decoder ? lossless_decoder_size(&p) : lossless_encoder_size(&p);
    return size ? PyLong_FromSize_t(size) : kernel_misused();
}

static PyObject *encoder_begin(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, table;
    lossless_parameters p;
    if (!PyArg_ParseTuple(arguments, "w*" PARAMETERS "y*:lossless_encoder_begin", &state, INTO(p),
                          &table))
        return NULL;
    const size_t size = lossless_encoder_size(&p);
    int result = KERNEL_MISUSED;
    const int fits = size == 0 || holds_state(&state, size, alignof(lossless_encoder));
    if (fits && size)
        result = lossless_encoder_begin(state.buf, &p, table.buf, (size_t)table.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&table);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    Py_RETURN_NONE;
}

/* Whether a state that was begun is still as long as its parameters ask. */
static int holds_encoder(const Py_buffer *state) {
    if (!holds_state(state, sizeof(lossless_encoder), alignof(lossless_encoder))) return 0;
    const lossless_encoder *encoder = state->buf;
    const size_t size = lossless_encoder_size(&encoder->parameters);
    return holds_state(state, size ? size : (size_t)PY_SSIZE_T_MAX, 1);
}

static int holds_decoder(const Py_buffer *state) {
    if (!holds_state(state, sizeof(lossless_decoder), alignof(lossless_decoder))) return 0;
    const lossless_decoder *decoder = state->buf;
    const size_t size = lossless_decoder_size(&decoder->parameters);
    return holds_state(state, size ? size : (size_t)PY_SSIZE_T_MAX, 1);
}

static PyObject *count(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, rows, counts;
    if (!PyArg_ParseTuple(arguments, "w*y*w*:lossless_count", &state, &rows, &counts)) return NULL;
    int result = KERNEL_MISUSED;
    uint32_t seen = 0;
    const int fits =
        holds_encoder(&state) &&
        holds_state(&counts, LOSSLESS_CATEGORIES * sizeof(uint64_t), alignof(uint64_t));
    if (fits) {
        result = lossless_count(state.buf, rows.buf, (size_t)rows.len, counts.buf);
        seen = ((const lossless_encoder *)state.buf)->seen;
    }
    PyBuffer_Release(&state);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&counts);
    if (!fits) return NULL;
    return result < 0 ? kernel_misused() : PyLong_FromUnsignedLong(seen);
}

static PyObject *decoder_begin(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state;
    lossless_parameters p;
    unsigned int stride, restart_rows, sign_bit;
    if (!PyArg_ParseTuple(arguments, "w*" PARAMETERS "III:lossless_decoder_begin", &state, INTO(p),
                          &stride, &restart_rows, &sign_bit))
        return NULL;
    const size_t size = lossless_decoder_size(&p);
    int result = KERNEL_MISUSED;
    const int fits = size == 0 || holds_state(&state, size, alignof(lossless_decoder));
    if (fits && size)
        result = lossless_decoder_begin(state.buf, &p, stride, restart_rows, sign_bit);
    PyBuffer_Release(&state);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    Py_RETURN_NONE;
}

static PyObject *decoder_component(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, table;
    unsigned int index, offset;
    if (!PyArg_ParseTuple(arguments, "w*IIy*:lossless_decoder_component", &state, &index, &offset,
                          &table))
        return NULL;
    int result = KERNEL_MISUSED;
    const int fits = holds_decoder(&state);
    if (fits)
        result = lossless_decoder_component(state.buf, index, offset, table.buf,
                                            (size_t)table.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&table);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    Py_RETURN_NONE;
}

static ptrdiff_t encode_rows(void *state, const uint8_t *rows, size_t length, uint8_t *out,
                             size_t size) {
    return lossless_encode(state, rows, length, out, size);
}

static ptrdiff_t finish_rows(void *state, uint8_t *out, size_t size) {
    return lossless_finish(state, out, size);
}

static int decode_rows(void *state, const uint8_t *data, size_t length, int last, uint8_t *out,
                       size_t size, size_t *consumed, size_t *rows) {
    return lossless_decode(state, data, length, last, out, size, consumed, rows);
}

static const row_kernel kernel = {holds_encoder, holds_decoder, encode_rows, finish_rows, decode_rows};

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

PyMethodDef jpeg_lossless_methods[] = {
    {"lossless_state_length", state_length, METH_VARARGS, "Bytes that a state needs."},
    {"lossless_encoder_begin", encoder_begin, METH_VARARGS, "Prepare a pass over a frame."},
    {"lossless_count", count, METH_VARARGS, "Count the categories of rows (T.81 H.1.2.2)."},
    {"lossless_encode", encode, METH_VARARGS, "Encode rows."},
    {"lossless_finish", finish, METH_VARARGS, "End the scan."},
    {"lossless_decoder_begin", decoder_begin, METH_VARARGS, "Prepare the decoder of a scan."},
    {"lossless_decoder_component", decoder_component, METH_VARARGS, "Its table and its place."},
    {"lossless_decode", decode, METH_VARARGS, "Decode rows of a scan."},
    {NULL, NULL, 0, NULL},
};
