"""The App's private key: kept in the state directory, or one for all hubs of a process that keep nothing."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from pathlib import Path

NAME = "app.private-key.pem"


def new_key() -> str:
    """A private RSA key in the form in which GitHub hands it out (PEM, PKCS#1)."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


@cache
def process_key() -> str:
    """The key of hubs without a state directory: making one takes long, and they all live on this machine only."""
    return new_key()


def kept_key(directory: Path) -> str:
    """The key in a state directory, made on the first call, readable by its owner alone."""
    file = directory / NAME
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(new_key())
    return file.read_text()


@cache
def public_half(private_key: str) -> str:
    """The PEM of the public key that belongs to a private one."""
    private = serialization.load_pem_private_key(private_key.encode(), password=None)
    public = private.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
