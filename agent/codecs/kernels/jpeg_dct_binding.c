#include <stdalign.h>

#include "binding.h"
#include "jpeg_blocks.h"

/* Parameters come as a structure of 32 bit words in the order of the header. */
static int take(const Py_buffer *buffer, void *structure, size_t size) {
    if ((size_t)buffer->len != size) {
        kernel_misused();
        return 0;
    }
    memcpy(structure, buffer->buf, size);
    return 1;
}

static int aligned(const Py_buffer *buffer) {
    return (uintptr_t)buffer->buf % alignof(uint16_t) == 0;
}

static PyObject *result_of(int result) {
    return result == KERNEL_MISUSED ? kernel_misused() : PyLong_FromLong(result);
}

static PyObject *state_lengths(PyObject *module, PyObject *arguments) {
    (void)module;
    (void)arguments;
    return Py_BuildValue("nn", (Py_ssize_t)sizeof(jpeg_decoder), (Py_ssize_t)sizeof(jpeg_encoder));
}

static PyObject *begin(PyObject *arguments, const char *format, int decoding) {
    Py_buffer state, given;
    if (!PyArg_ParseTuple(arguments, format, &state, &given)) return NULL;
    jpeg_scan scan;
    const size_t size = decoding ? sizeof(jpeg_decoder) : sizeof(jpeg_encoder);
    const size_t alignment = decoding ? alignof(jpeg_decoder) : alignof(jpeg_encoder);
    const int fits = holds_state(&state, size, alignment) && take(&given, &scan, sizeof scan);
    int result = 0;
    if (fits)
        result = decoding ? jpeg_begin_decoder(state.buf, &scan)
                          : jpeg_begin_encoder(state.buf, &scan);
    PyBuffer_Release(&state);
    PyBuffer_Release(&given);
    if (!fits) return NULL;
    return result_of(result);
}

static PyObject *begin_decoder(PyObject *module, PyObject *arguments) {
    (void)module;
    return begin(arguments, "w*y*:jpeg_begin_decoder", 1);
}

static PyObject *begin_encoder(PyObject *module, PyObject *arguments) {
    (void)module;
    return begin(arguments, "w*y*:jpeg_begin_encoder", 0);
}

static PyObject *huffman(PyObject *arguments, const char *format, int decoding) {
    Py_buffer state, table;
    unsigned int table_class, number;
    if (!PyArg_ParseTuple(arguments, format, &state, &table_class, &number, &table)) return NULL;
    const size_t size = decoding ? sizeof(jpeg_decoder) : sizeof(jpeg_encoder);
    const size_t alignment = decoding ? alignof(jpeg_decoder) : alignof(jpeg_encoder);
    const int fits = holds_state(&state, size, alignment);
    int result = 0;
    if (fits)
        result = decoding ? jpeg_decoder_table(state.buf, table_class, number, table.buf,
                                               (size_t)table.len)
                          : jpeg_encoder_table(state.buf, table_class, number, table.buf,
                                               (size_t)table.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&table);
    if (!fits) return NULL;
    return result < 0 ? kernel_misused() : result_of(result);
}

static PyObject *decoder_huffman(PyObject *module, PyObject *arguments) {
    (void)module;
    return huffman(arguments, "w*IIy*:jpeg_decoder_huffman", 1);
}

static PyObject *encoder_huffman(PyObject *module, PyObject *arguments) {
    (void)module;
    return huffman(arguments, "w*IIy*:jpeg_encoder_huffman", 0);
}

static PyObject *quantisation(PyObject *arguments, const char *format, int decoding) {
    Py_buffer state, given;
    unsigned int number;
    if (!PyArg_ParseTuple(arguments, format, &state, &number, &given)) return NULL;
    uint16_t table[64];
    const size_t size = decoding ? sizeof(jpeg_decoder) : sizeof(jpeg_encoder);
    const size_t alignment = decoding ? alignof(jpeg_decoder) : alignof(jpeg_encoder);
    const int fits = holds_state(&state, size, alignment) && take(&given, table, sizeof table);
    int result = 0;
    if (fits)
        result = decoding ? jpeg_decoder_quantisation(state.buf, number, table)
                          : jpeg_encoder_quantisation(state.buf, number, table);
    PyBuffer_Release(&state);
    PyBuffer_Release(&given);
    if (!fits) return NULL;
    return result_of(result);
}

static PyObject *decoder_quantisation(PyObject *module, PyObject *arguments) {
    (void)module;
    return quantisation(arguments, "w*Iy*:jpeg_decoder_quantisation", 1);
}

static PyObject *encoder_quantisation(PyObject *module, PyObject *arguments) {
    (void)module;
    return quantisation(arguments, "w*Iy*:jpeg_encoder_quantisation", 0);
}

static PyObject *decode_blocks(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, data, planes;
    int last;
    unsigned int block_row;
    if (!PyArg_ParseTuple(arguments, "w*y*pIw*:jpeg_decode_blocks", &state, &data, &last,
                          &block_row, &planes))
        return NULL;
    size_t consumed = 0;
    int result = KERNEL_MISUSED;
    const int fits = holds_state(&state, sizeof(jpeg_decoder), alignof(jpeg_decoder));
    if (fits && aligned(&planes))
        result = jpeg_decode_blocks(state.buf, data.buf, (size_t)data.len, last, block_row,
                                    planes.buf, (size_t)planes.len / 2, &consumed);
    PyBuffer_Release(&state);
    PyBuffer_Release(&data);
    PyBuffer_Release(&planes);
    if (!fits) return NULL;
    if (result == KERNEL_MISUSED) return kernel_misused();
    return Py_BuildValue("in", result, (Py_ssize_t)consumed);
}

static PyObject *encode_blocks(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, planes, out;
    if (!PyArg_ParseTuple(arguments, "w*y*w*:jpeg_encode_blocks", &state, &planes, &out))
        return NULL;
    size_t written = 0;
    int result = KERNEL_MISUSED;
    const int fits = holds_state(&state, sizeof(jpeg_encoder), alignof(jpeg_encoder));
    if (fits && aligned(&planes))
        result = jpeg_encode_blocks(state.buf, planes.buf, (size_t)planes.len / 2, out.buf,
                                    (size_t)out.len, &written);
    PyBuffer_Release(&state);
    PyBuffer_Release(&planes);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    if (result < 0) return kernel_misused();
    return Py_BuildValue("in", result, (Py_ssize_t)written);
}

static PyObject *finish(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, out;
    if (!PyArg_ParseTuple(arguments, "w*w*:jpeg_finish", &state, &out)) return NULL;
    ptrdiff_t written = KERNEL_MISUSED;
    const int fits = holds_state(&state, sizeof(jpeg_encoder), alignof(jpeg_encoder));
    if (fits) written = jpeg_finish(state.buf, out.buf, (size_t)out.len);
    PyBuffer_Release(&state);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    return written < 0 ? kernel_misused() : PyLong_FromSsize_t(written);
}

static PyObject *count_blocks(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer state, planes, counts;
    if (!PyArg_ParseTuple(arguments, "w*y*w*:jpeg_count_blocks", &state, &planes, &counts))
        return NULL;
    int result = KERNEL_MISUSED;
    const int fits = holds_state(&state, sizeof(jpeg_encoder), alignof(jpeg_encoder)) &&
                     holds_state(&counts, sizeof(uint64_t[8][256]), alignof(uint64_t));
    if (fits && aligned(&planes))
        result = jpeg_count_blocks(state.buf, planes.buf, (size_t)planes.len / 2, counts.buf);
    PyBuffer_Release(&state);
    PyBuffer_Release(&planes);
    PyBuffer_Release(&counts);
    if (!fits) return NULL;
    return result_of(result);
}

static PyObject *separate(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer given, rows, planes;
    if (!PyArg_ParseTuple(arguments, "y*y*w*:jpeg_separate", &given, &rows, &planes)) return NULL;
    jpeg_layout layout;
    int result = KERNEL_MISUSED;
    const int fits = take(&given, &layout, sizeof layout);
    if (fits && aligned(&planes))
        result = jpeg_separate(&layout, rows.buf, (size_t)rows.len, planes.buf,
                               (size_t)planes.len / 2);
    PyBuffer_Release(&given);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&planes);
    if (!fits) return NULL;
    return result_of(result);
}

static PyObject *join(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer given, planes, scratch, out;
    unsigned int mcu_row, first, count;
    if (!PyArg_ParseTuple(arguments, "y*y*IIIw*w*:jpeg_join", &given, &planes, &mcu_row, &first,
                          &count, &scratch, &out))
        return NULL;
    jpeg_layout layout;
    int result = KERNEL_MISUSED;
    const int fits = take(&given, &layout, sizeof layout);
    if (fits && aligned(&planes) && aligned(&scratch))
        result = jpeg_join(&layout, planes.buf, (size_t)planes.len / 2, mcu_row, first, count,
                           scratch.buf, (size_t)scratch.len / 2, out.buf, (size_t)out.len);
    PyBuffer_Release(&given);
    PyBuffer_Release(&planes);
    PyBuffer_Release(&scratch);
    PyBuffer_Release(&out);
    if (!fits) return NULL;
    return result_of(result);
}

static PyObject *carry(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer given, planes;
    if (!PyArg_ParseTuple(arguments, "y*w*:jpeg_carry", &given, &planes)) return NULL;
    jpeg_layout layout;
    int result = KERNEL_MISUSED;
    const int fits = take(&given, &layout, sizeof layout);
    if (fits && aligned(&planes))
        result = jpeg_carry(&layout, planes.buf, (size_t)planes.len / 2);
    PyBuffer_Release(&given);
    PyBuffer_Release(&planes);
    if (!fits) return NULL;
    return result_of(result);
}

PyMethodDef jpeg_dct_methods[] = {
    {"jpeg_state_lengths", state_lengths, METH_NOARGS, "Bytes of the states to decode and encode."},
    {"jpeg_begin_decoder", begin_decoder, METH_VARARGS, "Prepare the decoder of a scan."},
    {"jpeg_begin_encoder", begin_encoder, METH_VARARGS, "Prepare the encoder of a scan."},
    {"jpeg_decoder_huffman", decoder_huffman, METH_VARARGS, "Set a Huffman table to decode."},
    {"jpeg_encoder_huffman", encoder_huffman, METH_VARARGS, "Set a Huffman table to encode."},
    {"jpeg_decoder_quantisation", decoder_quantisation, METH_VARARGS, "Set a quantisation table."},
    {"jpeg_encoder_quantisation", encoder_quantisation, METH_VARARGS, "Set a quantisation table."},
    {"jpeg_decode_blocks", decode_blocks, METH_VARARGS, "Decode MCUs of a row (T.81 F.2.2)."},
    {"jpeg_encode_blocks", encode_blocks, METH_VARARGS, "Encode MCUs of a row (T.81 F.1.2)."},
    {"jpeg_finish", finish, METH_VARARGS, "Write the last bits of a scan."},
    {"jpeg_count_blocks", count_blocks, METH_VARARGS, "Count the symbols of a row of MCUs."},
    {"jpeg_separate", separate, METH_VARARGS, "Planes of components from native rows."},
    {"jpeg_join", join, METH_VARARGS, "Native rows from planes of components."},
    {"jpeg_carry", carry, METH_VARARGS, "Keep the last rows of planes for the next."},
    {NULL, NULL, 0, NULL},
};
