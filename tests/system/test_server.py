"""The server, asked by the unmodified SDK of OpenAI and by clients that are careless, gone or malicious."""

import re
from pathlib import Path
from typing import Any

import openai
import pytest
from server_running import SIZE, chat_of, image_of, png, same, shown

from blip3o.processing.conversation import DESCRIBE, Turn

pytestmark = pytest.mark.slow


def test_models_are_listed_by_their_names(server):
    assert [one.id for one in server.sdk().models.list()] == ["tiny", "again"]
    assert server.sdk().models.retrieve("again").owned_by == "blip3o"
    with pytest.raises(openai.NotFoundError, match="there is no model nobody: choose from tiny, again"):
        server.sdk().models.retrieve("nobody")


def test_images_are_those_of_the_python_api(server, model):
    made = server.sdk().images.generate(
        model="tiny", prompt="a red dog", n=2, extra_body={"seed": 7, "num_inference_steps": 3, "guidance_scale": 2.5}
    )
    expected = model.generate(["a red dog"] * 2, seed=7, steps=3, guidance=2.5)
    images = [image_of(one.b64_json) for one in made.data]
    assert all(same(*pair) for pair in zip(images, expected, strict=True))
    assert images[1].info["prompt"] == "a red dog"
    assert images[1].info["seed"] == "8"


def test_the_best_of_several_is_told_with_its_candidates(server, model):
    made = server.sdk().images.generate(prompt="a red dog", model="", extra_body={"seed": 3, "best_of": 3})
    [expected] = model.generate("a red dog", seed=3, best_of=3)
    assert same(image_of(made.data[0].b64_json), expected)
    assert made.data[0].model_extra["candidates"] == expected.info["candidates"]


def test_an_edit_is_that_of_the_python_api(server, model):
    sent = png("blue")
    made = server.sdk().images.edit(model="tiny", image=sent, prompt="make it night", extra_body={"seed": 4})
    [expected] = model.edit(sent, "make it night", seed=4)
    assert same(image_of(made.data[0].b64_json), expected)
    several = server.sdk().images.edit(image=[png("red"), sent], prompt="make it night", extra_body={"seed": 4})
    [expected] = model.edit([[png("red"), sent]], "make it night", seed=4)
    assert same(image_of(several.data[0].b64_json), expected)


def test_an_image_is_shown_while_it_forms(server, model):
    events = list(
        server.sdk().images.generate(
            model="tiny",
            prompt="a red dog",
            stream=True,
            partial_images=2,
            extra_body={"seed": 7, "num_inference_steps": 6},
        )
    )
    kinds = [event.type.rpartition(".")[2] for event in events]
    assert kinds == ["partial_image", "partial_image", "completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert same(image_of(events[-1].b64_json), model.generate("a red dog", seed=7, steps=6)[0])
    assert not same(image_of(events[0].b64_json), image_of(events[-1].b64_json))


def test_a_picture_is_read_in_a_chat(server, model):
    asked = chat_of(("user", shown("green", DESCRIBE)))
    done = server.sdk().chat.completions.create(model="tiny", messages=asked, max_tokens=12)
    picture = model.pipeline.template.picture(png("green"))
    [expected] = model.reply([(Turn("user", (picture, DESCRIBE)),)], max_tokens=12)
    assert done.choices[0].message.content == expected.text
    assert done.choices[0].finish_reason == ("stop" if expected.complete else "length")
    assert done.usage.completion_tokens == expected.written
    assert done.usage.total_tokens == done.usage.prompt_tokens + expected.written


def test_pieces_of_a_stream_are_the_whole_answer(server):
    asked = {"model": "tiny", "messages": chat_of(("user", shown("green", DESCRIBE))), "max_tokens": 20}
    whole = server.sdk().chat.completions.create(**asked)
    chunks = list(server.sdk().chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece for piece in pieces if piece).strip() == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_chance_is_by_the_seed(server):
    def said(seed, temperature=2.0):
        asked = {"messages": chat_of(("user", DESCRIBE)), "max_tokens": 12, "model": "tiny"}
        done = server.sdk().chat.completions.create(**asked, temperature=temperature, seed=seed)
        return done.choices[0].message.content

    assert said(1) == said(1)
    assert len({said(seed) for seed in range(4)}) > 1
    assert said(1, temperature=0.0) == said(2, temperature=0.0)


def test_a_picture_comes_back_in_a_chat_and_is_seen_in_its_next_turn(server, model, monkeypatch):
    from blip3o.pipeline import generation

    write = generation._write

    def draws(engine, conversation, options, begun=(), listener=None):
        yield
        return [model.pipeline.template.words.control["[IMG]"]]

    monkeypatch.setattr(generation, "_write", draws)
    asked = chat_of(("user", "draw a red dog"))
    done = server.sdk().chat.completions.create(model="tiny", messages=asked, seed=5)
    monkeypatch.setattr(generation, "_write", write)
    [part] = done.choices[0].message.content
    url = part["image_url"]["url"]
    assert same(image_of(url.partition(",")[2]), model.generate("draw a red dog", seed=5)[0])
    asked += [{"role": "assistant", "content": [part]}, {"role": "user", "content": DESCRIBE}]
    after = server.sdk().chat.completions.create(model="tiny", messages=asked, max_tokens=4)
    assert after.usage.prompt_tokens > done.usage.prompt_tokens + 9


def test_the_page_says_how_to_ask(server, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```py\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    told = []
    names: dict[str, Any] = {"print": told.append}
    exec(compile(example.replace("http://127.0.0.1:8000", server.address), "docs/server.md", "exec"), names)
    names["client"].close()
    assert {*told[:-1]} == {"image_generation.partial_image"}
    assert told[-1] == "image_generation.completed"
    assert isinstance(names["answer"], str)
    assert image_of(names["night"].data[0].b64_json).size == (SIZE, SIZE)
