"""Where samples come from: one file per format, all behind the protocol of source.py."""

SOURCES: dict[str, str] = {
    "image_folder": "data.sources.image_folder:ImageFolder",
    "jsonl": "data.sources.jsonl:JsonLines",
    "webdataset": "data.sources.webdataset:WebDataset",
    "hf_datasets": "data.sources.hf_datasets:HFDataset",
    "mixture": "data.source_mixture:SourceMixture",
}
"""Short names of sources -> `module:Class`; any other source is named by such a string itself."""
