"""Triton kernels for what torch does on a GPU in several passes over memory. Imported only where there is a GPU."""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]

_DRAWN = 256
"""Philox counters per program; each gives four numbers. The masks depend on it."""
_ROWS, _COLUMNS, _SPLIT = 64, 64, 512


def masked(x: torch.Tensor, keys: torch.Tensor, dropped: int) -> torch.Tensor:
    """Return x with entries dropped by a Philox draw of 16 bits, in one pass, and without keeping a mask.

    Args:
        x: shape (rows, features), any floating type.
        keys: one int64 per row; rows of equal keys have equal masks.
        dropped: of 65,536 draws, how many drop an entry.
    """
    x = x.contiguous()
    rows, features = x.shape
    out = torch.empty_like(x)
    _masked[(rows, triton.cdiv(features, 4 * _DRAWN))](x, out, keys, features, dropped, drawn=_DRAWN)
    return out


def column_dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the sum over rows of a * b, float32, shape (columns,), always added in the same order.

    Args:
        a: shape (rows, columns), as is b; products are taken in float32 and never stored.
        b: of the type of a.
    """
    a, b = a.contiguous(), b.contiguous()
    rows, columns = a.shape
    splits = triton.cdiv(rows, _SPLIT)
    partial = torch.empty(splits, columns, dtype=torch.float32, device=a.device)
    grid = (triton.cdiv(columns, _COLUMNS), splits)
    _column_dot[grid](a, b, partial, rows, columns, split=_SPLIT, block_rows=_ROWS, block_columns=_COLUMNS)
    return partial.sum(0)


@triton.jit  # type: ignore[untyped-decorator]
def _masked(x, out, keys, features, dropped, drawn: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    counters = tl.program_id(1) * drawn + tl.arange(0, drawn)
    first, second, third, fourth = tl.randint4x(tl.load(keys + row), counters)
    for part in tl.static_range(4):
        bits = first if part == 0 else (second if part == 1 else (third if part == 2 else fourth))
        columns = (tl.program_id(1) * 4 + part) * drawn + tl.arange(0, drawn)
        inside = columns < features
        value = tl.load(x + row * features + columns, mask=inside)
        high = (bits.to(tl.uint32, bitcast=True) >> 16).to(tl.int32)
        kept = tl.where(high >= dropped, value, tl.zeros_like(value))
        tl.store(out + row * features + columns, kept, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _column_dot(  # type: ignore[no-untyped-def]
    a, b, partial, rows, columns, split: tl.constexpr, block_rows: tl.constexpr, block_columns: tl.constexpr
):
    column = tl.program_id(0) * block_columns + tl.arange(0, block_columns)
    total = tl.zeros((block_columns,), dtype=tl.float32)
    for start in range(0, split, block_rows):
        row = (tl.program_id(1) * split + start + tl.arange(0, block_rows)).to(tl.int64)
        inside = (row[:, None] < rows) & (column[None, :] < columns)
        place = row[:, None] * columns + column[None, :]
        product = tl.load(a + place, mask=inside, other=0.0).to(tl.float32)
        product *= tl.load(b + place, mask=inside, other=0.0).to(tl.float32)
        total += tl.sum(product, axis=0)
    tl.store(partial + tl.program_id(1) * columns + column, total, mask=column < columns)
