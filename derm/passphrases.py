"""A passphrase kept as a hash that cannot be turned back. Knows scrypt; not where the hash is kept, nor who
asks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from derm.errors import ConfigError

LEAST = 12  # characters
_N, _R, _P = 2**15, 8, 1  # scrypt (RFC 7914): 32 MB and about a tenth of a second a guess
_MEMORY = 2**26


def hashed(passphrase: str, *, salt: bytes | None = None) -> str:
    """'scrypt$15$8$1$<salt>$<hash>', with a new salt unless one is given. Raises `ConfigError` for a short one."""
    if len(passphrase) < LEAST:
        raise ConfigError(f"a passphrase of {len(passphrase)} characters; expected {LEAST} or more, such as four "
                          "words that do not belong together.", "passphrase")
    salt = secrets.token_bytes(16) if salt is None else salt
    key = _key(passphrase, salt, _N, _R, _P)
    return "$".join(("scrypt", str(_N.bit_length() - 1), str(_R), str(_P), _text(salt), _text(key)))


def matches(passphrase: str, kept: str) -> bool:
    """Whether the passphrase is the one that `kept` is the hash of, in a time that does not tell how nearly.

    Raises `ConfigError` where `kept` is no such hash.
    """
    try:
        kind, power, r, p, salt, key = kept.strip().split("$")
        if kind != "scrypt" or not 10 <= int(power) <= 15:
            raise ValueError(kind)
        found = _key(passphrase, base64.b64decode(salt, validate=True), 2**int(power), int(r), int(p))
        return hmac.compare_digest(found, base64.b64decode(key, validate=True))
    except (ValueError, binascii.Error, MemoryError) as error:
        raise ConfigError("passphrase_hash in secrets.toml is no hash that Derm made; make one with "
                          "`derm staff passphrase`.", "passphrase_hash") from error


def _key(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
