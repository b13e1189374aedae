"""Kinds of damage to a checkpoint in our layout and in the published one, and what is said of each."""

import json
import struct

import torch
import yaml
from safetensors.torch import load_file, save_file

WEIGHTS, SHARD, INDEX = "model.safetensors", "model-00002-of-00003.safetensors", "model.safetensors.index.json"
TEXT, VISION = "unified.backbone.text.", "unified.backbone.vision."
UNET, VAE = "diffusion-decoder/unet/", "diffusion-decoder/vae/"
ENORMOUS = 100_000_000


# --- kinds of damage ------------------------------------------------------------------------------------------------


def lost(name):
    return lambda folder: (folder / name).unlink()


def cut(name, share):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[: int(share * size(folder / name))])


def size(path):
    return path.stat().st_size


def holding(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def a_folder(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def told(place, value, name="config.yaml"):
    """A config with another value at a place."""

    def damage(folder):
        path = folder / name
        facts = (yaml.safe_load if path.suffix == ".yaml" else json.loads)(path.read_text())
        inside, *keys = facts, *place.split(".")
        for key in keys[:-1]:
            inside = inside[key]
        inside.pop(keys[-1]) if value is None else inside.update({keys[-1]: value})
        path.write_text(yaml.safe_dump(facts) if path.suffix == ".yaml" else json.dumps(facts))

    return damage


def in_json(place, value, name="config.json"):
    return told(place, value, name)


def tensors(change, name=WEIGHTS):
    """A file of other tensors; `change` is given all of them, and the name of the first."""

    def damage(folder):
        held = load_file(folder / name)
        change(held, min(held))
        (folder / name).unlink()
        save_file(held, folder / name)

    return damage


def swapped(held, first):
    one, other = (held[f"unified.backbone.language_model.layers.0.self_attn.{name}_proj.weight"] for name in "kv")
    assert one.shape == other.shape
    for value, spare in ((one, other.clone()), (other, one.clone())):
        value.copy_(spare)


def flipped(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1000] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def header(change, name=WEIGHTS):
    """A safetensors file whose header says something else of the same bytes."""

    def damage(folder):
        content = (folder / name).read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        facts = json.loads(content[8 : 8 + length])
        changed = json.dumps(change(facts) or facts).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + length :])

    return damage


def every(dtype):
    return lambda facts: [one.update(dtype=dtype) for name, one in facts.items() if name != "__metadata__"] and None


def first_of(facts):
    return facts[min(facts.keys() - {"__metadata__"})]


def without_added_tokens(folder):
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_tokens": []}))


def with_a_token_beyond(folder):
    path = folder / "tokenizer.json"
    facts = json.loads(path.read_text())
    facts["added_tokens"].append(facts["added_tokens"][0] | {"id": 5_000, "content": "<|beyond|>"})
    facts["model"]["vocab"]["<|beyond|>"] = 5_000
    path.write_text(json.dumps(facts))


def nested_without_end(folder):
    (folder / "config.yaml").write_text("name: &it [*it]\n")


def indexed(listed):
    """An index that lists its first tensor in another file."""

    def damage(folder):
        facts = json.loads((folder / INDEX).read_text())
        facts["weight_map"][min(facts["weight_map"])] = listed
        (folder / INDEX).write_text(json.dumps(facts))

    return damage


ALIKE = {  # damage of files that both layouts have
    "no tokenizer": (lost("tokenizer.json"), "holds no tokenizer.json"),
    "half a tokenizer": (cut("tokenizer.json", 0.5), "is no tokenizer"),
    "an empty tokenizer": (holding("tokenizer.json", b""), "is no tokenizer"),
    "a tokenizer that is no text": (holding("tokenizer.json", b"\xff\xfe\x00"), "is no tokenizer"),
    "a tokenizer that is another JSON": (holding("tokenizer.json", b"{}"), "is no tokenizer"),
    "a tokenizer that is a folder": (a_folder("tokenizer.json"), "holds no tokenizer.json"),
    "added tokens missing": (without_added_tokens, "token"),
    "a token above the vocabulary": (with_a_token_beyond, "the tokenizer has a token 5000"),
}

OURS = ALIKE | {
    # files
    "no weights": (lost(WEIGHTS), "holds no model.safetensors"),
    "half the weights": (cut(WEIGHTS, 0.5), "truncated"),
    "hardly any weights": (cut(WEIGHTS, 0.001), "truncated"),
    "empty weights": (holding(WEIGHTS, b""), "truncated"),
    "weights that are text": (holding(WEIGHTS, b"version https://git-lfs.github.com/spec/v1"), "truncated"),
    "weights that are zeros": (holding(WEIGHTS, bytes(4096)), "truncated"),
    "weights that are a folder": (a_folder(WEIGHTS), "holds no model.safetensors"),
    "only a pickle": (lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"), "is a pickle"),
    "no config": (lost("config.yaml"), "holds no config.yaml"),
    "an empty config": (holding("config.yaml", b""), "is empty"),
    "a config that is no text": (holding("config.yaml", b"\xff\xfe\x00"), "is not text in UTF-8"),
    "a config that is no YAML": (holding("config.yaml", b"name: ["), "is not YAML"),
    "a config that is a list": (holding("config.yaml", b"[1, 2]"), "expected keys and values"),
    "a config nested without end": (nested_without_end, "config.yaml"),
    "a date of no calendar": (holding("config.yaml", b"name: 2024-99-99"), "is not YAML"),
    "words that are no text": (holding("words.txt", b"\xff\xfe"), "is no list of words"),
    "a digest that is no JSON": (holding("digest.json", b"{"), "digest.json is no JSON"),
    "a digest that is a list": (holding("digest.json", b"[]"), "digest.json is list"),
    "a save that was not finished": (holding("digest.json", b"{}"), "was not saved to its end"),
    # tensors
    "a tensor missing": (tensors(lambda held, first: held.pop(first)), "missing: "),
    "a tensor too many": (tensors(lambda held, first: held.update(stranger=held[first] + 0)), "unknown: stranger"),
    "a tensor renamed": (tensors(lambda held, first: held.update(stranger=held.pop(first))), "unknown: stranger"),
    "a tensor cut": (tensors(lambda held, first: held.update({first: held[first][:1]})), "wrong shape: "),
    "a tensor of no numbers": (tensors(lambda held, first: held.update({first: torch.ones(0)})), "wrong shape: "),
    "a tensor turned": (
        tensors(lambda held, first: held.update({"space.encoder.head.weight": torch.ones(16, 8, 1, 1)})),
        "wrong shape: ",
    ),
    "a value that is not a number": (tensors(lambda held, first: held[first].mul_(float("nan"))), "not finite: "),
    "a value without bound": (tensors(lambda held, first: held[first].mul_(float("inf"))), "not finite: "),
    "whole numbers for weights": (tensors(lambda held, first: held.update({first: held[first].int()})), "is of type"),
    "weights of 8 bits": (
        tensors(lambda held, first: held.update({first: held[first].to(torch.float8_e4m3fn)})),
        "is of type",
    ),
    "weights mostly zero": (
        tensors(lambda held, first: [value.zero_() for name, value in held.items() if "visual" not in name]),
        "of the weights of tiny are 0",
    ),
    "another model's tensors": (tensors(lambda held, first: (held.clear(), held.update(x=torch.ones(2)))), "missing"),
    "no tensor at all": (tensors(lambda held, first: held.clear()), "missing"),
    # headers
    "a header of an unknown type": (header(every("X7")), "truncated or no safetensors"),
    "a header of a wider type": (header(every("F64")), "truncated or no safetensors"),
    "a shape that does not fill its bytes": (header(lambda it: first_of(it).update(shape=[1])), "truncated or no safe"),
    "a negative shape": (header(lambda it: first_of(it).update(shape=[-1])), "truncated or no safetensors"),
    "tensors that overlap": (header(lambda it: first_of(it).update(data_offsets=[0, 2])), "truncated or no safe"),
    "a header that is a list": (header(lambda it: [1]), "truncated or no safetensors"),
    "facts that are no JSON": (header(lambda it: it["__metadata__"].update(about="{")), "truncated or no safetensors"),
    # sizes
    "layers without number": (told(TEXT + "num_hidden_layers", ENORMOUS), "asks for too much"),
    "blocks without number": (told("space.encoder.blocks", ENORMOUS), "asks for too much"),
    "sketches without number": (told("space.decoder.sketch_blocks", ENORMOUS), "asks for too much"),
    "depth without number": (told("unified.denoiser.depth", ENORMOUS), "asks for too much"),
    "a width without bound": (told(TEXT + "intermediate_size", 10**15), "asks for too much"),
    "a vocabulary without bound": (told(TEXT + "vocab_size", 2**63), "asks for too much"),
    "a layer too many": (told(TEXT + "num_hidden_layers", 3), "missing: "),
    "sizes of another model": (told(TEXT + "vocab_size", 1200), "wrong shape: "),
    "no layer": (told(TEXT + "num_hidden_layers", 0), "expected 1 or more"),
    "fewer than no layer": (told(VISION + "depth", -1), "expected 1 or more"),
    "no head": (told(TEXT + "num_attention_heads", 0), "expected 1 or more"),
    "heads that do not divide": (told(TEXT + "num_attention_heads", 3), "make hidden_size"),
    "heads that do not share": (told(TEXT + "num_key_value_heads", 3), "is no multiple of num_key_value_heads"),
    "no patch": (told("prompt.patch_size", 0), "expected 1 or more"),
    "a picture that does not divide": (told("prompt.picture_size", 70), "is no multiple of 24"),
    "a window that does not divide": (told(VISION + "window_size", 70), "is no multiple of 24"),
    "heads of the tower that do not divide": (told(VISION + "num_heads", 3), "is no multiple of 4 x num_heads"),
    "full attention where no block is": (told(VISION + "fullatt_block_indexes", [7]), "expected numbers below depth"),
    "no width": (told("space.encoder.widths", [16, 0, 16]), "expected 1 or more"),
    "a width without groups": (told("space.encoder.widths", [16, 17, 33]), "does not split into groups"),
    "strides of four": (told("space.encoder.strides", [4, 3]), "expected 1, 2 or 3"),
    "a fold that does not divide": (told("space.decoder.fold", 5), "cannot be halved"),
    "zooms that do not divide": (told("space.decoder.sketch_zooms", [5, 7]), "is no multiple of sketch_zooms"),
    "no level": (told("space.decoder.widths", []), "widths is empty"),
    "a slot of another length": (told("unified.head.slot_length", 4), "slot_length"),
    "a head of no kind": (told("unified.head.kind", "magic"), "head.kind is 'magic'"),
    "a denoiser that does not split": (told("unified.denoiser.num_heads", 3), "does not split into 3 heads"),
    # values
    "an angle that is not a number": (told(TEXT + "rope_theta", float("nan")), "expected a finite number"),
    "an angle without bound": (told(TEXT + "rope_theta", float("inf")), "expected a finite number"),
    "an angle of nothing": (told(TEXT + "rope_theta", 0), "rope_theta is 0.0"),
    "a number of a thousand digits": (told(TEXT + "rope_theta", 10**1000), "expected float"),
    "a norm below zero": (told(TEXT + "rms_norm_eps", -1.0), "rms_norm_eps is -1.0"),
    "a deviation of zero": (told("prompt.deviation", [0.0, 1.0, 1.0]), "expected more than 0"),
    "guidance that is not a number": (told("sampling.guidance", float("nan")), "expected a finite number"),
    "a size in words": (told(TEXT + "hidden_size", "many"), "expected int"),
    "half a layer": (told(TEXT + "num_hidden_layers", 2.5), "expected int"),
    "a size left out": (told(TEXT + "hidden_size", None), "missing key unified.backbone.text.hidden_size"),
    "an unknown key": (told("mane", "x"), "unknown key mane"),
    "a part left out": (told("space", None), "missing key space"),
}

UNTOLD = {  # what nothing but the digest can tell
    "a bit flipped": flipped,
    "tensors swapped": tensors(swapped),
    "one type read as another": header(every("F16")),
    "no words": lost("words.txt"),
    "a word less": lambda folder: (folder / "words.txt").write_text(
        (folder / "words.txt").read_text().partition("\n")[2]
    ),
    "another solver": told("sampling.solver", "heun"),
    "another angle": told(TEXT + "rope_theta", 12_000.0),
    "another chat template": holding("chat_template.jinja", b"{{ messages }}"),
    "other facts of the tokenizer": in_json("pad_token", "[IMG]", "tokenizer_config.json"),
    "weights a little larger": tensors(lambda held, first: held[first].mul_(1.01)),
}

PUBLISHED = ALIKE | {
    # files
    "no config": (lost("config.json"), "holds no config"),
    "an empty config": (holding("config.json", b""), "is no JSON"),
    "a config that is no text": (holding("config.json", b"\xff\xfe"), "is no JSON"),
    "a config that is a list": (holding("config.json", b"[]"), "is list"),
    "a config nested without end": (holding("config.json", b"[" * 100_000), "is no JSON"),
    "a shard lost": (lost(SHARD), f"{SHARD} does not exist"),
    "half a shard": (cut(SHARD, 0.5), "truncated"),
    "an empty shard": (holding(SHARD, b""), "truncated"),
    "an index that is no JSON": (holding(INDEX, b"{"), "is no index"),
    "an index without a map": (holding(INDEX, b"{}"), "is no index"),
    "an empty index": (holding(INDEX, b'{"weight_map": {}}'), "holds no model.safetensors"),
    "an index of another folder": (indexed("../../etc/passwd"), "which is no file beside it"),
    "an index of the whole disk": (indexed("/etc/passwd"), "which is no file beside it"),
    "an index of numbers": (indexed(7), "which is no file beside it"),
    "no schedule": (lost("diffusion-decoder/scheduler/scheduler_config.json"), "holds no scheduler_config.json"),
    "no UNet": (lost(UNET + "diffusion_pytorch_model.safetensors"), "holds no diffusion_pytorch_model.safetensors"),
    # tensors
    "a tensor missing": (tensors(lambda held, first: held.pop(first), SHARD), "missing"),
    "a tensor too many": (
        tensors(lambda held, first: held.update({"model.stranger": held[first] + 0}), SHARD),
        "unknown",
    ),
    "a tensor of the decoder too many": (
        tensors(lambda held, first: held.update(stranger=torch.ones(1)), VAE + "diffusion_pytorch_model.safetensors"),
        "unknown: stranger",
    ),
    "a value that is not a number": (
        tensors(lambda held, first: held[first].mul_(float("nan")), SHARD),
        "not finite: ",
    ),
    "whole numbers for weights": (
        tensors(lambda held, first: held.update({first: held[first].int()}), SHARD),
        "is of type",
    ),
    "weights mostly zero": (
        lambda folder: [
            tensors(lambda held, first: [value.zero_() for value in held.values()], path.name)(folder)
            for path in folder.glob("model-*.safetensors")
        ],
        "of the weights of own are 0",
    ),
    # sizes
    "layers without number": (in_json("num_hidden_layers", ENORMOUS), "asks for too much"),
    "depth without number": (in_json("vision_config.depth", ENORMOUS), "asks for too much"),
    "blocks of the UNet without number": (in_json("layers_per_block", ENORMOUS, UNET + "config.json"), "asks for too"),
    "a layer too many": (in_json("num_hidden_layers", 3), "missing: "),
    "no layer": (in_json("num_hidden_layers", 0), "expected 1 or more"),
    "fewer than no layer": (in_json("num_hidden_layers", -2), "expected 1 or more"),
    "no head": (in_json("num_attention_heads", 0), "expected 1 or more"),
    "heads that do not share": (in_json("num_key_value_heads", 3), "is no multiple of num_key_value_heads"),
    "a query less": (in_json("n_query", 15), "head.queries is [1, 16, 32], not [15, 32]"),
    "no query": (in_json("n_query", 0), "describes no network"),
    "queries in words": (in_json("n_query", "many"), "describes no network"),
    "another width": (in_json("hidden_size", 64), "make hidden_size"),
    "no vision": (in_json("vision_config", None), "lacks 'vision_config'"),
    "vision that is a number": (in_json("vision_config", 3), "of a published one"),
    "no size of the decoder": (in_json("sample_size", None, UNET + "config.json"), "describes no network"),
    "no levels of the decoder": (in_json("block_out_channels", [], UNET + "config.json"), "makes no network"),
    "a decoder of an unknown block": (
        in_json("down_block_types", ["X", "Y"], UNET + "config.json"),
        "makes no network",
    ),
    "a decoder of another width": (in_json("cross_attention_dim", 64, UNET + "config.json"), "paints from 64"),
    "a decoder of no width": (in_json("cross_attention_dim", None, UNET + "config.json"), "describes no network"),
    "no levels of the autoencoder": (in_json("block_out_channels", None, VAE + "config.json"), "describes no network"),
    # values
    "an angle that is not a number": (in_json("rope_theta", float("nan")), "expected a finite number"),
    "an angle without bound": (in_json("rope_theta", float("inf")), "expected a finite number"),
    "a size in words": (in_json("hidden_size", "32"), "expected int"),
    "a scale that is not a number": (in_json("scaling_factor", float("nan"), VAE + "config.json"), "a finite number"),
}
