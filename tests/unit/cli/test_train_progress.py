"""What a run shows while it trains."""

from blip3o.api import BLIP3o
from blip3o.cli.train_progress import GROUPS_OF_TASKS, Watch, benchmark_scores, describe, examples
from blip3o.picturebook.tasks import TASKS
from blip3o.train.log import TrainingProgress


def step(number, steps=10):
    return TrainingProgress(
        stage="eye", step=number, steps=steps, losses={"total": 0.5}, samples_per_s=99.6, left_s=61.4
    )


def test_a_step_tells_losses_speed_and_time_left():
    assert describe(step(3)) == "total 0.5000  100 samples/s  1:01 left"


def test_without_a_terminal_lines_are_rare_but_the_last_is_told(capsys):
    with Watch(every_s=1000.0) as watch:
        for number in range(1, 11):
            watch.see(step(number))
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines()] == ["1/10", "10/10"]
    assert shown.err == ""


def test_every_task_that_has_groups_of_its_own_exists():
    assert GROUPS_OF_TASKS.keys() <= TASKS.keys()


def test_what_is_drawn_to_be_looked_at_is_always_the_same_and_what_the_stage_learns(book):
    prompts, edits = examples(book, ("draw", "edit", "question"))
    assert (len(prompts), len(edits)) == (6, 3)
    again, _ = examples(book, ("draw", "edit", "question"))
    assert prompts == again
    assert examples(book, ()) == ([], [])
    assert examples(book, ("question",)) == ([], [])


def test_a_run_is_scored_by_the_benchmark_that_its_recipe_names(pipeline, monkeypatch):
    def evaluate(model, benchmarks, *, groups, **options):
        return [{"metrics": {name: {"value": 1.0} for name in groups or benchmarks}}]

    monkeypatch.setattr("blip3o.evals.evaluate.evaluate", evaluate)
    model = BLIP3o(pipeline)
    assert benchmark_scores(model, "picturebook", ("edit", "question")) == {"vqa": 1.0, "edit": 1.0}
    assert benchmark_scores(model, "picturebook", ("naming",)) == {}
    assert benchmark_scores(model, "squares:Colors", ("draw",)) == {"squares:Colors": 1.0}
    assert benchmark_scores(model, "", ("edit", "question")) == {}
