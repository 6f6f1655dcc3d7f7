# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Group norm that gives a sample the same result alone and in a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SampleGroupNorm", "replace_group_norms"]


class SampleGroupNorm(nn.GroupNorm):
    """Group norm whose result for a sample does not depend on the batch it is in.

    The CPU kernel for channels-last memory splits its sums between threads by batch position, which moves bf16 results
    by up to 1e-2 between a sample alone and the same sample in a batch. Called for one sample at a time it does not,
    and it is several times faster than the kernel for contiguous memory with its copies.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(B, C, h, w)``."""
        if self.training or x.device.type != "cpu":
            return super().forward(x)
        samples = torch.split(x, 1)  # keeps the layout, which indexing does not
        return torch.cat([super(SampleGroupNorm, self).forward(sample) for sample in samples])


def replace_group_norms(module: nn.Module) -> None:
    """Put :class:`SampleGroupNorm` in place of every group norm of a network, with new weights."""
    for name, child in module.named_children():
        if type(child) is nn.GroupNorm:
            norm = SampleGroupNorm(child.num_groups, child.num_channels, eps=child.eps, affine=child.affine)
            setattr(module, name, norm)
        else:
            replace_group_norms(child)
