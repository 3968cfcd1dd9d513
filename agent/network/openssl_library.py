"""The OpenSSL that Python's `ssl` uses, for what `ssl` has no way to say: keys that are elsewhere,
and the cipher suites of TLS 1.3.

The one thing read here that is not public is where an SSLContext keeps its SSL_CTX: behind the head
of the object, in every Python so far. That is checked before it is used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agent.errors import DeviceError
from agent.quoting import quoted

if TYPE_CHECKING:
    import ssl

_VOID = ctypes.c_void_p
_INT = ctypes.c_int
PRIVATE_ENCRYPT = ctypes.CFUNCTYPE(_INT, _INT, _VOID, _VOID, _VOID, _INT)
SIGN = ctypes.CFUNCTYPE(
    _INT, _INT, _VOID, _INT, _VOID, ctypes.POINTER(ctypes.c_uint), _VOID, _VOID, _VOID
)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "d2i_PUBKEY": (_VOID, (_VOID, ctypes.POINTER(ctypes.c_char_p), ctypes.c_long)),
    "ERR_clear_error": (None, ()),
    "EVP_PKEY_new": (_VOID, ()),
    "EVP_PKEY_free": (None, (_VOID,)),
    "EVP_PKEY_get1_RSA": (_VOID, (_VOID,)),
    "EVP_PKEY_set1_RSA": (_INT, (_VOID, _VOID)),
    "EVP_PKEY_get1_EC_KEY": (_VOID, (_VOID,)),
    "EVP_PKEY_set1_EC_KEY": (_INT, (_VOID, _VOID)),
    "RSA_get_default_method": (_VOID, ()),
    "RSA_meth_dup": (_VOID, (_VOID,)),
    "RSA_meth_set_priv_enc": (_INT, (_VOID, PRIVATE_ENCRYPT)),
    "RSA_set_method": (_INT, (_VOID, _VOID)),
    "RSA_free": (None, (_VOID,)),
    "EC_KEY_OpenSSL": (_VOID, ()),
    "EC_KEY_METHOD_new": (_VOID, (_VOID,)),
    "EC_KEY_METHOD_set_sign": (None, (_VOID, SIGN, _VOID, _VOID)),
    "EC_KEY_set_method": (_INT, (_VOID, _VOID)),
    "EC_KEY_free": (None, (_VOID,)),
    "SSL_CTX_set_ciphersuites": (_INT, (_VOID, ctypes.c_char_p)),
    "SSL_CTX_get_options": (ctypes.c_uint64, (_VOID,)),
    "SSL_CTX_use_certificate_chain_file": (_INT, (_VOID, ctypes.c_char_p)),
    "SSL_CTX_use_PrivateKey": (_INT, (_VOID, _VOID)),
}


def openssl() -> Any:
    """The very OpenSSL that Python's `ssl` uses: looked up through its module."""
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (AttributeError, OSError) as error:
        raise DeviceError(
            f"this Python's OpenSSL cannot be reached for keys in tokens and TPMs: {quoted(error)}",
            way_out="Use the Python of the distribution, which shares the system's OpenSSL.",
        ) from None
    return library


def address_of(context: ssl.SSLContext, library: Any) -> int:
    """The SSL_CTX of a context, checked by what both say of it."""
    address: int = _VOID.from_address(id(context) + object.__basicsize__).value or 0
    if not address or library.SSL_CTX_get_options(address) != context.options:
        raise DeviceError(
            "this Python keeps its TLS contexts in a way that is not known",
            way_out="Keep the key in a file, or use another version of Python.",
        )
    return address


def choose_tls_1_3(context: ssl.SSLContext, suites: Sequence[str]) -> None:
    """Which suites of TLS 1.3 the context offers, in this order; OpenSSL leaves out what is below
    its security level. Raises DeviceError where OpenSSL cannot be reached, or has none of them."""
    library = openssl()
    names = ":".join(suites).encode()
    if library.SSL_CTX_set_ciphersuites(address_of(context, library), names) != 1:
        library.ERR_clear_error()
        raise DeviceError(f"OpenSSL has none of {', '.join(suites)}")
