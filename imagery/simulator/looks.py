"""What grounds and heaps are made of: colours, grain, lumps."""

from dataclasses import dataclass

from imagery.simulator.values import Colour, Ground, Spoil


@dataclass(frozen=True, slots=True)
class Look:
    """A ground: two colours mixed by noise, the contrast of its speckle, the height of its grain in metres."""

    one: Colour
    two: Colour
    mix: tuple[float, float, float, float, float, float]
    """Weight of each noise octave, coarse to fine, in the mixing of the colours."""
    speckle: float
    grain: float
    plants: float = 0.0
    soil: float = 0.0


LOOKS: dict[Ground, Look] = {
    "asphalt": Look((96, 96, 98), (122, 120, 118), (0.4, 0.45, 0.2, 0.1, 0.1, 0.1), 0.08, 0.003),
    "concrete": Look((164, 160, 150), (186, 182, 172), (0.4, 0.5, 0.4, 0.2, 0.15, 0.1), 0.05, 0.002),
    "pavers": Look((160, 146, 136), (140, 130, 124), (0.3, 0.3, 0.3, 0.3, 0.3, 0.1), 0.07, 0.004),
    "grass": Look((90, 104, 62), (124, 128, 84), (0.5, 0.5, 0.5, 0.5, 0.4, 0.3), 0.20, 0.045, 1.0, 0.0),
    "lawn": Look((84, 104, 60), (108, 120, 74), (0.5, 0.5, 0.4, 0.3, 0.3, 0.3), 0.16, 0.03, 1.0, 0.0),
    "soil": Look((152, 132, 108), (130, 112, 92), (0.5, 0.6, 0.5, 0.4, 0.3, 0.2), 0.10, 0.018, 0.0, 1.0),
    "stripped": Look((158, 138, 114), (136, 118, 98), (0.5, 0.6, 0.6, 0.4, 0.3, 0.2), 0.09, 0.02, 0.0, 1.0),
    "weeds": Look((152, 136, 110), (100, 110, 70), (0.4, 0.7, 0.7, 0.6, 0.5, 0.3), 0.14, 0.035, 0.55, 0.45),
    "gravel": Look((168, 162, 150), (146, 138, 126), (0.3, 0.4, 0.4, 0.3, 0.5, 0.6), 0.16, 0.02, 0.0, 0.35),
    "net": Look((66, 104, 70), (92, 122, 88), (0.2, 0.3, 0.5, 0.6, 0.4, 0.2), 0.10, 0.09),
    "yard": Look((158, 154, 146), (138, 134, 128), (0.5, 0.6, 0.5, 0.3, 0.15, 0.1), 0.05, 0.002),
}

SPOIL: dict[Spoil, tuple[Colour, Colour, float]] = {
    "loam": ((146, 122, 94), (120, 100, 78), 0.03),
    "clay": ((158, 116, 88), (134, 98, 78), 0.05),
    "topsoil": ((92, 76, 60), (112, 92, 70), 0.04),
    "sand": ((196, 174, 134), (180, 156, 118), 0.012),
    "gravel": ((158, 154, 148), (132, 130, 126), 0.03),
    "concrete": ((164, 160, 152), (132, 128, 122), 0.06),
    "brick": ((152, 122, 106), (140, 126, 116), 0.06),
    "mixed": ((150, 136, 118), (122, 112, 102), 0.06),
    "local": ((0, 0, 0), (0, 0, 0), 0.03),
}
"""Two colours and the height of the lumps, metres. `local` takes the scene's soil."""

CHUNKS: dict[Spoil, tuple[float, tuple[Colour, ...]]] = {
    "loam": (1.5, ((134, 108, 78), (112, 90, 66), (150, 124, 92))),
    "clay": (3.0, ((154, 112, 86), (130, 94, 74), (168, 128, 100))),
    "topsoil": (2.0, ((84, 70, 56), (108, 90, 70), (96, 92, 58))),
    "sand": (0.2, ((190, 170, 132),)),
    "gravel": (1.0, ((170, 166, 160), (128, 126, 122))),
    "concrete": (9.0, ((186, 182, 174), (150, 146, 140), (204, 200, 192), (120, 116, 110))),
    "brick": (10.0, ((150, 96, 78), (134, 84, 70), (188, 180, 170), (164, 118, 96), (120, 112, 106))),
    "mixed": (7.0, ((180, 174, 164), (150, 88, 66), (112, 100, 86), (206, 204, 200), (62, 74, 98))),
    "local": (1.5, ()),
}
"""Lumps and broken pieces per square metre, and their colours."""
