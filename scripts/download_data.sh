#!/usr/bin/env bash
# Fetches data sets and checkpoints: the published ones from the Hub, and the emoji of docs/emoji.md from npm.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/download_data.sh [--dry-run] WHAT [DIR]

Fetches WHAT into DIR (default: data/WHAT). --dry-run prints the commands, sizes and licences alone.

  emoji           1,594 emoji in two styles and five to learn from, as WebDataset shards     10 MB fetched, 330 MB there
  openmoji        the svg files of a third style, for tests alone                            50 MB
  long-captions   BLIP3o/BLIP3o-Pretrain-Long-Caption, 27 million pictures                   terabytes
  short-captions  BLIP3o/BLIP3o-Pretrain-Short-Caption, 5 million pictures                   terabytes
  journeydb       BLIP3o/BLIP3o-Pretrain-JourneyDB, 4 million pictures                       terabytes
  blip3o-60k      BLIP3o/BLIP3o-60k, 60,000 pictures to tune on                              gigabytes
  model-8b        BLIP3o/BLIP3o-Model-8B
  model-4b        BLIP3o/BLIP3o-Model-4B
  siglip2-sana    BLIP3o/SigLIP2_SANA
  eva-clip        jiuhai/eva_clip_vision_tower, the target encoder of both models
  list            this list

examples:
  bash scripts/download_data.sh emoji
  bash scripts/download_data.sh --dry-run blip3o-60k /disk/blip3o-60k
  SHARDS='sa_00000*.tar' bash scripts/download_data.sh long-captions      # some of its shards

What is fetched stays where it is when the command is given again, and a stopped one goes on.
PYTHON names another python, HF another command of huggingface_hub.
TEXT
}

fail() {
    echo "$1" >&2
    exit 2
}

dry=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --dry-run) dry=yes && shift ;;
    -*) fail "there is no option $1: see --help" ;;
    *) break ;;
    esac
done
what=${1:-list}
folder=${2:-data/$what}
[ $# -le 2 ] || fail "$# arguments, expected WHAT and DIR: see --help"
python=${PYTHON:-python}

run() {
    if [ -n "$dry" ]; then
        echo "$(printf ' %q' "$@")"
    else
        "$@"
    fi
}

needs() {
    [ -n "$dry" ] || command -v "$1" >/dev/null || fail "$1 is not installed: $2"
}

hub() { # kind, owner/name
    hf=${HF:-$(command -v hf || command -v huggingface-cli || echo hf)}
    needs "$hf" "pip install huggingface_hub"
    if [ -n "${SHARDS:-}" ]; then
        run "$hf" download "$2" --repo-type "$1" --local-dir "$folder" --include "$SHARDS"
    else
        run "$hf" download "$2" --repo-type "$1" --local-dir "$folder"
    fi
}

npm_package() { # name, version, folder
    [ ! -f "$3/package.json" ] || return 0
    needs npm "install Node.js, or unpack https://registry.npmjs.org/$1 into $3"
    run rm -rf "$3.partial"
    run mkdir -p "$3.partial"
    run npm pack "$1@$2" --silent --pack-destination "$3.partial"
    if [ -n "$dry" ]; then
        echo " tar -xzf $3.partial/*.tgz -C $3.partial --strip-components=1"
    else
        tar -xzf "$3.partial"/*.tgz -C "$3.partial" --strip-components=1
        rm "$3.partial"/*.tgz
    fi
    run mv "$3.partial" "$3"
}

case $what in
list) usage ;;
emoji)
    npm_package @iconify-json/noto 1.2.9 "$folder/packages/iconify-json-noto"
    npm_package @iconify-json/fluent-emoji-flat 1.2.6 "$folder/packages/iconify-json-fluent-emoji-flat"
    npm_package @iconify-json/twemoji 1.2.5 "$folder/packages/iconify-json-twemoji"
    npm_package @iconify-json/emojione 1.2.3 "$folder/packages/iconify-json-emojione"
    npm_package @iconify-json/noto-v1 1.2.5 "$folder/packages/iconify-json-noto-v1"
    npm_package @iconify-json/fxemoji 1.2.2 "$folder/packages/iconify-json-fxemoji"
    npm_package @iconify-json/streamline-emojis 1.2.4 "$folder/packages/iconify-json-streamline-emojis"
    run "$python" -m examples.emoji.pack "$folder"
    [ -z "$dry" ] || echo "# licences: Apache-2.0 (noto, noto-v1, fxemoji), MIT (fluent), CC BY 4.0 (twemoji, emojione, streamline-emojis); written to $folder/LICENSES.md"
    ;;
openmoji)
    npm_package openmoji 17.0.0 "$folder"
    [ -z "$dry" ] || echo "# licence: CC BY-SA 4.0"
    ;;
long-captions) hub dataset BLIP3o/BLIP3o-Pretrain-Long-Caption ;;
short-captions) hub dataset BLIP3o/BLIP3o-Pretrain-Short-Caption ;;
journeydb) hub dataset BLIP3o/BLIP3o-Pretrain-JourneyDB ;;
blip3o-60k) hub dataset BLIP3o/BLIP3o-60k ;;
model-8b) hub model BLIP3o/BLIP3o-Model-8B ;;
model-4b) hub model BLIP3o/BLIP3o-Model-4B ;;
siglip2-sana) hub model BLIP3o/SigLIP2_SANA ;;
eva-clip) hub model jiuhai/eva_clip_vision_tower ;;
*) fail "nothing is called $what: see --help" ;;
esac
