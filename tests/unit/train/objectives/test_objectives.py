"""Every objective can be learned, and each step's randomness has an address of its own."""

from dataclasses import fields, replace
from functools import reduce
from operator import add

import numpy as np
import pytest
import torch

from blip3o.data.address import StepAddresses, seeded
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Turn
from blip3o.train.features import encode_source
from blip3o.train.objectives import unified
from blip3o.train.objectives.objective import LoadedStep
from blip3o.train.objectives.unified import BATCH_COST, UnifiedObjective, alike
from blip3o.train.optim import trained


@pytest.fixture
def fresh(tiny, words):
    """A new machine, the same every time."""
    torch.manual_seed(0)
    return Pipeline(tiny.model, words)


STAGES = ("encoder", "decoder", "tower", "understanding", "generation", "instruction")


def named(tiny, name):
    return next(stage for stage in tiny.stages if stage.name == name)


def step_of(stage, number=0, run="run"):
    return StepAddresses(run, number, stage.batch_size)


def losses_of(objective, step):
    """The losses of a step, added up over its micro-batches."""
    parts = [objective.losses(batch) for batch in objective.load(step).batches]
    named = {name: [part[name] for part in parts if name in part] for name in objective.names}
    return {name: reduce(add, losses) for name, losses in named.items() if losses}


def total_of(objective, losses):
    return torch.stack([objective.factors.get(name, 1.0) * loss.mean() for name, loss in losses.items()]).sum()


def changed(stage, **changes):
    """The stage with other values of its objective."""
    return replace(stage, objective=replace(stage.objective, **changes))


@pytest.fixture
def pages(book):
    """A book whose features the test may replace."""
    kept = book.features
    yield book
    book.features = kept


@pytest.mark.parametrize("name", STAGES)
def test_the_loss_of_a_step_falls_when_it_is_repeated(tiny, fresh, pages, name, objective_of):
    stage = named(tiny, name)
    objective = objective_of(stage, fresh, pages)
    parameters = trained(fresh, objective, stage.trains)
    optimizer = torch.optim.Adam(parameters.values(), lr=5e-3)
    seen = []
    for _ in range(12):
        total = total_of(objective, losses_of(objective, step_of(stage)))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seen.append(total.item())
    assert seen[-1] < 0.95 * seen[0]
    assert np.isfinite(seen).all()


@pytest.mark.parametrize("name", STAGES)
@torch.no_grad()
def test_a_step_is_determined_by_its_run_and_number(tiny, fresh, pages, name, objective_of):
    stage = named(tiny, name)
    torch.manual_seed(0)
    objective = objective_of(stage, fresh, pages)
    places = (("a", 0), ("a", 0), ("a", 1), ("b", 0))
    first, again, later, other = (
        total_of(objective, losses_of(objective, step_of(stage, number, run))) for run, number in places
    )
    assert torch.equal(first, again)
    assert len({first.item(), later.item(), other.item()}) == 3


@pytest.mark.parametrize("name", STAGES)
@torch.no_grad()
def test_a_step_is_the_sum_of_its_samples_whatever_step_or_batch_they_are_in(tiny, pipeline, pages, name, objective_of):
    stage = named(tiny, name)
    torch.manual_seed(0)
    whole = objective_of(stage, pipeline, pages)
    one = replace(stage, batch_size=min(stage.batch_size, 1))
    if getattr(stage.objective, "text", None):
        one = changed(one, text_batch_size=1)
    torch.manual_seed(0)
    alone = objective_of(one, pipeline, pages)
    samples = [losses_of(alone, step_of(one, number)) for number in range(8, 12)]
    for key, loss in losses_of(whole, step_of(stage, 2)).items():
        added = reduce(add, [sample[key] for sample in samples])
        torch.testing.assert_close((loss.sum, loss.weight), (added.sum, added.weight), rtol=1e-5, atol=0)


@pytest.fixture
def exact():
    """Everything is computed in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def exactly(batch):
    """A batch in float64."""
    tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return replace(batch, **{k: v.double() for k, v in tensors.items() if v is not None and v.is_floating_point()})


CUTS = {
    "each_length_by_itself": ("BATCH_COST", 0),
    "by_like_length": ("BATCH_COST", 60),
    "as_is_cheapest": ("BATCH_COST", BATCH_COST),
    "not_at_all": ("BATCH_COST", 10**9),
    "one_by_one": ("alike", lambda lengths, _: ([row] for row in range(len(lengths)))),
    "one_apart": ("alike", lambda lengths, _: ([*range(1, len(lengths))], [0])),
}


@pytest.mark.usefixtures("exact")
def test_how_a_step_is_cut_into_batches_changes_neither_its_loss_nor_its_gradient(
    tiny, words, awake, pages, monkeypatch
):
    stage = changed(replace(named(tiny, "instruction"), batch_size=6), text_batch_size=6)
    objective = UnifiedObjective(stage.objective, awake(Pipeline(tiny.model, words)), pages)
    load = objective.load
    rows = []

    def loaded(*place):
        batches = [replace(one, batch=exactly(one.batch)) for one in load(*place).batches]
        rows.append([len(batch.addresses) for batch in batches])
        return LoadedStep(batches=batches)

    monkeypatch.setattr(objective, "load", loaded)

    def step():
        losses = losses_of(objective, step_of(stage))
        objective.pipeline.zero_grad()
        total_of(objective, losses).backward()
        gradient = [p.grad.flatten() for p in objective.pipeline.parameters() if p.grad is not None]
        return torch.stack([losses[name].mean().detach() for name in ("text", "image")]), torch.cat(gradient)

    found = []
    for name, value in CUTS.values():
        with monkeypatch.context() as patch:
            patch.setattr(unified, name, value)
            found.append(step())
    assert len({tuple(cut) for cut in rows}) > 4, rows
    assert {sum(cut) for cut in rows} == {12}
    for losses, gradient in found[1:]:
        torch.testing.assert_close(losses, found[0][0], rtol=1e-6, atol=0)
        assert (gradient - found[0][1]).norm() < 1e-6 * gradient.norm()


def test_no_two_samples_stages_or_runs_share_an_address(tiny):
    places = [
        (step, number)
        for run in ("train/0/encoder", "train/1/encoder", "train/0/decoder", "train/0/decoder/draw")
        for step in (StepAddresses(run, step, 4) for step in range(20))
        for number in step.numbers
    ]
    draws = [
        torch.rand(1, generator=seeded(step.address(number)), dtype=torch.float64).item() for step, number in places
    ]
    assert len(set(draws)) == len(draws) == 320


def test_numbers_count_samples_not_steps():
    whole, first, second = (StepAddresses("run", step, count).numbers for step, count in ((3, 4), (6, 2), (7, 2)))
    assert [*whole] == [*first, *second]


@pytest.fixture
def graded(fresh, pages, monkeypatch, objective_of):
    """Gives the features that a stage has its pictures sketched or painted from."""

    def features(stage):
        torch.manual_seed(0)
        objective, seen = objective_of(stage, fresh, pages), []
        place = (objective, "sketch_loss") if stage.name == "encoder" else (fresh.space.decoder, "forward")
        grade = getattr(*place)
        monkeypatch.setattr(*place, lambda features, *rest: (seen.append(features), grade(features, *rest))[1])
        with torch.no_grad():
            losses_of(objective, step_of(stage))
        monkeypatch.undo()
        return seen[0]

    return features


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_pictures_are_made_from_features_with_as_much_noise_as_the_stage_says(tiny, graded, name):
    stage = replace(named(tiny, name), batch_size=32)
    clean, noised, louder = (graded(changed(stage, feature_noise=noise)) for noise in (0.0, 0.25, 0.5))
    assert (noised - clean).std() == pytest.approx(0.25, rel=0.05)
    torch.testing.assert_close(louder - clean, 2 * (noised - clean))
    assert not torch.equal((noised - clean)[0], (noised - clean)[1])


@torch.no_grad()
def test_telling_and_words_count_as_the_stage_says(tiny, fresh, pages, objective_of):
    for name, field, parts in (
        ("encoder", "dense_caption_weight", ("sketch", "telling")),
        ("instruction", "text_weight", ("image", "text")),
    ):
        for weight in (0.0, 0.5, 3.0):
            stage = changed(named(tiny, name), **{field: weight})
            objective = objective_of(stage, fresh, pages)
            losses = losses_of(objective, step_of(stage))
            plain, weighed = (losses[part].mean() for part in parts)
            assert losses.keys() == set(parts)
            torch.testing.assert_close(total_of(objective, losses), plain + weight * weighed)


def test_an_edit_is_trained_with_the_features_of_the_picture_it_changes(tiny, pipeline, pages):
    stage = changed(named(tiny, "generation"), draw={"edit": 1.0})
    objective = UnifiedObjective(stage.objective, pipeline, pages)
    known = {pages.picture(index).features.astype(np.float32).tobytes() for index in range(len(pages))}
    for batch in (one.batch for one in objective.load(step_of(stage)).batches):
        assert batch.reference is not None
        assert batch.target is not None
        assert batch.referenced is not None
        assert batch.referenced.all()
        assert {row.numpy().tobytes() for row in batch.reference} <= known
        assert (batch.reference - batch.target).flatten(1).norm(dim=1).min() > 0


@torch.no_grad()
def test_other_pictures_to_change_give_another_loss(tiny, pipeline, pages, monkeypatch):
    stage = changed(named(tiny, "generation"), draw={"edit": 1.0})
    objective = UnifiedObjective(stage.objective, pipeline, pages)
    true, batches = losses_of(objective, step_of(stage))["image"].mean(), objective.load(step_of(stage)).batches
    swapped = [replace(one, batch=replace(one.batch, reference=one.batch.target)) for one in batches]
    monkeypatch.setattr(objective, "load", lambda *_: LoadedStep(batches=swapped))
    assert (losses_of(objective, step_of(stage))["image"].mean() - true).abs() > 1e-3 * true


def test_features_are_made_anew_once_the_encoder_is_finished(tiny, fresh, pages, objective_of):
    stale = pages.features
    objective_of(named(tiny, "encoder"), fresh, pages).finish()
    objective_of(named(tiny, "decoder"), fresh, pages)
    assert pages.features is not stale
    np.testing.assert_array_equal(pages.features, encode_source(fresh, pages))
    assert not np.allclose(pages.features, stale, atol=0.1)


def test_the_finished_space_gives_its_pictures_unit_features(tiny, fresh, pages, objective_of):
    stage = named(tiny, "encoder")
    objective_of(stage, fresh, pages).finish()
    features = encode_source(fresh, pages).astype(np.float32)
    sizes = tiny.model.space.encoder
    assert features.shape == (len(pages), sizes.channels, sizes.side, sizes.side)
    np.testing.assert_allclose(features.mean((0, 2, 3)), 0, atol=0.01)
    np.testing.assert_allclose(features.std((0, 2, 3)), 1, atol=0.02)


def test_finishing_the_space_twice_is_finishing_it_once(tiny, fresh, pages, objective_of):
    objective = objective_of(named(tiny, "encoder"), fresh, pages)
    objective.finish()
    once = fresh.space.mean.clone(), fresh.space.deviation.clone()
    objective.finish()
    torch.testing.assert_close((fresh.space.mean, fresh.space.deviation), once)


def batches_of(lengths):
    return [[lengths[row] for row in rows] for rows in alike(lengths)]


def cost(batches):
    return sum(len(batch) * max(batch) + BATCH_COST for batch in batches)


@pytest.mark.parametrize("lengths", [(30,), (30, 30, 200), (200, 24, 210, 31), tuple(range(20, 220, 3)), (40,) * 50])
def test_batches_of_like_length_hold_every_conversation_once_and_cost_least(lengths):
    batches = batches_of(lengths)
    ordered = sorted(lengths)
    assert [length for batch in batches for length in batch] == ordered
    two_batches = [cost([ordered[:cut], ordered[cut:]]) for cut in range(1, len(ordered))]
    assert cost(batches) <= min([cost([ordered]), *two_batches])


def test_short_and_long_conversations_part_where_padding_costs_more_than_a_batch():
    few = BATCH_COST // 100
    assert len(batches_of([10, *[110] * few])) == 1
    apart = [[10] * (few + 1), [110] * (few + 1)]
    assert batches_of([*apart[1], *apart[0]]) == apart


def test_a_conversation_is_in_one_batch_alone():
    assert sorted(row for rows in alike([5, 700, 5, 90]) for row in rows) == [0, 1, 2, 3]
    assert list(alike([])) == []


@pytest.mark.parametrize("name", STAGES)
@torch.no_grad()
def test_weights_are_known_before_a_network_runs(tiny, pipeline, pages, name, objective_of):
    objective = objective_of(named(tiny, name), pipeline, pages)
    for batch in objective.load(step_of(named(tiny, name))).batches:
        weights = {name: loss.weight.item() for name, loss in objective.losses(batch).items()}
        assert weights == pytest.approx({key: value for key, value in objective.weights(batch).items() if value})


@pytest.mark.parametrize("name", STAGES)
def test_a_micro_batch_has_no_more_rows_than_it_may(tiny, pipeline, pages, name, objective_of):
    objective = objective_of(named(tiny, name), pipeline, pages)
    whole, cut = (objective.load(step_of(named(tiny, name)), rows).batches for rows in (0, 3))
    assert max(len(batch.addresses) for batch in whole) > 3 >= max(len(batch.addresses) for batch in cut)
    assert {a for batch in whole for a in batch.addresses} == {a for batch in cut for a in batch.addresses}


@torch.no_grad()
def test_features_computed_in_the_step_are_those_kept(tiny, pipeline, pages):
    stage = changed(named(tiny, "generation"), draw={"edit": 1.0, "draw": 1.0})
    pages.features = encode_source(pipeline, pages)
    kept = losses_of(UnifiedObjective(stage.objective, pipeline, pages), step_of(stage))
    pages.features = None
    online = UnifiedObjective(replace(stage.objective, features="online"), pipeline, pages)
    assert pages.features is None
    torch.testing.assert_close(losses_of(online, step_of(stage))["image"].sum, kept["image"].sum, rtol=1e-3, atol=0)


def test_a_loader_hands_over_images_as_bytes(tiny, pipeline, pages, objective_of):
    """A quarter of the memory, of which every step would be given anew, and of what goes to a device."""
    batches = objective_of(named(tiny, "decoder"), pipeline, pages).load(step_of(named(tiny, "decoder"))).batches
    assert {tensor.dtype for batch in batches for tensor in vars(batch).values() if torch.is_tensor(tensor)} == {
        torch.uint8
    }
    assert batches[0].pixels.min() >= -1
    assert batches[0].pixels.max() > 0.5


@pytest.mark.parametrize("starts", [True, False])
def test_what_is_read_is_encoded_only_for_a_model_that_starts_from_it(tiny, words, pages, starts):
    denoiser = replace(tiny.model.unified.denoiser, with_reference=starts)
    model = replace(tiny.model, unified=replace(tiny.model.unified, denoiser=denoiser))
    pipeline = Pipeline(model, words)
    pages.features = encode_source(pipeline, pages)
    objective = UnifiedObjective(named(tiny, "instruction").objective, pipeline, pages)
    read, drawn = replace(pages.picture(0), features=None), pages.picture(1)
    talk = (Turn("user", (read, "make it night")), Turn("assistant", (drawn,)))
    batch = objective.collate([pipeline.template.encode(talk)], ["edit"])
    assert (batch.target is not None) == (batch.reference is not None) == starts
    assert (batch.batch.target is None) == starts


@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_share_the_samples_of_a_step(ranks):
    whole = StepAddresses("run", 3, 8)
    dealt = [replace(whole, rank=rank, ranks=ranks).numbers for rank in range(ranks)]
    assert sorted(number for numbers in dealt for number in numbers) == [*whole.numbers]


@torch.no_grad()
def test_words_of_drawings_are_scored_only_where_they_have_a_weight(tiny, pipeline, pages, objective_of, monkeypatch):
    scored = []
    logits = pipeline.unified.backbone.logits
    monkeypatch.setattr(
        pipeline.unified.backbone, "logits", lambda hidden: scored.append(len(hidden)) or logits(hidden)
    )
    stage = named(tiny, "generation")
    for weight in (0.5, 0.0):
        objective = objective_of(changed(stage, text_weight=weight), pipeline, pages)
        losses = losses_of(objective, step_of(stage))
        assert ("text" in losses) == bool(scored) == (weight > 0)
        assert losses["image"].weight == stage.batch_size
        scored.clear()
