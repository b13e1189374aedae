"""The unified model: reading, writing and imagining in a batch is the same as one by one."""

import random
from dataclasses import replace
from functools import partial

import pytest
import torch

from blip3o.batch import IGNORED
from blip3o.config import from_dict, to_dict
from blip3o.data.mixture import Mixture
from blip3o.errors import UserError
from blip3o.flow.noise import generators
from blip3o.model.heads.regression import RegressionHead, RegressionHeadConfig
from blip3o.model.layers.sampling import Sampling
from blip3o.model.unified import ImageRequests, Unified, UnifiedConfig
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.writing import WritingOptions
from blip3o.processing import tokenizer as tok

assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def unified(pipeline):
    return pipeline.unified


@pytest.fixture(scope="module")
def asked(book, template):
    """Three questions of different lengths, one about two pictures, one about none."""
    rng = random.Random(0)
    return [template.ask(book.conversation(task, 1, rng)[:-1]) for task in ("question", "dialogue", "retell")]


@pytest.fixture(scope="module")
def drawn(book, template):
    """Three drawing conversations, with and without a picture before the slot."""
    talks = [Mixture(book, {task: 1.0}, "drawn", drawing=True)[0] for task in ("draw", "edit", "riddle")]
    return [template.encode(talk) for talk in talks]


@pytest.fixture(scope="module")
def answered(book, template):
    rng = random.Random(1)
    shown = {"question": 1, "caption_long": 1, "retell": 7}
    return [template.encode(book.conversation(task, index, rng)) for task, index in shown.items()]


def losses(unified, batch, seed=0):
    return unified(batch, generators(range(seed, seed + len(batch.tokens))))


def write(pipeline, samples, max_tokens, stops=()):
    engine = Engine(pipeline)
    rows = [engine.write(sample, WritingOptions(max_tokens=max_tokens, stops=stops)) for sample in samples]
    while not all(row.done for row in rows):
        engine.step()
    return [row.tokens for row in rows]


def written(unified, batch):
    """The mean loss of the batch's words."""
    return losses(unified, batch).text.mean()


def test_a_batch_is_written_on_as_each_row_alone(pipeline, asked):
    together = write(pipeline, asked, 6)
    alone = [write(pipeline, [item], 6)[0] for item in asked]
    assert together == alone
    assert len({tuple(row) for row in together}) > 1


@torch.no_grad()
def test_the_cache_writes_what_thinking_all_over_would(pipeline, unified, template, asked):
    batch = template.collate(asked[:1])
    embeddings, written = unified.embed(batch), []
    for _ in range(5):
        mask = torch.ones(embeddings.shape[:2], dtype=torch.bool)
        token = unified.backbone.logits(unified.backbone(embeddings, mask)[:, -1:]).argmax(-1)
        written.append(token.item())
        embeddings = torch.cat([embeddings, unified.backbone.embed(token)], 1)
    assert write(pipeline, asked[:1], 5) == [written]


def test_a_row_ends_with_its_first_stop_token_and_the_others_go_on(pipeline, asked):
    free = write(pipeline, asked, 8)
    stop = free[0][2]
    stopped = write(pipeline, asked, 8, (stop,))
    assert stopped == [row[: row.index(stop) + 1] if stop in row else row for row in free]


def test_no_row_is_longer_than_it_may_be(pipeline, asked):
    assert [len(row) for row in write(pipeline, asked, 1)] == [1, 1, 1]


@torch.no_grad()
def test_a_picture_is_imagined_by_its_seed_in_any_batch(unified, template, drawn):
    sampling = Sampling(steps=2, guidance=2.0)
    whole = ImageRequests.each(template.collate(drawn, left=True))
    together = unified.sample_features([whole], generators([7, 8, 9]), sampling)
    for row, item in enumerate(drawn):
        alone = unified.sample_features([ImageRequests.each(template.collate([item]))], generators([7 + row]), sampling)
        assert_close(together[row : row + 1], alone)


@torch.no_grad()
def test_a_prompt_is_thought_over_once_for_all_its_pictures(unified, template, drawn, monkeypatch):
    first, last = (ImageRequests(batch=template.collate([item]), rows=[0], apart=True) for item in (drawn[0], drawn[1]))
    many = ImageRequests(batch=template.collate(drawn, left=True), rows=[1, 0, 1])
    sampling, rngs = Sampling(steps=2, guidance=2.0), partial(generators, [5, 6, 7])
    lengths = []
    forward = unified.backbone.forward

    def counted(embeddings, *rest, **named):
        lengths.append(tuple(embeddings.shape[:2]))
        return forward(embeddings, *rest, **named)

    monkeypatch.setattr(unified.backbone, "forward", counted)
    one_by_one = unified.sample_features([last, first, last], rngs(), sampling)
    slot = unified.config.head.slot_length
    assert [seq for _, seq in lengths].count(slot) == 3
    assert len(lengths) == 5  # two prompts, three slots
    assert_close(unified.sample_features([many], rngs(), sampling), one_by_one)
    assert lengths[-1] == (3, slot)
    assert (one_by_one[0] - one_by_one[2]).abs().max() > 1e-3


@torch.no_grad()
def test_the_cached_thought_is_that_of_the_whole_sequence(unified, template, drawn):
    batch = template.collate(drawn, left=True)
    slot = torch.randn(3, unified.config.head.slot_length, unified.config.head.width, generator=generators([0])[0])
    embeddings = unified.embed(batch).masked_scatter(batch.slot[..., None], slot)
    whole = unified.backbone(embeddings, batch.mask)[batch.slot].view_as(slot)
    think = unified.prefill(batch)
    assert_close(think([0, 1, 2], slot), whole)
    assert_close(think([2, 0], slot[[2, 0]]), whole[[2, 0]])  # and what came before left no trace


class WholeSlotHead(RegressionHead):
    """A toy whose slot is seen whole."""

    attention = "bidirectional"


@torch.no_grad()
def test_a_head_says_whether_its_slot_is_seen_whole(tiny, template, drawn, awake):
    """In training, and the same in drawing from a prompt that is kept; words are written as for any other head."""
    config = RegressionHeadConfig(slot_length=9, width=32, channels=8, side=3)
    unified = awake(Unified(replace(tiny.model.unified, head=config, denoiser=None)))
    batch, left = template.collate(drawn), template.collate(drawn, left=True)
    causal = losses(unified, batch)
    weights, unified.head = unified.head.state_dict(), WholeSlotHead(config)
    unified.head.load_state_dict(weights)
    whole = losses(unified, batch)
    assert_close(whole.text.mean(), causal.text.mean())
    assert (whole.image.mean() - causal.image.mean()).abs() > 1e-3
    drawn_features = unified.sample_features([ImageRequests.each(left)], generators([0, 1, 2]), Sampling(steps=1))
    assert_close((drawn_features - batch.target).square().mean(), whole.image.mean())


@torch.no_grad()
def test_what_stands_in_the_slot_is_left_to_the_head(unified, template, drawn):
    batch = template.collate(drawn, left=True)
    other = replace(batch, tokens=batch.tokens.masked_fill(batch.slot, template.words.control[tok.IMAGE_END]))
    one, two = (
        unified.sample_features([ImageRequests.each(given)], generators([0, 1, 2]), Sampling(steps=1))
        for given in (batch, other)
    )
    assert torch.equal(one, two)


@torch.no_grad()
def test_a_read_picture_is_seen(unified, template, asked):
    batch = template.collate(asked, left=True)
    dark = replace(batch, pixel_values=batch.pixel_values - 1)
    bright, black = (unified.backbone(unified.embed(b), b.mask)[:, -1] for b in (batch, dark))
    seen = batch.image_mask.any(1)
    assert seen.tolist() == [True, True, False]
    assert (bright - black).abs().amax(1)[seen].min() > 1e-3
    torch.testing.assert_close(bright[~seen], black[~seen])


@torch.no_grad()
def test_a_loss_is_given_for_what_the_batch_asks(unified, template, drawn, answered):
    words_only = losses(unified, template.collate(answered))
    assert words_only.image is None
    assert words_only.text.mean() > 0
    both = losses(unified, template.collate(drawn))
    assert both.image.mean() > 0
    assert both.text.mean() > 0
    batch = template.collate(drawn)
    unlabelled = replace(batch, labels=torch.full_like(batch.labels, IGNORED))
    assert losses(unified, unlabelled).text is None


@torch.no_grad()
def test_the_score_of_an_answer_is_its_log_probability_in_any_batch(unified, template, answered):
    scores = unified.score(template.collate(answered))
    for score, item in zip(scores, answered, strict=True):
        batch = template.collate([item])
        count = (batch.labels != IGNORED).sum()
        assert_close(score, -count * written(unified, batch))
    assert (scores < 0).all()


@torch.no_grad()
def test_an_answer_counts_by_the_root_of_its_length(unified, template, answered):
    alone = torch.stack([written(unified, template.collate([item])) for item in answered])
    lengths = torch.tensor([sum(label != IGNORED for label in item.labels) for item in answered])
    assert len(lengths.unique()) == 3
    assert_close(written(unified, template.collate(answered)), (alone * lengths.sqrt()).sum() / lengths.sqrt().sum())


@torch.no_grad()
def test_the_answers_of_one_conversation_count_like_those_of_several(unified, template, book):
    encoded = template.encode(book.conversation("interview", 2, random.Random(2)))
    batch = template.collate([encoded])
    marked = [label != IGNORED for label in encoded.labels]
    starts = [place for place, here in enumerate(marked) if here and not marked[place - 1]]
    alone, lengths = [], []
    for start in starts:
        end = marked.index(False, start) if False in marked[start:] else len(marked)
        only = torch.full_like(batch.labels, IGNORED)
        only[0, start:end] = batch.labels[0, start:end]
        alone.append(written(unified, replace(batch, labels=only)))
        lengths.append(end - start)
    assert len(alone) == 6
    weights = torch.tensor(lengths).sqrt()
    assert_close(written(unified, batch), (torch.stack(alone) * weights).sum() / weights.sum())


@torch.no_grad()
def test_padding_does_not_change_the_losses(unified, template, answered):
    batches = [template.collate([answered[0]])]
    batches.append(template.collate([answered[0], answered[1]]))
    narrow, wide = batches
    only_first = wide.labels.clone()
    only_first[1] = IGNORED
    assert_close(written(unified, narrow), written(unified, replace(wide, labels=only_first)))


def test_an_unknown_head_is_refused_with_the_names_there_are(tiny):
    config = tiny.model.unified
    values = to_dict(config)
    values["head"]["kind"] = "florw"
    with pytest.raises(UserError, match=r"head.kind is 'florw' \(str\), expected one of 'flow', 'regression'"):
        from_dict(UnifiedConfig, values)


def test_a_denoiser_stands_where_the_head_works_with_one_and_only_there(tiny):
    config = tiny.model.unified
    regression = RegressionHeadConfig(slot_length=9, width=32, channels=8, side=3)
    with pytest.raises(UserError, match="flow works with a denoiser: add its config"):
        replace(config, denoiser=None)
    with pytest.raises(UserError, match="regression works without a denoiser: leave it out"):
        replace(config, head=regression)
    assert Unified(replace(config, head=regression, denoiser=None)).config.takes_reference


def test_a_config_of_the_first_design_is_read_as_it_was(tiny):
    values = to_dict(tiny.model.unified)
    del values["backbone"]["kind"], values["denoiser"]["kind"]
    values["denoiser"]["thought_width"] = values["denoiser"].pop("condition_width")
    assert from_dict(UnifiedConfig, values) == tiny.model.unified
    values["head"]["kind"] = "regression"
    config = from_dict(UnifiedConfig, values)
    assert config.head == RegressionHeadConfig(slot_length=9, width=32, channels=8, side=3)
    assert config.denoiser is None


@pytest.mark.parametrize("said", [{"with_reference": False}, {"with_reference": True}, {}])
def test_a_regression_of_the_first_design_takes_a_reference_where_its_unused_denoiser_did(tiny, said):
    values = to_dict(tiny.model.unified)
    values["head"]["kind"] = "regression"
    del values["denoiser"]["with_reference"]
    values["denoiser"] |= said
    config = from_dict(UnifiedConfig, values)
    assert config.takes_reference == said.get("with_reference", False)
    assert from_dict(UnifiedConfig, to_dict(config)) == config


@pytest.mark.parametrize("place", ["width", "channels", "side"])
def test_sizes_that_do_not_fit_are_refused(tiny, place):
    config = tiny.model.unified
    with pytest.raises(UserError, match=place):
        replace(config, head=replace(config.head, **{place: 5}))
