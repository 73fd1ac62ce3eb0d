"""What files that lie beside a picture or a video and belong to it are called: its own name with one of these endings.

Imports nothing, so that the light client knows them too.
"""

WORLD = {
    ".jpg": (".jgw", ".jpgw", ".wld"), ".jpeg": (".jgw", ".jpegw", ".wld"), ".png": (".pgw", ".pngw", ".wld"),
    ".tif": (".tfw", ".tifw", ".wld"), ".tiff": (".tfw", ".tiffw", ".wld"), ".jp2": (".j2w", ".jp2w", ".wld"),
}  # fmt: skip
"""World files, by the picture's ending: where its pixels lie."""
SYSTEM = ".prj"
"""In which coordinate system."""
TELEMETRY = (".srt", ".gpx", ".csv", ".klv")
"""Of a video."""
PLACES = frozenset({SYSTEM, *(ending for endings in WORLD.values() for ending in endings)})
"""All endings of files that place a picture."""


def beside(ending: str) -> tuple[str, ...]:
    """Endings, in lower case, of what may belong to a picture with this ending."""
    world = WORLD.get(ending.lower())
    return () if world is None else (*world, SYSTEM)
