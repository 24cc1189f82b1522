"""Draws the folders, their rooms and the ways of data, from the imports in the code.

    python docs/draw_architecture.py

writes `docs/images/architecture.svg` and the table of rooms in `docs/architecture.md`.
A test fails where they no longer show the code.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import pathlib
import textwrap
from html import escape

ROOT = pathlib.Path(__file__).parents[1]
PICTURE, PAGE = "docs/images/architecture.svg", "docs/architecture.md"
BEGIN, END = "<!-- made by draw_architecture.py -->", "<!-- end -->"
FOLDERS = (
    "ui",
    "train",
    "evaluation",
    "dataset",
    "video_swap",
    "retinaface",
    "arcface_model",
    "models",
    "facedancer",
)
TOP = ""  # the room of files that lie in no room
# What goes in, the programs it passes, what comes out: the rows of the upper half.
WAYS = (
    ("photos", "dataset/crop_align", "aligned crops"),
    ("aligned crops", "dataset/dataset_sharding", "shards"),
    ("shards", "train/train", "checkpoints, generator"),
    ("clip, photo, generator", "video_swap/multi_face_single_source", "swapped clip"),
    ("generator, photos of people", "evaluation/evaluate", "report"),
)
COLOURS = {
    "facedancer": "#d9d9d9",
    "retinaface": "#f3d9b1",
    "arcface_model": "#f3c6b1",
    "models": "#c9dcef",
    "dataset": "#d4e8c8",
    "video_swap": "#d8cdec",
    "train": "#bfe0dd",
    "evaluation": "#f0cfdd",
    "ui": "#efe3a8",
}
WIDTH, MARGIN, GAP, LINE, HEAD, CHAR = 1180, 24, 26, 34, 68, 7.4


@dataclasses.dataclass
class Room:
    """A subfolder, or the files of a folder that lie in none.

    Attributes:
        folder: Its folder.
        name: Its own name, `TOP` for none.
        about: First line of its docstring.
        programs: Names of its files that are started.
        imports: `(folder, room)` of all it imports, itself left out.
    """

    folder: str
    name: str
    about: str = ""
    programs: list = dataclasses.field(default_factory=list)
    imports: set = dataclasses.field(default_factory=set)


@functools.cache
def read_rooms(root: pathlib.Path = ROOT) -> dict[tuple[str, str], Room]:
    """Returns all rooms by folder and name.

    Args:
        root: The checkout.
    """
    rooms: dict[tuple[str, str], Room] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            key = room_of(path.relative_to(root).with_suffix("").parts, root)
            room = rooms.setdefault(key, Room(*key))
            text = path.read_text()
            tree = ast.parse(text)
            if path.name == "__init__.py":
                if path.parent == pathlib.Path(root, *filter(None, key)):
                    room.about = (ast.get_docstring(tree) or "").split("\n")[0]
                continue
            if '\nif __name__ == "__main__":\n' in text:
                room.programs.append(path.stem)
            room.imports |= {room_of(name, root) for name in imported(tree)} - {key}
    return rooms


def imported(tree: ast.Module) -> set[tuple[str, ...]]:
    """Returns the parts of every name imported from the package."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {tuple(n.split(".")[1:]) for n in names if n.startswith("facedancer.")}


def room_of(parts: tuple[str, ...], root: pathlib.Path) -> tuple[str, str]:
    """Returns folder and room of a module.

    Args:
        parts: Of its name without the first `facedancer`, or of its path.
        root: The checkout.
    """
    if parts[0] not in FOLDERS:
        parts = ("facedancer", *parts)
    inside = len(parts) > 1 and (root / parts[0] / parts[1]).is_dir()
    return parts[0], parts[1] if inside else TOP


def levels_of(edges: dict) -> dict:
    """Returns how high each node stands: one above the highest that it imports.

    Args:
        edges: Node -> nodes that it imports, without circles.
    """

    def level(node):
        return max((level(other) + 1 for other in edges[node]), default=0)

    return {node: level(node) for node in edges}


def reduced(edges: dict) -> list[tuple]:
    """Returns the edges without those that a longer way shows already.

    Args:
        edges: Node -> nodes that it imports, without circles.
    """

    def reached(node):
        return set().union(*({other} | reached(other) for other in edges[node]))

    return [
        (node, other)
        for node in edges
        for other in sorted(edges[node])
        if not any(other in reached(third) for third in edges[node])
    ]


def folder_edges(rooms: dict) -> dict[str, set[str]]:
    """Returns which folders each folder imports.

    Args:
        rooms: What `read_rooms` gave.
    """
    edges: dict[str, set[str]] = {folder: set() for folder in FOLDERS}
    for (folder, _), room in rooms.items():
        edges[folder] |= {other for other, _ in room.imports} - {folder}
    return edges


def room_edges(rooms: dict, folder: str) -> dict[str, set[str]]:
    """Returns which rooms of a folder each room of it imports, its top left out.

    Args:
        rooms: What `read_rooms` gave.
        folder: One of `FOLDERS`.
    """
    names = [name for other, name in rooms if other == folder and name != TOP]
    return {
        name: {r for f, r in rooms[folder, name].imports if f == folder and r in names}
        for name in names
    }


class Canvas:
    """Collects the shapes of an SVG: arrows lie under boxes, boxes under words."""

    def __init__(self):
        self.arrows: list[str] = []
        self.boxes: list[str] = []
        self.words: list[str] = []

    def box(self, x, y, width, height, colour, radius=8, stroke="#555"):
        """Adds a rectangle, pixels."""
        self.boxes.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'rx="{radius}" fill="{colour}" stroke="{stroke}"/>'
        )

    def word(self, x, y, text, size=14, anchor="middle", weight="normal"):
        """Adds a line of text at its baseline, pixels."""
        self.words.append(
            f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(text)}</text>'
        )

    def arrow(self, points, width=2.0, colour="#444"):
        """Adds a line through points with a head at its end."""
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        self.arrows.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width}" marker-end="url(#head)"/>'
        )

    def svg(self, width, height) -> str:
        """Returns the picture."""
        head = (
            '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#444"/></marker>'
        )
        body = "\n".join(self.boxes[:1] + self.arrows + self.boxes[1:] + self.words)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
            f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'font-family="sans-serif">\n<defs>{head}</defs>\n{body}\n</svg>\n'
        )


def draw_ways(canvas: Canvas, y: float) -> float:
    """Draws what becomes what, a row a program; returns where the next thing may begin.

    Args:
        canvas: Where it is drawn.
        y: Upper end in pixels.
    """
    canvas.word(MARGIN, y, "The ways of data", 18, "start", "bold")
    y += 16
    widths = (300, 380, 300)
    for row in WAYS:
        x = MARGIN
        folder = row[1].split("/")[0]
        for place, (text, width) in enumerate(zip(row, widths, strict=True)):
            colour = COLOURS[folder] if place == 1 else "#ffffff"
            canvas.box(x, y, width, LINE, colour, 17 if place != 1 else 4)
            canvas.word(x + width / 2, y + 22, text)
            if place < 2:
                canvas.arrow([(x + width, y + LINE / 2), (x + width + 58, y + 17)])
            x += width + 60
        y += LINE + 10
    return y + 30


def draw_folder(canvas: Canvas, rooms: dict, folder: str, x, y, width, height) -> None:
    """Draws a folder with its rooms, those that import others above them.

    Args:
        canvas: Where it is drawn.
        rooms: What `read_rooms` gave.
        folder: One of `FOLDERS`.
        x: Left end in pixels.
        y: Upper end.
        width: Of its box.
        height: Of its box.
    """
    canvas.box(x, y, width, height, COLOURS[folder])
    top = rooms[folder, TOP]
    canvas.word(x + 12, y + 22, f"{folder}/", 16, "start", "bold")
    about = top.about.rstrip(".")
    about = textwrap.shorten(about, int(width / 6.6), placeholder=" ...")
    canvas.word(x + 12, y + 40, about, 12, "start")
    programs = " · ".join(top.programs)
    size = min(11.0, round((width - 24) / (0.53 * max(len(programs), 1)), 1))
    canvas.word(x + 12, y + 57, programs, size, "start")
    for level, row in enumerate(reversed(_rows(rooms, folder))):
        step = width / len(row)
        for place, name in enumerate(row):
            wide = min(step - 10, CHAR * len(name) + 34)
            left = x + step * place + (step - wide) / 2
            low = y + HEAD + level * (LINE + 4)
            canvas.box(left, low, wide, LINE - 6, "#ffffffcc", 5, "#888")
            canvas.word(left + wide / 2, low + 19, name, 13)


def _rows(rooms: dict, folder: str) -> list[list[str]]:
    """Returns the rooms of a folder by level, the lowest first."""
    levels = levels_of(room_edges(rooms, folder))
    return [
        sorted(name for name in levels if levels[name] == level)
        for level in range(max(levels.values(), default=-1) + 1)
    ]


def draw_folders(canvas: Canvas, rooms: dict, y: float) -> float:
    """Draws the folders in levels and their imports; returns the lower end.

    Args:
        canvas: Where it is drawn.
        rooms: What `read_rooms` gave.
        y: Upper end in pixels.
    """
    edges = folder_edges(rooms)
    levels = levels_of(edges)
    title = "Folders and rooms: each imports only what stands below it"
    canvas.word(MARGIN, y, title, 18, "start", "bold")
    y += 16
    places = {}
    for level in sorted(set(levels.values()), reverse=True):
        row = [folder for folder in FOLDERS if levels[folder] == level]
        most = max(len(_rows(rooms, folder)) for folder in row)
        height = HEAD + most * (LINE + 4) + 4
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) / len(row)
        for place, folder in enumerate(row):
            x = MARGIN + place * (width + GAP)
            places[folder] = (x, y, width, height)
            draw_folder(canvas, rooms, folder, *places[folder])
        y += height + 2 * GAP
    _draw_imports(canvas, edges, places)
    return y - GAP


def _draw_imports(canvas: Canvas, edges: dict, places: dict) -> None:
    """Draws the arrows: straight to the next level, through a gap past others."""
    below, above = {f: [] for f in places}, {f: [] for f in places}
    for one, other in reduced(edges):
        below[one].append(other)
        above[other].append(one)
    centre = {f: x + width / 2 for f, (x, _, width, _) in places.items()}
    for one, others in below.items():
        for place, other in enumerate(sorted(others, key=centre.get)):
            x, y, width, height = places[one]
            start = (x + width * (place + 1) / (len(others) + 1), y + height)
            left, top, wide, _ = places[other]
            order = sorted(above[other], key=centre.get).index(one) + 1
            end = (left + wide * order / (len(above[other]) + 1), top)
            canvas.arrow([start, *_around(start, end, places), end])


def _around(start, end, places) -> list[tuple[float, float]]:
    """Returns points in the gap between boxes that an arrow must pass, none if free."""
    between = [
        (x, y, width, height)
        for x, y, width, height in places.values()
        if start[1] < y and y + height < end[1]
    ]
    if not between:
        return []
    gaps = [x - GAP / 2 for x, *_ in between] + [
        x + width + GAP / 2 for x, _, width, _ in between
    ]
    x = min(gaps, key=lambda gap: abs(gap - (start[0] + end[0]) / 2))
    top = min(y for _, y, _, _ in between) - GAP / 2
    bottom = max(y + height for _, y, _, height in between) + GAP / 2
    return [(x, top), (x, bottom)]


def picture(root: pathlib.Path = ROOT) -> str:
    """Returns the SVG.

    Args:
        root: The checkout.
    """
    canvas = Canvas()
    canvas.box(0, 0, WIDTH, 4000, "#ffffff", 0, "none")
    y = draw_ways(canvas, 34)
    height = draw_folders(canvas, read_rooms(root), y)
    canvas.boxes[0] = canvas.boxes[0].replace("4000", f"{height:.0f}")
    return canvas.svg(WIDTH, height)


def table(root: pathlib.Path = ROOT) -> str:
    """Returns the rooms and what they hold, as Markdown.

    Args:
        root: The checkout.
    """
    rooms = read_rooms(root)
    lines = ["| room | holds | programs |", "|---|---|---|"]
    for folder in reversed(FOLDERS):
        names = [TOP, *(name for row in _rows(rooms, folder) for name in row)]
        for name in names:
            room = rooms[folder, name]
            shown = f"`{folder}/{name}/`" if name else f"**`{folder}/`**"
            programs = ", ".join(f"`{one}`" for one in room.programs)
            lines.append(f"| {shown} | {room.about} | {programs} |")
    return "\n".join(lines)


def page(text: str, root: pathlib.Path = ROOT) -> str:
    """Returns the text of the page with its table made anew.

    Args:
        text: As it is.
        root: The checkout.
    """
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(root)}\n\n{END}{after}"


def main() -> None:
    """Writes both files."""
    (ROOT / PICTURE).write_text(picture())
    (ROOT / PAGE).write_text(page((ROOT / PAGE).read_text()))


if __name__ == "__main__":
    main()
