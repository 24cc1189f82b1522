"""What the C2PA manifests of a file say of how it was made."""

from __future__ import annotations

from typing import Any


def says_of(store: dict) -> dict:
    """Returns what a file says of itself.

    Args:
        store: All its manifests, as C2PA's reader gives them.

    Returns:
        `title`; `parent`, what it was made from; `actions`, what was done, each with
        `action`, `digitalSourceType` and perhaps `generator`; `before`, title and
        actions of the signed files it was made from, nearest first.
    """
    manifest = _active(store)
    parents = [
        one.get("instance_id", "") or one.get("title", "")
        for one in manifest.get("ingredients", [])
        if one.get("relationship") == "parentOf"
    ]
    return {
        "title": manifest.get("title", ""),
        "parent": ", ".join(parents),
        "actions": _actions(manifest),
        "before": _before(store, manifest),
    }


def signer_of(store: dict) -> str:
    """Returns the name in the certificate that signed a file, "" if there is none.

    Args:
        store: See `says_of`.
    """
    info = _active(store).get("signature_info", {})
    return info.get("common_name") or info.get("issuer", "")


def _active(store: dict[str, Any]) -> dict[str, Any]:
    return store["manifests"][store["active_manifest"]]


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _action(action)
        for assertion in manifest.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]


def _action(action: dict[str, Any]) -> dict[str, Any]:
    found = {name: action.get(name, "") for name in ("action", "digitalSourceType")}
    generator = action.get("parameters", {}).get("generator")
    return found if generator is None else {**found, "generator": generator}


def _before(store: dict[str, Any], manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found, todo, seen = [], [manifest], set()
    while todo:
        for ingredient in todo.pop(0).get("ingredients", []):
            label = ingredient.get("active_manifest")
            if label in store["manifests"] and label not in seen:
                seen.add(label)
                one = store["manifests"][label]
                found.append({"title": one.get("title", ""), "actions": _actions(one)})
                todo.append(one)
    return found
