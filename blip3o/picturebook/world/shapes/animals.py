"""How each kind of animal looks, facing right."""

from blip3o.picturebook.world.palette import DARK, GOLD, INK, LIGHT, MAIN, PAPER
from blip3o.picturebook.world.pen import Length, Pen


def eye(pen: Pen, x: Length, y: Length, radius: Length) -> None:
    """An eye that shows on light and dark fur alike."""
    pen.disc(PAPER, x, y, radius)
    pen.disc(INK, x + radius * 0.2, y + radius * 0.1, radius * 0.66)


def dog(pen: Pen) -> None:
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


def cat(pen: Pen) -> None:
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


def bird(pen: Pen) -> None:
    """Stands sideways on two thin legs: round breast, beak, folded wing, long tail."""
    pen.line(GOLD, 5, (46, 74), (46, 95), (56, 95))
    pen.line(GOLD, 5, (60, 74), (60, 95), (70, 95))
    pen.polygon(DARK, (30, 50), (0, 58), (2, 74), (34, 70))
    pen.polygon(GOLD, (84, 20), (104, 30), (84, 38))
    pen.blob(MAIN, (70, 8), (86, 18), (86, 38), (80, 62), (58, 78), (32, 74), (22, 60), (36, 44), (52, 32), (56, 14))
    pen.blob(DARK, (60, 44), (58, 60), (40, 66), (14, 62), (34, 46), (50, 40))
    eye(pen, 74, 23, 6.5)


def fish(pen: Pen) -> None:
    """Swims sideways: pointed oval with a forked tail, a back fin and scales."""
    pen.polygon(DARK, (30, 50), (0, 22), (8, 50), (0, 78))
    pen.polygon(DARK, (40, 30), (48, 12), (74, 26), (66, 36))
    pen.polygon(DARK, (48, 68), (46, 86), (66, 70))
    pen.blob(MAIN, (100, 50), (86, 33), (62, 25), (38, 34), (20, 50), (38, 66), (62, 75), (86, 67))
    pen.line(DARK, 4, (70, 32), (65, 42), (65, 58), (70, 68))
    pen.line(LIGHT, 4, (52, 40), (48, 46), (52, 52))
    pen.line(LIGHT, 4, (40, 48), (36, 53), (40, 58))
    eye(pen, 81, 44, 6.5)


def rabbit(pen: Pen) -> None:
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


def turtle(pen: Pen) -> None:
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
