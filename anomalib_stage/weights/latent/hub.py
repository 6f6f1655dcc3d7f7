# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Models of the hub: from the local cache, or fetched if asked for.

Only a pinned revision is fetched, and of weights only safetensors.
"""

from __future__ import annotations

import re
from pathlib import Path

from anomalib_stage.errors import BundleError

__all__ = ["fetch_snapshot"]


COMMIT = re.compile(r"[0-9a-f]{40}")

WANTED = ("model_index.json", "unet/*", "vae/*", "scheduler/*", "text_encoder/*", "tokenizer/*", "vqvae/*", "bert/*")

UNWANTED = ("*.bin", "*.pt", "*.ckpt", "*.msgpack", "*.onnx", "*.h5", "*.xml", "*.pb")


def fetch_snapshot(repository: str, revision: str, *, download: bool) -> Path:
    """Return the folder of a model of the hub.

    Args:
        repository (str): ``owner/name``.
        revision (str): Its commit, 40 hexadecimal digits.
        download (bool): Fetch what is not in the local cache.

    Raises:
        BundleError: If the revision is not pinned, or the model cannot be had.
    """
    from huggingface_hub import snapshot_download

    if not COMMIT.fullmatch(revision):
        msg = f"{repository}: revision is {revision!r}; pin it, {repository}@<commit of 40 hexadecimal digits>"
        raise BundleError(msg)
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
            local_files_only=not download,
        )
    except Exception as error:  # of the hub, of its HTTP library, of the file system
        what = "cannot be fetched" if download else "is not in the local cache; give --download to fetch it"
        msg = f"{repository}@{revision} {what} ({type(error).__name__}: {str(error).splitlines()[0]})"
        raise BundleError(msg) from error
    return Path(folder)
