"""How each kind of everyday thing looks."""

from blip3o.picturebook.world.palette import CONTOUR, DARK, EMPTY, INK, LIGHT, MAIN, PAPER, STEEL, WOOD
from blip3o.picturebook.world.pen import Pen


def ball(pen: Pen) -> None:
    """A full circle crossed by curved seams and one pale stripe."""
    pen.disc(MAIN, 50, 50, 50)
    pen.line(PAPER, 13, (4, 60), (24, 66), (50, 68), (76, 66), (96, 60))
    pen.line(DARK, 4, (3, 52), (24, 59), (50, 61), (76, 59), (97, 52))
    pen.line(DARK, 4, (7, 68), (26, 74), (50, 76), (74, 74), (93, 68))
    pen.ellipse(LIGHT, 32, 26, 13, 9)


def cup(pen: Pen) -> None:
    """A mug with a handle at its side and dark drink showing in the opening."""
    pen.ellipse(DARK, 76, 56, 24, 23)
    pen.ellipse(EMPTY, 77, 56, 12, 12)
    pen.box(MAIN, 4, 22, 72, 96, radius=14)
    pen.box(MAIN, 4, 22, 72, 60)
    pen.ellipse(LIGHT, 38, 22, 34, 12)
    pen.ellipse(CONTOUR, 38, 23, 27, 8)
    pen.line(LIGHT, 7, (16, 46), (16, 78))


def umbrella(pen: Pen) -> None:
    """An open dome with a scalloped edge, on a stick that ends in a hook."""
    pen.line(WOOD, 6, (50, 50), (50, 88), (54, 96), (62, 97), (68, 88))
    pen.line(STEEL, 5, (50, 0), (50, 14))
    pen.sector(MAIN, 50, 60, 52, 54, 180, 360)
    for x in (10.5, 36.5, 63.5, 89.5):
        pen.ellipse(EMPTY, x, 62, 12, 9)
    pen.line(WOOD, 6, (50, 56), (50, 88))
    pen.line(DARK, 4, (50, 8), (32, 28), (24, 56))
    pen.line(DARK, 4, (50, 8), (68, 28), (76, 56))


def chair(pen: Pen) -> None:
    """Seen sideways: high back, thick seat, four straight legs."""
    pen.box(DARK, 34, 54, 44, 90)
    pen.box(DARK, 74, 54, 84, 90)
    pen.box(MAIN, 12, 0, 28, 100, radius=4)
    pen.polygon(MAIN, (14, 46), (84, 46), (92, 64), (14, 64))
    pen.box(MAIN, 78, 52, 92, 100, radius=4)
    pen.line(DARK, 4, (22, 62), (90, 62))
    pen.box(LIGHT, 15, 6, 20, 42, radius=2)


def book(pen: Pen) -> None:
    """A thick closed book, a little from below: cover with spine and label, pages at the foot."""
    pen.box(DARK, 8, 4, 92, 98, radius=8)
    pen.box(PAPER, 18, 70, 96, 90)
    pen.line(STEEL, 3, (24, 80), (94, 80))
    pen.box(MAIN, 8, 0, 92, 76, radius=5)
    pen.box(DARK, 8, 0, 20, 90, radius=5)
    pen.box(PAPER, 34, 16, 78, 34, radius=2)
    pen.line(INK, 4, (42, 25), (70, 25))


def balloon(pen: Pen) -> None:
    """An upright egg with a knot and a long wavy string."""
    pen.line(CONTOUR, 1.5, (50, 66), (46, 76), (53, 86), (48, 99))
    pen.polygon(DARK, (50, 60), (60, 72), (40, 72))
    pen.blob(MAIN, (50, 0), (74, 9), (82, 32), (70, 54), (50, 66), (30, 54), (18, 32), (26, 9))
    pen.line(LIGHT, 8, (33, 32), (34, 24), (40, 16))


def clock(pen: Pen) -> None:
    """An alarm clock: round case on two feet with two bells, white face with hands."""
    pen.line(DARK, 11, (28, 84), (18, 97))
    pen.line(DARK, 11, (72, 84), (82, 97))
    pen.disc(DARK, 20, 16, 16)
    pen.disc(DARK, 80, 16, 16)
    pen.disc(CONTOUR, 50, 54, 45)
    pen.disc(MAIN, 50, 54, 42)
    pen.disc(PAPER, 50, 54, 25)
    pen.line(INK, 6, (50, 37), (50, 54), (63, 60))
