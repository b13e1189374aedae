"""What every backbone offers: a causal language model that also reads pictures."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.layers.attention import attend
from blip3o.model.layers.norm import RMSNorm

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel
else:  # configs are read without the library, which is opened when a network is built
    Cache = PreTrainedModel = object


def attend_to_words(
    module: nn.Module,
    query: Float[Tensor, "batch head seq dim"],
    key: Float[Tensor, "batch key_head past_and_seq dim"],
    value: Float[Tensor, "batch key_head past_and_seq dim"],
    attention_mask: Bool[Tensor, "#batch 1 #seq #past_and_seq"] | None,
    **rest: object,
) -> tuple[Float[Tensor, "batch seq head dim"], None]:
    """Attention of the language model by `attend`.

    Takes and gives what an attention function of `transformers` does; no mask where the plain causal one is meant, or
    `CAUSAL` where `transformers` would make one of none.
    """
    if attention_mask is not None and attention_mask.shape[-1] < key.shape[-2]:
        attention_mask = None
    causal = attention_mask is None and query.shape[-2] > 1
    out = attend(query, key, value, attention_mask, causal=causal, scale=rest["scaling"])  # pyright: ignore
    return out.transpose(1, 2), None


CAUSAL = (1, 1, 1, 1)
"""The shape of a mask that stands for the plain causal one: `transformers` takes it as it is, and reads no tensor."""
WORDS = "blip3o"
"""The name under which `transformers` knows `attend_to_words`."""


def fuse_norms(network: nn.Module) -> None:
    """Put ours, for which torch has one fused operation, in the place of the root-mean-square norms of `transformers`,
    which take six; the gains keep their names."""
    for module in [*network.modules()]:
        for name, norm in module.named_children():
            if type(norm).__name__.endswith("RMSNorm"):
                eps, weight = norm.variance_epsilon, norm.weight
                assert isinstance(eps, float)
                assert isinstance(weight, nn.Parameter)
                fused = RMSNorm(len(weight), eps=eps, device="meta")
                fused.weight = weight
                module.register_module(name, fused)


class TiedHead(nn.Module):
    """An output head whose matrix is that of the input embedding, of which it is no second owner: it holds no parameter
    and adds no tensor to a checkpoint."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self._embedding = (embedding,)  # in a tuple, which keeps it from being registered here, too

    def forward(self, hidden: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any vocabulary"]:
        weight = self._embedding[0].weight
        assert isinstance(weight, Tensor)
        return F.linear(hidden, weight.to(hidden.dtype))


class Backbone(nn.Module, ABC):
    """Vectors in, hidden states out; it does not know what stands at which position.

    Inside stand `language_model`, of `transformers`, `lm_head`, which scores words, and `visual`, a vision tower; and
    `image_experts` where the slots of images have copies of every layer's weights of their own (LMFusion, arXiv
    2412.15188, section 3.1): what those learn changes nothing of what is read and written.
    """

    language_model: PreTrainedModel
    lm_head: nn.Linear | TiedHead
    image_experts: PreTrainedModel | None

    def take(
        self, language_model: PreTrainedModel, image_experts: PreTrainedModel | None = None, *, tied: bool
    ) -> None:
        """Put the language model in its place, with a head of its own unless that is `tied` to the embedding; and its
        copy for images, which embeds no words."""
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register(WORDS, attend_to_words)
        AttentionMaskInterface.register(WORDS, sdpa_mask)
        language_model.config._attn_implementation = WORDS
        self.width: int = language_model.config.hidden_size
        self.language_model = language_model
        fuse_norms(language_model)
        self.image_experts = image_experts
        if image_experts is not None:
            image_experts.config._attn_implementation = WORDS
            image_experts.set_input_embeddings(nn.Identity())
            fuse_norms(image_experts)
        embedding = language_model.get_input_embeddings()
        self.lm_head = (
            TiedHead(embedding) if tied else nn.Linear(self.width, language_model.config.vocab_size, bias=False)
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings that go in."""
        weight = self.language_model.get_input_embeddings().weight
        assert isinstance(weight, Tensor)
        return weight.dtype

    @property
    def networks(self) -> list[PreTrainedModel]:
        """The language model, and its copy for images where there is one."""
        return [self.language_model, *([] if self.image_experts is None else [self.image_experts])]

    def tie(self) -> None:
        """Let a tied head follow the layer that is now the input embedding."""
        if isinstance(self.lm_head, TiedHead):
            self.lm_head = TiedHead(self.language_model.get_input_embeddings())

    def embed(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq hidden"]:
        """Embeddings of token ids."""
        return self.language_model.get_input_embeddings()(tokens)

    @abstractmethod
    def encode_images(
        self, pixel_values: Float[Tensor, "patch dim"], image_grid_thw: Int[Tensor, "picture 3"]
    ) -> Float[Tensor, "seen hidden"]:
        """Embeddings of images given as patches, one image after the other; the grid tells how many patches of each."""

    def forward(
        self,
        inputs_embeds: Float[Tensor, "batch seq hidden"],
        attention_mask: Bool[Tensor, "batch past_and_seq"],
        cache: "Cache | PromptStates | ReadStates | None" = None,
        positions: Int[Tensor, "axis batch seq"] | None = None,
        bidirectional: Bool[Tensor, "batch past_and_seq"] | None = None,
        visible: Bool[Tensor, "#batch 1 #seq #past_and_seq"] | None = None,
        segments: Int[Tensor, "batch seq"] | None = None,
        *,
        of_images: bool = False,
    ) -> Float[Tensor, "batch seq hidden"]:
        """Hidden states after the last normalisation; `of_images` by the `image_experts`, where there are some.

        The mask is False at padding, on either side; it covers what the cache already holds, too. A cache is extended
        in place. Without `positions` tokens that are no padding are counted.

        Attention is causal, but the positions of each unbroken `bidirectional` run see each other; such a run must
        enter in one call. None is no run, and then a mask of [seq, past_and_seq] is not built unless there is padding.

        `visible` is all that already worked out (`visible_pairs`): then no value of a tensor is read on the host.
        Positions of different `segments`, each of them unbroken, do not see each other and are counted apart: several
        sequences in one row, without cache, positions or runs.
        """
        counted = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, -inputs_embeds.shape[1] :]
        mask = attention_mask.long() if visible is None else visible
        if bidirectional is not None and visible is None:
            assert not isinstance(cache, PromptStates | ReadStates), "slots run after their prompts with `visible`"
            mask = self._mask_with_runs(inputs_embeds, attention_mask, cache, bidirectional)
        if segments is not None:
            assert cache is None
            assert positions is None
            assert bidirectional is None
            counted = counted_apart(segments)
            mask = visible_pairs(attention_mask, segments.shape[1], None, segments) if visible is None else visible
        network = self.image_experts if of_images and self.image_experts is not None else self.language_model
        held: dict[str, Any] = {_cache_name(type(network).forward): cache}
        return network(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            position_ids=counted if positions is None else positions,
            use_cache=cache is not None,
            **held,
        ).last_hidden_state

    def _mask_with_runs(
        self,
        inputs_embeds: Float[Tensor, "batch seq hidden"],
        attention_mask: Bool[Tensor, "batch past_and_seq"],
        cache: Cache | None,
        bidirectional: Bool[Tensor, "batch past_and_seq"],
    ) -> Shaped[Tensor, "batch 1 seq past_and_seq"]:
        """The mask of all pairs, in the form that the chosen attention of `transformers` takes: Boolean, or added."""
        from transformers.masking_utils import create_causal_mask

        starts = bidirectional & ~F.pad(bidirectional[:, :-1], (1, 0))
        held: dict[str, Any] = {_cache_name(create_causal_mask): cache}
        mask = create_causal_mask(
            config=self.language_model.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            block_sequence_ids=torch.where(bidirectional, starts.cumsum(-1), -1),  # a number for each run, -1 outside
            **held,
        )
        assert isinstance(mask, Tensor), "only a mask that is plainly causal is left out"
        return mask

    def positions(
        self,
        mask: Bool[Tensor, "batch seq"],
        image_mask: Bool[Tensor, "batch seq"],
        image_grid_thw: Int[Tensor, "picture 3"] | None,
    ) -> Int[Tensor, "axis batch seq"] | None:
        """Where tokens stand for a backbone that does not just count them; `grid` tells the sizes of the pictures whose
        tokens are `image_mask`. None where `forward` is to count."""
        return None

    def logits(self, hidden: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any vocabulary"]:
        """Scores of the next token."""
        return self.lm_head(hidden)

    def new_cache(self) -> Cache:
        """An empty cache for `forward`."""
        from transformers import DynamicCache

        return DynamicCache()

    def branch(self, cache: Cache, rows: Sequence[int], skipped: int = 0) -> Cache:
        """A cache of its own for going on from these rows of another, which stays as it is; without the first positions
        where these are `skipped`."""
        branch = self.new_cache()
        for index, states in enumerate(_states(cache)):
            keys, values = (state[list(rows)][:, :, skipped:] for state in states)
            branch.update(keys, values, index)
        return branch

    def join(self, cache: Cache, other: Cache) -> Cache:
        """A cache of its own with the rows of both, those of `other` last; the shorter one is padded on the left."""
        length, joined = max(cache.get_seq_length(), other.get_seq_length()), self.new_cache()
        for index, layers in enumerate(zip(_states(cache), _states(other), strict=True)):
            padded = [[F.pad(one, (0, 0, length - one.shape[-2], 0)) for one in states] for states in layers]
            keys, values = zip(*padded, strict=True)
            joined.update(torch.cat(keys), torch.cat(values), index)
        return joined

    @abstractmethod
    def restore_buffers(self) -> None:
        """Compute what no file holds, such as rotary frequencies: after the networks were built on the meta device."""


class PromptStates:
    """The keys and values of prompts, to run their slots after. Unlike those of a `Cache` they stay as they are, so
    that a layer may run twice, the second time for its gradient.

    It stands in the place of a cache of `transformers`, of which attention asks `update` and nothing else.
    """

    def __init__(self, states: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Keys and values of each layer."""
        self.states = list(states)

    @classmethod
    def of(cls, cache: Cache, rows: Sequence[int] | None = None) -> "PromptStates":
        """Those of all rows of a cache, or of these."""
        chosen = slice(None) if rows is None else list(rows)
        return cls((keys[chosen], values[chosen]) for keys, values in _states(cache))

    def update(
        self,
        keys: Float[Tensor, "batch key_head seq dim"],
        values: Float[Tensor, "batch key_head seq dim"],
        layer: int,
    ) -> tuple[Float[Tensor, "batch key_head past_and_seq dim"], Float[Tensor, "batch key_head past_and_seq dim"]]:
        """Those of the prompts and, after them, of the slots."""
        past_keys, past_values = self.states[layer]
        return torch.cat([past_keys, keys], -2), torch.cat([past_values, values], -2)


class ReadStates:
    """What layers make of prompts that are read from their beginning, in the place of a cache of `transformers`: a
    layer that runs twice, the second time for its gradient, adds nothing to it."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[Tensor, Tensor]] = {}

    def update(
        self,
        keys: Float[Tensor, "batch key_head seq dim"],
        values: Float[Tensor, "batch key_head seq dim"],
        layer: int,
    ) -> tuple[Float[Tensor, "batch key_head seq dim"], Float[Tensor, "batch key_head seq dim"]]:
        """The keys and values themselves."""
        self.states[layer] = (keys, values)
        return keys, values

    def prompts(self) -> PromptStates:
        """To run slots after them."""
        return PromptStates(self.states[layer] for layer in sorted(self.states))


def visible_pairs(
    mask: Bool[Tensor, "batch past_and_seq"],
    length: int,
    runs: Bool[Tensor, "batch past_and_seq"] | None = None,
    segments: Int[Tensor, "batch past_and_seq"] | None = None,
    alone: Bool[Tensor, " batch"] | None = None,
) -> Bool[Tensor, "batch 1 seq past_and_seq"]:
    """Whether each of the last `length` positions sees each position: itself and, where no padding, those before it;
    of an unbroken one of the `runs` all, of another one of the `segments` none. In rows that are `alone`, what is in a
    run sees nothing else.

    Padding sees itself, so that its attention and the gradient of that are finite.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    here = places[-length:, None]
    seen = mask[:, None] & (places <= here)
    if runs is not None:
        number = torch.where(runs, (runs & ~F.pad(runs[:, :-1], (1, 0))).cumsum(-1), -1)  # of each run, -1 outside
        together = runs[:, None] & (number[:, -length:, None] == number[:, None])
        seen = seen | together
        if alone is not None:
            seen = torch.where((alone[:, None] & runs[:, -length:])[..., None], together, seen)
    if segments is not None:
        seen = seen & (segments[:, -length:, None] == segments[:, None])
    return (seen | (places == here))[:, None]


def counted_apart(segments: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """The place of each position in its segment, counted from 0."""
    starts = F.pad(segments[:, 1:] != segments[:, :-1], (1, 0), value=True)
    index = torch.arange(segments.shape[1], device=segments.device)
    return index - (index * starts).cummax(-1).values


def _states(cache: Cache) -> Iterator[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, [batch, head, seq, dim]."""
    from transformers.cache_utils import DynamicLayer

    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        yield layer.keys, layer.values


def possible(heads: int, shared: int, theta: float, eps: float) -> tuple[tuple[bool, str], ...]:
    """For `check`: what holds in every language model of its heads, its rotation and its norms."""
    return (
        (
            shared < 1 or heads % shared == 0,
            f"num_attention_heads {heads} is no multiple of num_key_value_heads {shared}",
        ),
        (theta > 0, f"rope_theta is {theta}, expected more than 0"),
        (eps > 0, f"rms_norm_eps is {eps}, expected more than 0"),
    )


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Sizes of a language model, under the names of its config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool
    rope_theta: float
    rope_scaling: dict[str, Any] | None = None
    """None is plain rotation; else what the config.json says, with a `rope_type`."""
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 131_072

    def __post_init__(self) -> None:
        check(
            *sizes(self),
            *possible(self.num_attention_heads, self.num_key_value_heads, self.rope_theta, self.rms_norm_eps),
            (self.head_dim % 2 == 0, f"head_dim is {self.head_dim}, expected an even number"),
        )

    def published(self) -> dict[str, Any]:
        """What a config class of `transformers` takes."""
        published = asdict(self) | {"bos_token_id": None, "eos_token_id": None}
        scaling, theta = published.pop("rope_scaling") or {}, published.pop("rope_theta")
        del published["tie_word_embeddings"]  # the output head is ours (`TiedHead`)
        return published | {"rope_parameters": {"rope_type": "default"} | scaling | {"rope_theta": theta}}


@functools.cache
def _cache_name(function: Callable[..., object]) -> str:
    """What this function of `transformers` calls its cache: `cache` from 5.24 on."""
    return "cache" if "cache" in signature(function).parameters else "past_key_values"
