"""The page itself: its tabs, what stands where, and which event belongs to what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from facedancer.ui.page.events import Events
from facedancer.ui.session import swaps
from facedancer.ui.settings import MAX_UPLOAD
from facedancer.video_swap.compositing import colour_transfer
from facedancer.video_swap.compositing.mask_kinds import MASKS

# Letters that every machine has: a theme of gradio would ask a server for its own.
FONT = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
CSS = """
.shown, .curve {margin: 0 0 1rem 0}
.shown video, .shown img {max-width: 100%; max-height: 70vh; display: block}
.curves {display: flex; flex-wrap: wrap; gap: 1rem}
.curve {width: 300px; max-width: 100%}
.curve svg {width: 100%; border: 1px solid var(--border-color-primary)}
.curve figcaption {font-size: 0.8rem; overflow-wrap: anywhere}
.faces .grid-container {
    grid-template-columns: repeat(auto-fill, 136px) !important;
    grid-template-rows: none !important;
    grid-auto-rows: 136px;
    justify-content: start;
    padding-top: 1.6rem;
}
.faces .grid-wrap {min-height: 0 !important}
#said {min-height: 5rem}
.faces .thumbnail-item {width: 136px; height: 136px; aspect-ratio: 1}
footer {display: none !important}
"""
INTRODUCTION = """# FaceDancer
Puts the face of one person on another in a photo or clip. Everything stays on this
machine; what you choose here is removed when the page is closed.
"""


def theme() -> gr.themes.Base:
    """Returns colours, and letters that nobody is asked for."""
    return gr.themes.Base(font=FONT, font_mono=MONO)


def page(events: Events) -> gr.Blocks:
    """Returns the page.

    Args:
        events: What a click does.
    """
    with gr.Blocks(title="FaceDancer", analytics_enabled=False) as blocks:
        gr.Markdown(INTRODUCTION)
        with gr.Tab("Swap"):
            _swap_tab(events)
        with gr.Tab("Verify"):
            _verify_tab(events)
        with gr.Tab("Report"):
            _folder_tab(events.report, "report", "facedancer evaluate")
        with gr.Tab("Training"):
            _folder_tab(events.run, "run", "facedancer train")
        blocks.unload(events.end)
    return blocks


def _swap_tab(events: Events) -> None:
    clicked = gr.State(None)
    with gr.Row():
        with gr.Column(min_width=280):
            gr.Markdown("### 1. Whose face?\nPhotos, each of one person.")
            uploads, source_path = _chooser("source", "image", many=True)
            sources = _gallery("Sources", "sources")
            forget = gr.Button("Forget these photos", size="sm")
        with gr.Column(min_width=280):
            gr.Markdown("### 2. In which photo or clip?")
            upload, target_path = _chooser("target", "image_or_clip")
            name = gr.Markdown("")
            people = _gallery("Its people: click one", "people")
            becomes = gr.Radio([], label="becomes", visible=False, elem_id="becomes")
    mask, strength, colour, seconds = _controls()
    with gr.Group() as asked:
        gr.Markdown("**Consent.** " + swaps.CONSENT, padding=True)
        agree = gr.Checkbox(label="Yes, all of this is so", elem_id="agree")
    before, after = _preview(events, [seconds, mask, strength, colour])
    _result(events, [mask, strength, colour])

    given = [uploads, source_path]
    shown = [uploads, source_path, sources, becomes, people]
    uploads.upload(events.add_sources, given, shown)
    source_path.submit(events.add_sources, given, shown)
    forget.click(events.forget_sources, None, [sources, becomes, people])
    given, shown = [upload, target_path], [upload, target_path, name, people, seconds]
    upload.upload(events.set_target, given, shown)
    target_path.submit(events.set_target, given, shown)
    people.select(events.click_face, None, [clicked, becomes])
    becomes.input(events.choose, [clicked, becomes], [people])
    agree.input(events.agree, [agree], [asked])


def _controls() -> tuple[gr.Radio, gr.Slider, gr.Dropdown, gr.Slider]:
    gr.Markdown("### 3. How?")
    with gr.Row():
        mask = gr.Radio(list(MASKS), value="face", label="Mask", elem_id="mask")
        strength = gr.Slider(
            0.0, 2.0, 1.0, step=0.05, label="Strength", elem_id="strength"
        )
        colour = gr.Dropdown(
            list(colour_transfer.KINDS), value="none", label="Colour", elem_id="colour"
        )
        seconds = gr.Slider(
            0.0, 1.0, 0.0, step=0.04, label="Second of the clip", visible=False
        )
    return mask, strength, colour, seconds


def _preview(events: Events, settings: list) -> tuple[gr.Image, gr.Image]:
    look = gr.Button("Preview", elem_id="preview")
    with gr.Row():
        before, after = (
            gr.Image(
                label=label,
                interactive=False,
                elem_id=name,
                min_width=280,
                buttons=["fullscreen"],
            )
            for label, name in (("Before", "before"), ("After", "after"))
        )
    look.click(events.preview, settings, [before, after])
    seconds, mask, strength, colour = settings
    for changed in (seconds.release, mask.input, strength.release, colour.input):
        changed(_again(events), settings, [before, after], trigger_mode="always_last")
    return before, after


def _again(events: Events) -> object:
    def again(
        seconds: float, mask: str, strength: float, colour: str, request: gr.Request
    ) -> object:
        return events.maybe_preview(seconds, mask, strength, colour, request=request)

    return again


def _result(events: Events, settings: list) -> None:
    gr.Markdown("### 4. Swap")
    with gr.Row():
        start = gr.Button("Swap", variant="primary", elem_id="swap")
        stop = gr.Button("Stop", variant="stop", elem_id="stop")
    said = gr.Markdown("", elem_id="said")
    with gr.Row():
        with gr.Column(min_width=280):
            original = gr.HTML("", elem_id="original")
        with gr.Column(min_width=280):
            result = gr.HTML("", elem_id="result")
    download = gr.DownloadButton("Download", visible=False, elem_id="download")

    def swap(
        mask: str,
        strength: float,
        colour: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # as gradio asks for it
    ) -> object:
        return events.swap(mask, strength, colour, request, progress)

    shown = [original, result, download, said]
    start.click(swap, settings, shown, show_progress_on=[said])
    stop.click(events.stop, None, None, queue=False)


def _verify_tab(events: Events) -> None:
    gr.Markdown("Is a file a face swap, who signed it, and was it changed since?")
    upload, path = _chooser("verify", "any")
    said = gr.Markdown("", elem_id="verified")
    upload.upload(events.verify, [upload, path], [upload, said])
    path.submit(events.verify, [upload, path], [upload, said])


def _folder_tab(look: Callable[..., Any], name: str, program: str) -> None:
    folder = gr.Textbox(
        label=f"Folder of a {name}",
        placeholder="path on this machine",
        info=f"Made by {program}.",
        elem_id=f"{name}-folder",
    )
    button = gr.Button("Show")
    said = gr.HTML("", elem_classes="curves") if name == "run" else gr.Markdown("")
    pictures = gr.Gallery(show_label=False, columns=2, height="auto", buttons=[])
    button.click(look, [folder], [said, pictures])
    folder.submit(look, [folder], [said, pictures])


def _chooser(name: str, kind: str, many: bool = False) -> tuple[gr.File, gr.Textbox]:
    upload = gr.File(
        label="Choose files" if many else "Choose a file",
        file_count="multiple" if many else "single",
        elem_id=f"{name}-upload",
        height=150,
    )
    size = f"Better so from {MAX_UPLOAD // 1024} GB on. " if kind != "image" else ""
    path = gr.Textbox(
        label="or its path on this machine",
        info=f"{size}Enter takes it.",
        elem_id=f"{name}-path",
    )
    return upload, path


def _gallery(label: str, name: str) -> gr.Gallery:
    return gr.Gallery(
        label=label,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        elem_id=name,
        elem_classes="faces",
        buttons=[],
    )
