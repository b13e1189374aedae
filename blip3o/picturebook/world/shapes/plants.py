"""How each kind of plant looks."""

from math import cos, pi, sin

from blip3o.picturebook.world.palette import CONTOUR, DARK, GOLD, LEAF, LIGHT, MAIN, PAPER, WOOD
from blip3o.picturebook.world.pen import Pen


def tree(pen: Pen) -> None:
    """A leafy cloud of a crown on a trunk that widens to its foot."""
    pen.polygon(WOOD, (42, 60), (58, 60), (60, 86), (68, 100), (32, 100), (40, 86))
    for x, y, radius in ((24, 48, 21), (76, 48, 21), (36, 26, 22), (64, 26, 22), (50, 18, 18), (50, 52, 24)):
        pen.disc(MAIN, x, y, radius)
    for x, y in ((30, 52), (66, 50), (52, 30)):
        pen.line(DARK, 5, (x - 10, y), (x - 3, y + 5), (x + 6, y + 3))
    pen.line(LIGHT, 6, (28, 26), (36, 16))


def flower(pen: Pen) -> None:
    """Five round petals about a golden middle, on a thin stem with two leaves."""
    pen.line(LEAF, 5, (50, 50), (50, 102))
    pen.blob(LEAF, (50, 100), (34, 98), (22, 86), (40, 87))
    pen.blob(LEAF, (50, 100), (66, 98), (78, 86), (60, 87))
    turns = [(2 * petal / 5 - 0.5) * pi for petal in range(5)]
    for turn in turns:
        pen.disc(MAIN, 50 + 21 * cos(turn), 34 + 21 * sin(turn), 15)
    for turn in turns:
        side = turn + pi / 5
        pen.line(CONTOUR, 3, (50, 34), (50 + 29 * cos(side), 34 + 29 * sin(side)))
    pen.disc(CONTOUR, 50, 34, 12.5)
    pen.disc(GOLD, 50, 34, 9.5)


def mushroom(pen: Pen) -> None:
    """A wide dotted half-dome of a cap on a pale bulging stem."""
    pen.blob(PAPER, (38, 50), (62, 50), (64, 78), (72, 94), (50, 97), (28, 94), (36, 78))
    pen.sector(MAIN, 50, 56, 50, 52, 180, 360)
    pen.box(DARK, 0, 53, 100, 62, radius=4)
    for x, y, radius in ((50, 20, 8), (24, 38, 7), (76, 38, 7), (50, 44, 6)):
        pen.disc(PAPER, x, y, radius)


def cactus(pen: Pen) -> None:
    """A ribbed column with two bent arms at different heights."""
    pen.line(MAIN, 19, (50, 66), (20, 66), (20, 38))
    pen.line(MAIN, 19, (50, 54), (82, 54), (82, 24))
    pen.line(MAIN, 28, (50, 16), (50, 90))
    pen.box(MAIN, 36, 80, 64, 102)
    for x, top, bottom in ((44, 16, 96), (57, 16, 96), (20, 38, 60), (82, 24, 48)):
        pen.line(DARK, 4, (x, top), (x, bottom))
    for x, y in ((50, 28), (50, 50), (50, 72), (13, 46), (89, 34)):
        pen.disc(PAPER, x, y, 3)
