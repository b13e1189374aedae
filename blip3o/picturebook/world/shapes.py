"""How each kind of object looks; animals and vehicles head right."""

from collections.abc import Callable
from math import cos, pi, sin

from blip3o.picturebook.world.palette import (
    CONTOUR,
    DARK,
    EMPTY,
    GLASS,
    GOLD,
    INK,
    LEAF,
    LIGHT,
    MAIN,
    PAPER,
    STEEL,
    WOOD,
    Material,
)
from blip3o.picturebook.world.pen import Length, Pen

Sketch = Pen[Material]


def eye(pen: Sketch, x: Length, y: Length, radius: Length) -> None:
    """An eye that shows on light and dark fur alike."""
    pen.disc(PAPER, x, y, radius)
    pen.disc(INK, x + radius * 0.2, y + radius * 0.1, radius * 0.66)


def dog(pen: Sketch) -> None:
    """Stands sideways: long body on four legs, raised tail, hanging ear, blunt muzzle."""
    pen.line(MAIN, 9, (14, 48), (6, 34), (7, 22))
    pen.box(DARK, 24, 60, 35, 93, radius=4)
    pen.box(DARK, 58, 60, 69, 93, radius=4)
    pen.box(MAIN, 10, 42, 70, 72, radius=14)
    pen.box(MAIN, 12, 56, 24, 95, radius=4)
    pen.box(MAIN, 47, 56, 59, 95, radius=4)
    pen.polygon(MAIN, (48, 44), (56, 20), (80, 34), (70, 64))
    pen.ellipse(MAIN, 70, 27, 19, 17)
    pen.box(LIGHT, 74, 26, 100, 43, radius=8)
    pen.ellipse(INK, 96, 28, 6, 5)
    pen.blob(DARK, (54, 10), (63, 15), (62, 34), (54, 46), (46, 36), (48, 18))
    eye(pen, 75, 20, 5.5)


def cat(pen: Sketch) -> None:
    """Sits to the front: round head with two pointed ears and whiskers, tail curled up at the side."""
    pen.line(MAIN, 11, (62, 90), (84, 86), (90, 70), (84, 58))
    pen.blob(MAIN, (40, 46), (62, 56), (72, 84), (62, 97), (40, 98), (18, 97), (8, 84), (18, 56))
    pen.polygon(MAIN, (8, 2), (10, 38), (38, 18))
    pen.polygon(MAIN, (72, 2), (70, 38), (42, 18))
    pen.polygon(LIGHT, (13, 11), (14, 24), (26, 18))
    pen.polygon(LIGHT, (67, 11), (66, 24), (54, 18))
    pen.ellipse(MAIN, 40, 36, 35, 26)
    pen.line(DARK, 4, (40, 78), (40, 97))
    pen.ellipse(PAPER, 40, 51, 12, 7)
    pen.ellipse(INK, 40, 47, 5, 4)
    eye(pen, 24, 33, 7)
    eye(pen, 56, 33, 7)


def bird(pen: Sketch) -> None:
    """Stands sideways on two thin legs: round breast, beak, folded wing, long tail."""
    pen.line(GOLD, 5, (46, 74), (46, 95), (56, 95))
    pen.line(GOLD, 5, (60, 74), (60, 95), (70, 95))
    pen.polygon(DARK, (30, 50), (0, 58), (2, 74), (34, 70))
    pen.polygon(GOLD, (84, 20), (104, 30), (84, 38))
    pen.blob(MAIN, (70, 8), (86, 18), (86, 38), (80, 62), (58, 78), (32, 74), (22, 60), (36, 44), (52, 32), (56, 14))
    pen.blob(DARK, (60, 44), (58, 60), (40, 66), (14, 62), (34, 46), (50, 40))
    eye(pen, 74, 23, 6.5)


def fish(pen: Sketch) -> None:
    """Swims sideways: pointed oval with a forked tail, a back fin and scales."""
    pen.polygon(DARK, (30, 50), (0, 22), (8, 50), (0, 78))
    pen.polygon(DARK, (40, 30), (48, 12), (74, 26), (66, 36))
    pen.polygon(DARK, (48, 68), (46, 86), (66, 70))
    pen.blob(MAIN, (100, 50), (86, 33), (62, 25), (38, 34), (20, 50), (38, 66), (62, 75), (86, 67))
    pen.line(DARK, 4, (70, 32), (65, 42), (65, 58), (70, 68))
    pen.line(LIGHT, 4, (52, 40), (48, 46), (52, 52))
    pen.line(LIGHT, 4, (40, 48), (36, 53), (40, 58))
    eye(pen, 81, 44, 6.5)


def rabbit(pen: Sketch) -> None:
    """Crouches sideways: two very long upright ears, round rump, puff of a tail."""
    pen.disc(PAPER, 10, 76, 11)
    pen.blob(DARK, (50, 38), (40, 18), (40, 0), (50, 2), (60, 20), (64, 38))
    pen.blob(MAIN, (62, 38), (60, 18), (68, -4), (78, -2), (80, 18), (76, 38))
    pen.line(LIGHT, 6, (70, 8), (70, 30))
    pen.blob(MAIN, (38, 50), (58, 54), (68, 72), (66, 94), (40, 97), (14, 94), (10, 72), (20, 56))
    pen.ellipse(MAIN, 68, 48, 22, 18)
    pen.ellipse(DARK, 32, 78, 16, 14)
    pen.ellipse(MAIN, 32, 80, 14, 13)
    pen.box(MAIN, 20, 88, 50, 98, radius=5)
    pen.box(MAIN, 58, 72, 69, 98, radius=5)
    pen.ellipse(INK, 89, 49, 4, 4)
    eye(pen, 74, 43, 6)


def turtle(pen: Sketch) -> None:
    """Walks sideways under a high domed shell; head, feet and tail are lighter."""
    pen.polygon(LIGHT, (12, 64), (-6, 78), (14, 76))
    pen.box(LIGHT, 14, 62, 32, 86, radius=6)
    pen.box(LIGHT, 52, 62, 70, 86, radius=6)
    pen.line(LIGHT, 15, (72, 66), (84, 56), (90, 48))
    pen.ellipse(LIGHT, 92, 45, 13, 11)
    pen.sector(MAIN, 42, 66, 40, 48, 180, 360)
    pen.line(DARK, 4, (8, 46), (78, 46))
    pen.line(DARK, 4, (28, 24), (24, 46), (32, 66))
    pen.line(DARK, 4, (56, 24), (60, 46), (52, 66))
    pen.box(DARK, 0, 62, 84, 72, radius=5)
    eye(pen, 95, 42, 5)


def tree(pen: Sketch) -> None:
    """A leafy cloud of a crown on a trunk that widens to its foot."""
    pen.polygon(WOOD, (42, 60), (58, 60), (60, 86), (68, 100), (32, 100), (40, 86))
    for x, y, radius in ((24, 48, 21), (76, 48, 21), (36, 26, 22), (64, 26, 22), (50, 18, 18), (50, 52, 24)):
        pen.disc(MAIN, x, y, radius)
    for x, y in ((30, 52), (66, 50), (52, 30)):
        pen.line(DARK, 5, (x - 10, y), (x - 3, y + 5), (x + 6, y + 3))
    pen.line(LIGHT, 6, (28, 26), (36, 16))


def flower(pen: Sketch) -> None:
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


def mushroom(pen: Sketch) -> None:
    """A wide dotted half-dome of a cap on a pale bulging stem."""
    pen.blob(PAPER, (38, 50), (62, 50), (64, 78), (72, 94), (50, 97), (28, 94), (36, 78))
    pen.sector(MAIN, 50, 56, 50, 52, 180, 360)
    pen.box(DARK, 0, 53, 100, 62, radius=4)
    for x, y, radius in ((50, 20, 8), (24, 38, 7), (76, 38, 7), (50, 44, 6)):
        pen.disc(PAPER, x, y, radius)


def cactus(pen: Sketch) -> None:
    """A ribbed column with two bent arms at different heights."""
    pen.line(MAIN, 19, (50, 66), (20, 66), (20, 38))
    pen.line(MAIN, 19, (50, 54), (82, 54), (82, 24))
    pen.line(MAIN, 28, (50, 16), (50, 90))
    pen.box(MAIN, 36, 80, 64, 102)
    for x, top, bottom in ((44, 16, 96), (57, 16, 96), (20, 38, 60), (82, 24, 48)):
        pen.line(DARK, 4, (x, top), (x, bottom))
    for x, y in ((50, 28), (50, 50), (50, 72), (13, 46), (89, 34)):
        pen.disc(PAPER, x, y, 3)


def house(pen: Sketch) -> None:
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


def castle(pen: Sketch) -> None:
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


def tent(pen: Sketch) -> None:
    """A low ridge tent with an open triangular door and crossed poles on top."""
    pen.line(WOOD, 5, (42, 6), (52, 22))
    pen.line(WOOD, 5, (58, 6), (48, 22))
    pen.polygon(MAIN, (50, 14), (102, 88), (-2, 88))
    pen.polygon(DARK, (50, 14), (66, 88), (34, 88))
    pen.polygon(LIGHT, (50, 14), (26, 88), (12, 88))
    pen.polygon(LIGHT, (50, 14), (74, 88), (88, 88))
    pen.polygon(CONTOUR, (50, 36), (64, 88), (36, 88))


def wheel(pen: Sketch, x: Length, y: Length, radius: Length) -> None:
    """A black tyre on a steel hub."""
    pen.disc(INK, x, y, radius)
    pen.disc(STEEL, x, y, radius * 0.45)


def car(pen: Sketch) -> None:
    """A low beetle: round cabin in the middle, flat bonnet and boot, two big wheels."""
    pen.blob(MAIN, (20, 52), (30, 26), (46, 19), (62, 24), (78, 50), (70, 60), (30, 60))
    pen.blob(MAIN, (0, 60), (6, 50), (26, 46), (74, 46), (94, 52), (101, 64), (96, 74), (50, 76), (4, 74))
    pen.polygon(GLASS, (30, 47), (36, 33), (45, 28), (45, 47))
    pen.polygon(GLASS, (52, 28), (60, 32), (69, 47), (52, 47))
    pen.line(DARK, 4, (6, 66), (96, 66))
    pen.disc(GOLD, 94, 58, 4.5)
    wheel(pen, 25, 74, 14)
    wheel(pen, 76, 74, 14)


def bus(pen: Sketch) -> None:
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


def boat(pen: Sketch) -> None:
    """A sailing boat: two sails on a mast over a curved hull."""
    pen.line(WOOD, 5, (48, 0), (48, 76))
    pen.polygon(MAIN, (54, 4), (92, 62), (54, 62))
    pen.polygon(LIGHT, (42, 14), (42, 62), (12, 62))
    pen.polygon(MAIN, (0, 70), (100, 70), (84, 94), (18, 94))
    pen.polygon(DARK, (11, 84), (91, 84), (84, 94), (18, 94))


def airplane(pen: Sketch) -> None:
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


def ball(pen: Sketch) -> None:
    """A full circle crossed by curved seams and one pale stripe."""
    pen.disc(MAIN, 50, 50, 50)
    pen.line(PAPER, 13, (4, 60), (24, 66), (50, 68), (76, 66), (96, 60))
    pen.line(DARK, 4, (3, 52), (24, 59), (50, 61), (76, 59), (97, 52))
    pen.line(DARK, 4, (7, 68), (26, 74), (50, 76), (74, 74), (93, 68))
    pen.ellipse(LIGHT, 32, 26, 13, 9)


def cup(pen: Sketch) -> None:
    """A mug with a handle at its side and dark drink showing in the opening."""
    pen.ellipse(DARK, 76, 56, 24, 23)
    pen.ellipse(EMPTY, 77, 56, 12, 12)
    pen.box(MAIN, 4, 22, 72, 96, radius=14)
    pen.box(MAIN, 4, 22, 72, 60)
    pen.ellipse(LIGHT, 38, 22, 34, 12)
    pen.ellipse(CONTOUR, 38, 23, 27, 8)
    pen.line(LIGHT, 7, (16, 46), (16, 78))


def umbrella(pen: Sketch) -> None:
    """An open dome with a scalloped edge, on a stick that ends in a hook."""
    pen.line(WOOD, 6, (50, 50), (50, 88), (54, 96), (62, 97), (68, 88))
    pen.line(STEEL, 5, (50, 0), (50, 14))
    pen.sector(MAIN, 50, 60, 52, 54, 180, 360)
    for x in (10.5, 36.5, 63.5, 89.5):
        pen.ellipse(EMPTY, x, 62, 12, 9)
    pen.line(WOOD, 6, (50, 56), (50, 88))
    pen.line(DARK, 4, (50, 8), (32, 28), (24, 56))
    pen.line(DARK, 4, (50, 8), (68, 28), (76, 56))


def chair(pen: Sketch) -> None:
    """Seen sideways: high back, thick seat, four straight legs."""
    pen.box(DARK, 34, 54, 44, 90)
    pen.box(DARK, 74, 54, 84, 90)
    pen.box(MAIN, 12, 0, 28, 100, radius=4)
    pen.polygon(MAIN, (14, 46), (84, 46), (92, 64), (14, 64))
    pen.box(MAIN, 78, 52, 92, 100, radius=4)
    pen.line(DARK, 4, (22, 62), (90, 62))
    pen.box(LIGHT, 15, 6, 20, 42, radius=2)


def book(pen: Sketch) -> None:
    """A thick closed book, a little from below: cover with spine and label, pages at the foot."""
    pen.box(DARK, 8, 4, 92, 98, radius=8)
    pen.box(PAPER, 18, 70, 96, 90)
    pen.line(STEEL, 3, (24, 80), (94, 80))
    pen.box(MAIN, 8, 0, 92, 76, radius=5)
    pen.box(DARK, 8, 0, 20, 90, radius=5)
    pen.box(PAPER, 34, 16, 78, 34, radius=2)
    pen.line(INK, 4, (42, 25), (70, 25))


def balloon(pen: Sketch) -> None:
    """An upright egg with a knot and a long wavy string."""
    pen.line(CONTOUR, 1.5, (50, 66), (46, 76), (53, 86), (48, 99))
    pen.polygon(DARK, (50, 60), (60, 72), (40, 72))
    pen.blob(MAIN, (50, 0), (74, 9), (82, 32), (70, 54), (50, 66), (30, 54), (18, 32), (26, 9))
    pen.line(LIGHT, 8, (33, 32), (34, 24), (40, 16))


def clock(pen: Sketch) -> None:
    """An alarm clock: round case on two feet with two bells, white face with hands."""
    pen.line(DARK, 11, (28, 84), (18, 97))
    pen.line(DARK, 11, (72, 84), (82, 97))
    pen.disc(DARK, 20, 16, 16)
    pen.disc(DARK, 80, 16, 16)
    pen.disc(CONTOUR, 50, 54, 45)
    pen.disc(MAIN, 50, 54, 42)
    pen.disc(PAPER, 50, 54, 25)
    pen.line(INK, 6, (50, 37), (50, 54), (63, 60))


_ANIMALS = (dog, cat, bird, fish, rabbit, turtle)
_PLANTS_AND_BUILDINGS = (tree, flower, mushroom, cactus, house, castle, tent)
_VEHICLES_AND_THINGS = (car, boat, bus, airplane, ball, cup, umbrella, chair, book, balloon, clock)
SHAPES: dict[str, Callable[[Sketch], None]] = {
    shape.__name__: shape for shape in (*_ANIMALS, *_PLANTS_AND_BUILDINGS, *_VEHICLES_AND_THINGS)
}
"""Kind -> how it is drawn."""
