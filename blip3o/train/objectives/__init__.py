"""What a stage of training minimises: one file per objective, all behind the protocol of objective.py."""

OBJECTIVES = {
    "unified": "train.objectives.unified:UnifiedObjective",
    "autoencoder": "train.objectives.autoencoder:AutoencoderObjective",
    "decoder": "train.objectives.decoder:DecoderObjective",
}
"""Short names of objectives -> `module:Class`; any other objective is named by such a string itself."""
