"""The key and certificate that sign outputs, made once per installation."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import hashlib
import logging
import os
import pathlib
import secrets

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facedancer.errors import InputError
from facedancer.storage import files

_FILE = "signing.pem"  # key and certificates in one, so that they always fit
_YEARS = 10
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
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

    @property
    def number(self) -> int:
        """The 32 bits that name the certificates in watermarks."""
        return int.from_bytes(hashlib.sha256(self.chain).digest()[:4], "big")


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

    The latter are made when there are none: folder 0700, files 0600, which is mended
    with a warning if it was changed. They never leave the machine, and nobody else has
    the same.

    Args:
        key_path: File with the private key; empty: the installation's.
        chain_path: File with the certificates; empty: the installation's.

    Raises:
        InputError: If only one is given, others can read a key that is given, a file is
            no key that can sign, or it cannot be read or made.
    """
    if bool(key_path) != bool(chain_path):
        raise InputError("--signing_key and --signing_certificate belong together")
    try:
        if key_path:
            own_key, own_chain = pathlib.Path(key_path), pathlib.Path(chain_path)
            _refuse_open(own_key)
            found = Credentials(own_key.read_bytes(), own_chain.read_bytes())
            return _checked(found, key_path, "Give another")
        path = folder() / _FILE
        if not path.is_file():
            _make(path)
        _close(path)
        key, mark, chain = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        return _checked(
            Credentials(key, mark + chain), path, "Move it away: a new one is made"
        )
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be used for signing ({error.strerror}). Give "
            "--signing_key and --signing_certificate, or set XDG_CONFIG_HOME"
        ) from None


def _is_open(path: pathlib.Path) -> bool:
    """Returns whether others can read a file of this user, or write to it."""
    stat = path.stat()
    return stat.st_uid == os.getuid() and stat.st_mode & 0o077 != 0


def _refuse_open(path: pathlib.Path) -> None:
    if _is_open(path):
        raise InputError(
            f"{path}: others can read this key. Make it yours alone: chmod 600 {path}"
        )


def _close(path: pathlib.Path) -> None:
    if _is_open(path):
        os.chmod(path, 0o600)
        logging.getLogger("absl").warning(
            "%s: others could read the signing key until now. Who has it can sign as "
            "this installation: move it away, and a new one is made",
            path,
        )


def _checked(found: Credentials, path: str | os.PathLike, advice: str) -> Credentials:
    """Returns credentials if the key is of the right kind and the certificate its own.

    Raises:
        InputError: If not.
    """
    try:
        key = serialization.load_pem_private_key(found.key, None)
        leaf = x509.load_pem_x509_certificate(found.chain)
        curve = getattr(getattr(key, "curve", None), "name", "")
        good = curve == "secp256r1" and leaf.public_key() == key.public_key()
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        good = False
    if good:
        return found
    raise InputError(
        f"{path}: not a key that can sign: it must be an unencrypted PEM key of the "
        f"curve P-256, with a certificate that is its own. {advice}"
    )


def _make(path: pathlib.Path) -> None:
    """Writes new credentials to a file that appears whole, with safe permissions.

    Of several processes that do this at once, the file of the first one stays.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    files.remove_leftovers(path.parent)
    made = make_credentials()
    temporary = files.temporary_name(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(made.key + made.chain)
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(temporary, path)
    finally:
        files.remove(temporary)


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


def _name(common: str) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, "FaceDancer"), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **_NOTHING,
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
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
