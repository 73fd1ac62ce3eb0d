"""Public names of classes: the matter that tickets are filed under, or plain words where no standard has a code."""

from tickets.codes import Codes
from workers.outputs import Labels
from workers.vectors import Label

WORDS = {"changed": ("变化", "change")}
"""Classes that are no matter of city management."""


def labels_of(codes: Codes) -> Labels:
    """The function that gives a class its code and names."""

    def label(name: str) -> Label:
        plain = name.replace("_", " ")
        matter = codes.of_class(name)
        if matter is None:
            zh, en = WORDS.get(name, (plain, plain))
            return Label(None, zh, en)
        return Label(matter.code, matter.name_zh, matter.name_en or plain)

    return label
