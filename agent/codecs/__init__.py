"""Compression of pixel data (PS3.5 8.2 and annex A.4): one module for each family.

`codec` says what an encoder and a decoder are, `registry` which there are. Frames go through in
strips of rows, in bounded memory; what is sequential by nature runs in C (`kernels/`, one optional
extension module), parameters, headers, markers and streaming stay here.
"""
