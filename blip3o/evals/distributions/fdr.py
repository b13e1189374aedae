"""FDr: Frechet distances of several representations, each measured by that of real pictures (arXiv 2604.28190).

    FDr^k = mean over k representations of FD(drawn, reference) / FD(validation, reference)

1 is as near to the reference as pictures of the validation set are. FDr^6 is over Inception-v3, ConvNeXt-v2, DINOv2,
MAE, SigLIP2 and CLIP.
"""

from collections.abc import Mapping

from blip3o.errors import DataError

REPRESENTATIONS = ("inception", "convnextv2", "dinov2", "mae", "siglip2", "clip")
"""Of FDr^6, by their names in the table of encoders."""


def ratio(distances: Mapping[str, float], of_validation: Mapping[str, float]) -> float:
    """The mean ratio over the representations of both. DataError where they differ, or a distance of the validation
    set is not above 0."""
    if distances.keys() != of_validation.keys() or not distances:
        raise DataError(
            f"got distances of {sorted(distances)} and {sorted(of_validation)}: expected the same, not none"
        )
    nought = [name for name, value in of_validation.items() if not value > 0]
    if nought:
        raise DataError(f"the validation set has no distance above 0 for {', '.join(nought)}: give another set")
    return sum(value / of_validation[name] for name, value in distances.items()) / len(distances)
