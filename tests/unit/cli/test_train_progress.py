"""What a run shows while it trains."""

from blip3o.cli.train_progress import GROUPS_OF_TASKS, Watch, scenes, told
from blip3o.picturebook.tasks import TASKS
from blip3o.train.log import Progress


def step(number, steps=10):
    return Progress(stage="eye", step=number, steps=steps, losses={"total": 0.5}, samples_per_s=99.6, left_s=61.4)


def test_a_step_tells_losses_speed_and_time_left():
    assert told(step(3)) == "total 0.5000  100 samples/s  1:01 left"


def test_without_a_terminal_lines_are_rare_but_the_last_is_told(capsys):
    with Watch(every_s=1000.0) as watch:
        for number in range(1, 11):
            watch.see(step(number))
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines()] == ["1/10", "10/10"]
    assert shown.err == ""


def test_every_task_that_has_groups_of_its_own_exists():
    assert GROUPS_OF_TASKS.keys() <= TASKS.keys()


def test_the_pictures_to_look_at_are_always_the_same():
    assert [caption for _, caption in scenes(3)] == [caption for _, caption in scenes(3)]
