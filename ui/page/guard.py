"""What the page may load and who may ask for it: this machine, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

HOST = "127.0.0.1"
# What a browser may load for the page. Scripts and styles of gradio stand in the page
# itself; pictures and clips may be made in the browser (data, blob).
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_KNOWN = (HOST, "localhost")
Messages = Callable[[dict[str, Any]], Awaitable[None]]


class Guard:
    """Answers of a server, with the policy; other names than this machine's refused.

    A name of somebody else that leads to 127.0.0.1 would let a page of theirs read this
    one (DNS rebinding).

    Args:
        app: What answers (ASGI).
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Messages
    ) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if asked.rsplit(":", 1)[0] not in _KNOWN:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"Not this machine."})
            return

        async def guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self.app(scope, receive, guarded)
