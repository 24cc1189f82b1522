"""The forms in which a layer can compute the same function."""

from __future__ import annotations

FORMS = ("plain", "composed")


def known_form(form: str) -> str:
    """Returns `form` if it is one of `FORMS`.

    Args:
        form: One of `FORMS`.

    Raises:
        ValueError: If it is another word.
    """
    if form not in FORMS:
        raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
    return form
