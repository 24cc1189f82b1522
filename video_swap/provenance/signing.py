"""Say on the file itself what was done to it: C2PA manifests, or a signed sidecar.

The manifest names the action (edited, composite with trained algorithmic media), the
target as parent by its hash, and the generator. It is signed with the key of this
installation (`credentials`); nothing is looked up in or sent to a network. Containers
that C2PA has no place in (mkv, webm, avi ...) get `<file>.provenance.json` beside them,
signed with the same key.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import hashlib
import io
import json
import mmap
import os
import pathlib
from typing import Any

import c2pa
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import facedancer
from facedancer.errors import InputError
from facedancer.process import stopping
from facedancer.storage import files, untrusted
from facedancer.video_swap.provenance import manifests
from facedancer.video_swap.provenance.credentials import Credentials

SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/"
    "compositeWithTrainedAlgorithmicMedia"
)
EMBEDS = (".mp4", ".mov", ".m4v", ".jpg", ".jpeg", ".png", ".webp", ".gif")
_SETTINGS = {
    "verify": {
        "verify_trust": True,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
    "core": {"backing_store_memory_threshold_in_mb": 16},  # more goes to disk
}
# Kind of the box that holds all manifests of a file (C2PA specification: C2PA Box).
_STORE = bytes.fromhex("63327061 0011 0010 8000 00AA00389B71")
_MAX_SIDECAR = 1 << 20  # bytes; one has some 3,000
_NOT_TRUSTED = "signingCredential.untrusted"


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a file says about itself.

    Attributes:
        signed: Whether there is a signature.
        intact: Whether the file and what it says are as they were signed.
        signer: Name in the certificate.
        says: What is claimed, by name.
        problems: Why it is not intact, one line each.
        trusted: Whether the signer is this installation.
    """

    signed: bool
    intact: bool = False
    signer: str = ""
    says: dict = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    trusted: bool = False


class Parent:
    """The file that others are made from; it is read once, however many there are.

    Args:
        target: The file, or the folder of images.
    """

    def __init__(self, target: pathlib.Path) -> None:
        self.target = target

    @functools.cached_property
    def sha256(self) -> str:
        """See `sha256_of`."""
        return sha256_of(self.target)

    @functools.cached_property
    def archive(self) -> bytes:
        """The target as an ingredient: its hash and, if it has one, its manifest."""
        name, archive = f"sha256:{self.sha256}", io.BytesIO()
        ingredient = {
            "title": files.in_letters(self.target.name),
            "relationship": "parentOf",
            "instance_id": name,
        }
        with (
            stopping.postponed(),
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Builder({}, context=context) as builder,
        ):
            if not self._add_file(builder, ingredient):
                builder.add_ingredient(
                    ingredient, "application/octet-stream", io.BytesIO()
                )
            builder.write_ingredient_archive(name, archive)
        return archive.getvalue()

    def _add_file(self, builder: c2pa.Builder, ingredient: dict) -> bool:
        """Returns whether the target is a file of a kind and state that C2PA reads."""
        kind = self.target.suffix.lower().lstrip(".")
        known = kind in c2pa.Builder.get_supported_mime_types()
        if not (known and self.target.is_file()):
            return False
        with open(self.target, "rb") as file:
            try:
                builder.add_ingredient(ingredient, kind, file)
            except c2pa.C2paError:
                return False  # damaged; it is named by its hash alone
        return True


def sign(
    path: pathlib.Path,
    parent: Parent,
    output: pathlib.Path,
    generator: str,
    credentials: Credentials,
) -> str:
    """Signs a finished file in place, or writes a sidecar for it.

    Args:
        path: The file; it may have a temporary name.
        parent: The file it was made from.
        output: The name it will have; a sidecar is named after it.
        generator: Name of the generator's file.
        credentials: What signs.

    Returns:
        `"signed"`, or `"signed in <sidecar>"`.

    Raises:
        InputError: If the credentials cannot sign, or the disk is full.
    """
    if output.suffix.lower() in EMBEDS:
        _embed(path, parent, output, generator, credentials)
        return "signed"
    sidecar = sidecar_of(output)
    text = json.dumps(_sidecar(path, parent, output, generator, credentials), indent=1)
    files.write_atomic(sidecar, text.encode())
    return f"signed in {sidecar.name}"


def sidecar_of(path: str | os.PathLike) -> pathlib.Path:
    """Returns the name of a file's sidecar.

    Args:
        path: The file.
    """
    path = pathlib.Path(path)
    return path.with_name(f"{path.name}.provenance.json")


def sha256_of(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file in hexadecimal; of a folder, of its files.

    Args:
        path: File or folder.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        items = sorted(item for item in path.iterdir() if item.is_file())
        text = "\n".join(f"{item.name} {sha256_of(item)}" for item in items)
        return hashlib.sha256(os.fsencode(text)).hexdigest()
    return files.file_hash(path)


def _manifest(output: pathlib.Path, generator: str) -> dict[str, Any]:
    agent = {"name": "FaceDancer in Keras 3", "version": facedancer.__version__}
    return {
        "claim_generator_info": [agent],
        "title": files.in_letters(output.name),
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.edited",
                            "digitalSourceType": SOURCE_TYPE,
                            "softwareAgent": agent,
                            "description": "Faces were replaced",
                            "parameters": {"generator": files.in_letters(generator)},
                        }
                    ]
                },
            }
        ],
    }


def _embed(
    path: pathlib.Path,
    parent: Parent,
    output: pathlib.Path,
    generator: str,
    credentials: Credentials,
) -> None:
    suffix = output.suffix.lower()
    unsigned = path.with_name(f"{path.stem}-unsigned{suffix}")
    signed = path.with_name(f"{path.stem}-signed{suffix}")
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256,
        sign_cert=credentials.chain,
        private_key=credentials.key,
        ta_url=None,
    )
    try:
        os.replace(path, unsigned)
        with (
            stopping.postponed(),
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_manifest(output, generator), context=context) as builder,
        ):
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.add_ingredient_from_archive(io.BytesIO(parent.archive))
            builder.sign_file(str(unsigned), str(signed), signer)
        os.replace(signed, path)
    except OSError as error:
        raise files.not_written(output, error) from None
    except c2pa.C2paError as error:
        if isinstance(error.__cause__, OSError) or isinstance(error, c2pa.C2paError.Io):
            raise files.not_written(output, error.__cause__ or error) from None
        raise InputError(
            f"{files.final_name(output)}: cannot be signed ({error}). Check "
            "--signing_key and --signing_certificate"
        ) from None
    finally:
        unsigned.unlink(missing_ok=True)
        signed.unlink(missing_ok=True)


def read(path: str | os.PathLike, own: Credentials | None = None) -> Claim:
    """Returns what a file says about itself, and whether that still holds.

    A signature in the file goes before a sidecar, which anyone can lay beside it.

    Args:
        path: The file.
        own: Credentials of this installation, to tell whether it signed.

    Raises:
        InputError: If there is no such file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    claim, sidecar = _read_embedded(path, own), sidecar_of(path)
    if not claim.signed and sidecar.is_file():
        return _read_sidecar(path, sidecar, own)
    return claim


def _read_embedded(path: pathlib.Path, own: Credentials | None) -> Claim:
    settings = dict(_SETTINGS)
    if own is not None:
        settings["trust"] = {"trust_anchors": own.chain.decode()}
    try:
        with (
            stopping.postponed(),
            c2pa.Context.from_dict(settings) as context,
            open(path, "rb") as file,
            c2pa.Reader(
                path.suffix.lower().lstrip("."), file, context=context
            ) as reader,
        ):
            store = json.loads(reader.json())
            state = reader.get_validation_state()
    except c2pa.C2paError as error:
        if "ManifestNotFound" in type(error).__name__ or "NotSupported" in str(error):
            return Claim(False)
        if "not found" in str(error).lower() or "no JUMBF" in str(error):
            return Claim(False)
        if not _holds(path, _STORE):
            return Claim(False)  # only damaged, or not of the kind its ending says
        return Claim(True, problems=(str(error),))
    return _claim(store, state)


def _holds(path: pathlib.Path, words: bytes) -> bool:
    if not path.stat().st_size:
        return False  # nothing to map
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(words) >= 0


def _claim(store: dict[str, Any], state: str | None) -> Claim:
    codes = [entry["code"] for entry in store.get("validation_status", [])]
    problems = tuple(code for code in codes if code != _NOT_TRUSTED)
    return Claim(
        True,
        state in ("Valid", "Trusted") and not problems,
        manifests.signer_of(store),
        manifests.says_of(store),
        problems,
        state == "Trusted",
    )


def _sidecar(
    path: pathlib.Path,
    parent: Parent,
    output: pathlib.Path,
    generator: str,
    credentials: Credentials,
) -> dict[str, Any]:
    says = {
        "title": output.name,
        "sha256": sha256_of(path),
        "parent": parent.target.name,
        "parent_sha256": parent.sha256,
        "actions": [
            {
                "action": "c2pa.edited",
                "digitalSourceType": SOURCE_TYPE,
                "generator": generator,
            }
        ],
        "software": f"FaceDancer in Keras 3 {facedancer.__version__}",
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    try:
        key = serialization.load_pem_private_key(credentials.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("it is not of an elliptic curve")
        signature = key.sign(_canonical(says), ec.ECDSA(hashes.SHA256()))
    except (ValueError, TypeError) as error:
        raise InputError(f"--signing_key cannot sign ({error})") from None
    return {
        "says": says,
        "signature": base64.b64encode(signature).decode(),
        "certificates": credentials.chain.decode(),
    }


def _canonical(says: dict[str, Any]) -> bytes:
    return json.dumps(says, sort_keys=True, separators=(",", ":")).encode()


def _load_sidecar(
    sidecar: pathlib.Path,
) -> tuple[dict[str, Any], bytes, bytes, x509.Certificate]:
    """Returns claim, signature, certificates and the first of these.

    Raises:
        ValueError: If it is not what `_sidecar` gives; other `READING_ERRORS` come of
            wrong kinds of values too.
    """
    if sidecar.stat().st_size > _MAX_SIDECAR:
        raise ValueError("it is larger than any sidecar")
    stored = json.loads(sidecar.read_bytes())
    says, chain = stored["says"], stored["certificates"].encode()
    leaf = x509.load_pem_x509_certificate(chain)
    texts = [text for action in says["actions"] for text in action.values()]
    # what was there before is proved by C2PA's chain alone
    if "before" in says or not all(isinstance(text, str) for text in texts):
        raise ValueError("`actions` must hold text, and nothing may be said of before")
    return says, base64.b64decode(stored["signature"]), chain, leaf


def _read_sidecar(
    path: pathlib.Path, sidecar: pathlib.Path, own: Credentials | None
) -> Claim:
    try:
        says, signature, chain, leaf = _load_sidecar(sidecar)
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("the key must be one of an elliptic curve")
        name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except (*untrusted.READING_ERRORS, exceptions.UnsupportedAlgorithm):
        return Claim(True, problems=("the sidecar is damaged",))
    problems = []
    try:
        key.verify(signature, _canonical(says), ec.ECDSA(hashes.SHA256()))
    except exceptions.InvalidSignature:
        problems.append("the sidecar was altered")
    if says.get("sha256") != sha256_of(path):
        problems.append("the file was altered")
    known = own is not None and chain.strip() == own.chain.strip()
    signer = str(name[0].value) if name else ""
    return Claim(True, not problems, signer, says, tuple(problems), known)
