"""How each kind of building looks."""

from blip3o.picturebook.world.palette import CONTOUR, DARK, GLASS, GOLD, LIGHT, MAIN, WOOD
from blip3o.picturebook.world.pen import Pen


def house(pen: Pen) -> None:
    """A cottage: wide gable roof over a box, chimney, one door, one window."""
    pen.box(DARK, 70, 4, 84, 40)
    pen.box(MAIN, 10, 42, 90, 96)
    pen.polygon(CONTOUR, (50, 0), (104, 50), (-4, 50))
    pen.polygon(DARK, (50, 4), (96, 47), (4, 47))
    pen.box(WOOD, 22, 62, 42, 96)
    pen.disc(GOLD, 37, 80, 3)
    pen.box(CONTOUR, 54, 58, 80, 80)
    pen.box(GLASS, 57, 61, 77, 77)
    pen.line(CONTOUR, 3, (67, 60), (67, 78))


def castle(pen: Pen) -> None:
    """Two battlemented towers and a lower wall with a dark arched gate; a flag on the left tower."""
    pen.line(CONTOUR, 3, (15, 24), (15, 0))
    pen.polygon(GOLD, (17, 0), (34, 6), (17, 13))
    pen.box(MAIN, 20, 50, 80, 98)
    for x in (34, 46, 58):
        pen.box(MAIN, x, 42, x + 8, 54)
    for left in (0, 70):
        pen.box(MAIN, left, 30, left + 30, 98)
        for x in (left, left + 11.5, left + 23):
            pen.box(MAIN, x, 22, x + 7, 34)
        pen.box(CONTOUR, left + 12, 46, left + 19, 60)
    pen.line(DARK, 4, (30, 52), (30, 98))
    pen.line(DARK, 4, (70, 52), (70, 98))
    pen.disc(CONTOUR, 50, 78, 12)
    pen.box(CONTOUR, 38, 78, 62, 98)


def tent(pen: Pen) -> None:
    """A low ridge tent with an open triangular door and crossed poles on top."""
    pen.line(WOOD, 5, (42, 6), (52, 22))
    pen.line(WOOD, 5, (58, 6), (48, 22))
    pen.polygon(MAIN, (50, 14), (102, 88), (-2, 88))
    pen.polygon(DARK, (50, 14), (66, 88), (34, 88))
    pen.polygon(LIGHT, (50, 14), (26, 88), (12, 88))
    pen.polygon(LIGHT, (50, 14), (74, 88), (88, 88))
    pen.polygon(CONTOUR, (50, 36), (64, 88), (36, 88))
