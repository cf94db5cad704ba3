"""Servers that ask clients for a certificate of whatever issuer, which the application checks by itself (RFC 8122).

Python's ssl asks for a certificate only together with authorities that have to have issued it, and a client of MSRP may
have made its own: what counts is the fingerprint in its session description. OpenSSL can be told to leave the judgement
to a function of ours, by a call that Python does not pass on; so it is made here on the context's own OpenSSL object.
It stands at a known place behind the head of the Python object, as every TLS library for asyncio that is written in C
relies on as well. Whether it is there, and the library is the one of Python's ssl, is found out first by asking for
what Python knows too; where either fails nothing is done, and nobody is asked.
"""

import ctypes
import platform
import ssl
from functools import cache
from typing import Any, Final

_Judge = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_TRUST: Final = _Judge(lambda store, argument: 1)
"""Kept for as long as the process lives, because OpenSSL keeps it too."""
_MODES: Final = ((ssl.CERT_NONE, 0), (ssl.CERT_OPTIONAL, 1), (ssl.CERT_REQUIRED, 3))
"""Python's modes, and OpenSSL's bits for them."""


def ask_without_judging(context: ssl.SSLContext) -> bool:
    """Have a server's context ask each client for a certificate, and take any, or none.

    Args:
        context: Of a server, without authorities; not used yet.

    Returns:
        Whether it does; False: it can't, and the context is as it was.
    """
    library = _library()
    if library is None:
        return False
    before = context.verify_mode
    pointer = _pointer(context)
    if not _is_right(library, context, pointer):
        context.verify_mode = before
        return False
    library.SSL_CTX_set_cert_verify_callback(pointer, _TRUST, None)
    context.verify_mode = ssl.CERT_OPTIONAL
    return True


@cache
def _library() -> Any:
    """Return the OpenSSL that Python's ssl uses; None: it can't be got at."""
    if platform.python_implementation() != "CPython":
        return None
    try:
        import _ssl

        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_get_verify_mode.restype = ctypes.c_int
        library.SSL_CTX_set_cert_verify_callback.argtypes = [ctypes.c_void_p, _Judge, ctypes.c_void_p]
        library.SSL_CTX_set_cert_verify_callback.restype = None
    except (ImportError, OSError, AttributeError):
        return None
    return library


def _pointer(context: ssl.SSLContext) -> ctypes.c_void_p:
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__)


def _is_right(library: Any, context: ssl.SSLContext, pointer: ctypes.c_void_p) -> bool:
    for mode, bits in _MODES:
        context.verify_mode = mode
        if library.SSL_CTX_get_verify_mode(pointer) != bits:
            return False
    return True
