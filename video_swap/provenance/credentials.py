"""The key and certificate that sign outputs, made once per installation."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import secrets
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facedancer.errors import InputError

_FILE = "signing.pem"  # key and certificates in one, so that they always fit
_YEARS = 10
_NOTHING = {
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What signs.

    Attributes:
        key: Private key, PEM, PKCS #8, of the curve P-256.
        chain: Certificate and the one that signed it, PEM.
    """

    key: bytes = dataclasses.field(repr=False)
    chain: bytes


def folder() -> pathlib.Path:
    """Returns the user's folder for them: `$XDG_CONFIG_HOME/facedancer` or its like."""
    home = os.environ.get("XDG_CONFIG_HOME")
    base = pathlib.Path(home) if home else pathlib.Path.home() / ".config"
    return base / "facedancer"


def exist() -> bool:
    """Returns whether this installation has credentials already."""
    return (folder() / _FILE).is_file()


def load_credentials(key_path: str = "", chain_path: str = "") -> Credentials:
    """Returns the credentials of the flags, or those of this installation.

    The latter are made when there are none: folder 0700, files 0600. They never leave
    the machine, and nobody else has the same.

    Args:
        key_path: File with the private key; empty: the installation's.
        chain_path: File with the certificates; empty: the installation's.

    Raises:
        InputError: If only one is given, or a file cannot be read or made.
    """
    if bool(key_path) != bool(chain_path):
        raise InputError("--signing_key and --signing_certificate belong together")
    try:
        if key_path:
            key, chain = pathlib.Path(key_path), pathlib.Path(chain_path)
            return Credentials(key.read_bytes(), chain.read_bytes())
        path = folder() / _FILE
        if not path.is_file():
            _make(path)
        key, mark, chain = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        return Credentials(key, mark + chain)
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be used for signing ({error.strerror}). Give "
            "--signing_key and --signing_certificate, or set XDG_CONFIG_HOME"
        ) from None


def _make(path):
    """Writes new credentials to a file that appears whole, with safe permissions."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    made = make_credentials()
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # made with 0600
    with os.fdopen(handle, "wb") as file:
        file.write(made.key + made.chain)
    os.replace(temporary, path)


def make_credentials() -> Credentials:
    """Returns a new key with a certificate from an authority made for the purpose.

    The authority's key is forgotten at once, so it never signs anything else.
    """
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    number = secrets.token_hex(4)
    issuer = _name(f"FaceDancer installation {number} authority")
    root = (
        _certificate(issuer, issuer, authority, authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        _certificate(_name(f"FaceDancer installation {number}"), issuer, key, authority)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
            critical=False,
        )
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Credentials(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        leaf.public_bytes(pem) + root.public_bytes(pem),
    )


def _name(common):
    parts = [(NameOID.ORGANIZATION_NAME, "FaceDancer"), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _usage(signs_certificates):
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **_NOTHING,
    )


def _certificate(subject, issuer, key, authority):
    """Returns a builder with what both certificates have; C2PA wants both key ids."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
    )
