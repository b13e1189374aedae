"""What every test runs under: no network, one thread, and the shapes and types of blip3o's signatures checked."""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is first imported

from jaxtyping import install_import_hook

install_import_hook("blip3o", "beartype.beartype")

import pytest  # noqa: E402 - after the hook


@pytest.fixture(autouse=True)
def seeded():
    """Torch draws the same in a test whatever ran before it; pytest-randomly sees to random and numpy."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The folder of a small model in the published layout; for reading only."""
    from published_toy import write

    return write(tmp_path_factory.mktemp("published") / "toy-4b")


@pytest.fixture(scope="session")
def awake():
    """Gives a network random weights everywhere, so that nothing it starts as zero hides a fault; and returns it."""
    import torch

    def awaken(network, std=0.2):
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(std * torch.randn(parameter.shape, generator=rng))
        return network.eval()

    return awaken
