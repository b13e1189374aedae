"""How each kind of vehicle looks, heading right."""

from blip3o.picturebook.world.palette import CONTOUR, DARK, GLASS, GOLD, INK, LIGHT, MAIN, PAPER, STEEL, WOOD
from blip3o.picturebook.world.pen import Length, Pen


def wheel(pen: Pen, x: Length, y: Length, radius: Length) -> None:
    """A black tyre on a steel hub."""
    pen.disc(INK, x, y, radius)
    pen.disc(STEEL, x, y, radius * 0.45)


def car(pen: Pen) -> None:
    """A low beetle: round cabin in the middle, flat bonnet and boot, two big wheels."""
    pen.blob(MAIN, (20, 52), (30, 26), (46, 19), (62, 24), (78, 50), (70, 60), (30, 60))
    pen.blob(MAIN, (0, 60), (6, 50), (26, 46), (74, 46), (94, 52), (101, 64), (96, 74), (50, 76), (4, 74))
    pen.polygon(GLASS, (30, 47), (36, 33), (45, 28), (45, 47))
    pen.polygon(GLASS, (52, 28), (60, 32), (69, 47), (52, 47))
    pen.line(DARK, 4, (6, 66), (96, 66))
    pen.disc(GOLD, 94, 58, 4.5)
    wheel(pen, 25, 74, 14)
    wheel(pen, 76, 74, 14)


def bus(pen: Pen) -> None:
    """A tall long box with a row of windows, a door and small wheels."""
    pen.box(MAIN, 0, 8, 100, 80, radius=8)
    for x in (7, 27, 47):
        pen.box(GLASS, x, 20, x + 15, 40, radius=2)
    pen.box(GLASS, 84, 18, 100, 46, radius=2)
    pen.box(DARK, 66, 18, 80, 74)
    pen.box(GLASS, 69, 22, 77, 52)
    pen.line(DARK, 5, (3, 56), (62, 56))
    pen.box(LIGHT, 4, 9, 96, 14, radius=3)
    wheel(pen, 22, 80, 11)
    wheel(pen, 78, 80, 11)


def boat(pen: Pen) -> None:
    """A sailing boat: two sails on a mast over a curved hull."""
    pen.line(WOOD, 5, (48, 0), (48, 76))
    pen.polygon(MAIN, (54, 4), (92, 62), (54, 62))
    pen.polygon(LIGHT, (42, 14), (42, 62), (12, 62))
    pen.polygon(MAIN, (0, 70), (100, 70), (84, 94), (18, 94))
    pen.polygon(DARK, (11, 84), (91, 84), (84, 94), (18, 94))


def airplane(pen: Pen) -> None:
    """Seen from above: slim body, two swept wings, a small tailplane."""
    pen.polygon(MAIN, (58, 42), (34, 0), (20, 0), (36, 44))
    pen.polygon(MAIN, (58, 58), (34, 100), (20, 100), (36, 56))
    pen.polygon(DARK, (16, 46), (4, 26), (-4, 26), (2, 48))
    pen.polygon(DARK, (16, 54), (4, 74), (-4, 74), (2, 52))
    pen.line(CONTOUR, 3, (34, 38), (60, 37))
    pen.line(CONTOUR, 3, (34, 62), (60, 63))
    pen.blob(MAIN, (-2, 50), (8, 43), (40, 38), (82, 39), (96, 44), (101, 50), (96, 56), (82, 61), (40, 62), (8, 57))
    pen.polygon(GLASS, (84, 42), (93, 46), (93, 54), (84, 58))
    for x in (36, 50, 64):
        pen.disc(PAPER, x, 50, 4)
