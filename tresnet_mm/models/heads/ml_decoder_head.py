"""ML-Decoder: class groups look at the feature map by cross-attention."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from .multilabel_head import MultiLabelHead

MAX_DEFAULT_GROUPS = 100


class CrossAttention(nn.Module):
    """Multi-head attention of queries to a memory that serves as key and value.

    Parameters are named as in ``nn.MultiheadAttention``. Unlike there, the queries may come
    without a batch dimension: then they are projected once for the whole batch.

    Args:
        embed_dims: Channels; a multiple of ``num_heads``.
        num_heads: Attention heads.
        dropout: Dropout rate of the attention weights in training.
    """

    def __init__(self, embed_dims: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dims, embed_dims))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dims))
        self.out_proj = nn.Linear(embed_dims, embed_dims)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, memory: Tensor, valid: Tensor | None) -> Tensor:
        """Attend.

        Args:
            query: (Q, C), the same for every image, or (N, Q, C).
            memory: (N, L, C).
            valid: Boolean (N, L), positions that may be attended to; None means all.

        Returns:
            (N, Q, C).
        """
        q, k, v = self._project(query, memory)
        mask = None if valid is None else valid[:, None, None, :]
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask,
                                           dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(x.transpose(1, 2).flatten(2))

    def weights(self, query: Tensor, memory: Tensor, valid: Tensor | None) -> Tensor:
        """The attention weights (N, Q, L), averaged over the heads; they sum to 1 over L.

        Args:
            query: As in `forward`, like the rest.
            memory: (N, L, C).
            valid: Boolean (N, L); where it is False the weight is 0.
        """
        q, k, _ = self._project(query, memory)
        products = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5  # N, heads, Q, L
        if valid is not None:
            products = products.masked_fill(~valid[:, None, None, :], float('-inf'))
        return products.softmax(dim=-1).mean(dim=1)

    def _project(self, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (N, heads, Q, C / heads), keys and values (N, heads, L, C / heads)."""
        batch, _, dims = memory.shape
        q = F.linear(query, self.in_proj_weight[:dims], self.in_proj_bias[:dims])
        kv = F.linear(memory, self.in_proj_weight[dims:], self.in_proj_bias[dims:])
        k, v = kv.chunk(2, dim=-1)
        q = q.expand(batch, -1, -1)
        # N, positions, C -> N, heads, positions, C / heads
        q, k, v = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
        return q, k, v


@MODELS.register_module()
class MLDecoderHead(MultiLabelHead):
    """ML-Decoder (arXiv 2111.12933, section 2): group queries, cross-attention, group linear.

    One transformer decoder layer without self-attention. Every group query attends to the feature
    map, and its output gives ``ceil(num_classes / num_groups)`` logits by a matrix of its own, in
    class order; what exceeds ``num_classes`` is cut off. Works on feature maps of any size.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last feature map.
        num_groups: Group queries; default ``min(num_classes, 100)``. Need not divide the classes.
        embed_dims: Channels of the decoder.
        num_heads: Attention heads; must divide ``embed_dims``.
        feedforward_channels: Hidden width of the feed-forward network.
        dropout: Dropout rate in training.
        init_cfg: MMEngine initialisation config; default: the layers' own.
        **kwargs: ``loss``, ``thresholds``, ``class_weight``, ``check_finite`` of `MultiLabelHead`.

    Raises:
        ValueError: If a number is out of its range, or as `MultiLabelHead`.
    """

    map_kind = 'attention'

    def __init__(self, num_classes: int, in_channels: int, num_groups: int | None = None,
                 embed_dims: int = 768, num_heads: int = 8, feedforward_channels: int = 2048,
                 dropout: float = 0.1, init_cfg: dict | list | None = None,
                 **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if num_groups is None:
            num_groups = min(num_classes, MAX_DEFAULT_GROUPS)
        if not 1 <= num_groups <= num_classes:
            raise ValueError(f'num_groups must lie between 1 and num_classes={num_classes}, '
                             f'got {num_groups}')
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims={embed_dims} must be a multiple of num_heads={num_heads}')
        self.num_groups = num_groups
        self.embed = nn.Linear(in_channels, embed_dims)
        self.query_embed = nn.Embedding(num_groups, embed_dims)
        self.query_embed.weight.requires_grad_(False)  # section 2.2: fixed queries do as well
        self.cross_attn = CrossAttention(embed_dims, num_heads, dropout)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.linear1 = nn.Linear(embed_dims, feedforward_channels)
        self.linear2 = nn.Linear(feedforward_channels, embed_dims)
        self.dropout = nn.Dropout(dropout)
        self.group_fc = GroupLinear(num_groups, embed_dims, num_classes)

    def forward(self, feats: Sequence[Tensor] | Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute logits, see `MultiLabelHead.forward`."""
        tgt, memory, valid = self._look(self.last_map(feats), valid)
        tgt = self.norm2(tgt + self.dropout(self.cross_attn(tgt, memory, valid)))
        hidden = self.dropout(F.relu(self.linear1(tgt)))
        tgt = self.norm3(tgt + self.dropout(self.linear2(hidden)))
        return self.group_fc(tgt)

    def maps_of_cells(self, x: Tensor, classes: Sequence[int], valid: Tensor | None) -> Tensor:
        """Where the query of each class's group looks, in shares of 1, averaged over the heads.

        Classes of one group share their map. It tells where the class is read off, not what speaks
        for it and what against.
        """
        weights = self.cross_attn.weights(*self._look(x, valid))  # N, groups, H*W
        per_group = self.group_fc.weight.shape[-1]
        groups = [index // per_group for index in classes]
        return weights[:, groups].unflatten(-1, x.shape[-2:])

    def _look(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the cross-attention takes: queries, memory (N, H*W, embed_dims), valid (N, H*W)."""
        memory = F.relu(self.embed(x.flatten(2).transpose(1, 2)))
        if valid is not None:
            valid = valid.to(x.device).flatten(1)
        query = self.query_embed.weight
        if self.training and self.dropout.p > 0:
            # each image draws its own dropout; otherwise all share one query, normalised and
            # projected once
            query = query.expand(len(x), -1, -1)
        return self.norm1(query + self.dropout(query)), memory, valid


class GroupLinear(nn.Module):
    """Each group's vector gives the logits of its classes by its own matrix (section 2.3).

    Args:
        num_groups: Groups G.
        in_features: Channels C.
        num_classes: Logits in all; group g gives classes ``g*F`` to ``(g+1)*F - 1`` with
            ``F = ceil(num_classes / num_groups)``.
    """

    def __init__(self, num_groups: int, in_features: int, num_classes: int) -> None:
        super().__init__()
        per_group = -(-num_classes // num_groups)
        self.weight = nn.Parameter(torch.empty(num_groups, in_features, per_group))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        for matrix in self.weight:  # as a 3-d tensor its fans would be wrong
            nn.init.xavier_normal_(matrix.data)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, G, C) to logits (N, num_classes)."""
        logits = torch.bmm(x.transpose(0, 1), self.weight)  # G, N, F
        return logits.transpose(0, 1).flatten(1)[:, :len(self.bias)] + self.bias
