"""Where in the picture? Garments found in photographs from labels of whole photographs alone.

Run it: ``python -m benchmarks.bags --photos --page garments.html``.

Image-level labels of 400 street photographs ("there is a bag in the picture, not where"), patches
as instances. Each photograph is scored by a model that never saw it. The settings were chosen on
the same 400 photographs: expect less on others.
"""

from __future__ import annotations

import base64
import html
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.image_sets import DATA, images

PATCH, STRIDE = 24, 12  # of photographs of 144 x 96 pixels: 77 patches
MIN_SHARE = 0.005  # a garment is in the picture if it covers so much of it
FREQUENT = (0.1, 0.9)  # garments in so many of the pictures are looked for
SHOWN = 3  # photographs a garment on the page
BACKGROUND = 0.4  # share of a photograph's patches that is taken for its background
RIDGE = 10.0  # penalty, in units of the features' variance: 200 photographs for 240 features
KEPT = 0.1  # share of the pixels that a heat map names, garments being small


def localization(budget_s: float, threads: int, page: Path | None = None) -> dict[str, Any]:
    """Return how well instance scores find garments, beside chance and the centre.

    ``auc``: of pixels inside against outside the garment, mean over photographs that hold it.
    ``iou``: overlap of the garment with the tenth of the pixels that are scored highest.

    What is measured is the product of three: the instance scores, how little a patch resembles the
    photograph's border, and the centre prior. ``_scores`` are the first alone, ``_unlabelled`` the
    other two, which know no label.
    """
    from scipy.special import expit
    from sklearn.linear_model import Ridge

    from benchmarks.ssl_quality import train
    from ssl_models import embed, load_encoder, suggest_settings
    from weak_supervision.bags import heat_map, image_patches, patch_grid
    from weak_supervision.folds import deal_folds
    from weaklight.seeds import numpy_generator

    photos, masks, names = _photographs()
    n, height, width, channels = photos.shape
    patches = np.stack([image_patches(photo, PATCH, STRIDE) for photo in photos])
    flat = patches.reshape(-1, PATCH, PATCH, channels)
    settings, _ = suggest_settings(n=len(flat), size=PATCH, channels=channels, method="simclr")
    _say(f"training an encoder on {len(flat)} patches for {budget_s:.0f} s")
    encoder = load_encoder(train(flat, replace(settings, threads=threads), budget_s).folder)
    corners = patch_grid(height, width, PATCH, STRIDE)
    _say("embedding the patches")
    features = embed(encoder, flat).reshape(n, len(corners), -1)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    objects = _unlike_the_border(features, corners)  # (n, T)
    described = _described(features, (corners + PATCH / 2) / (height, width))  # (n, T, D)
    is_object = objects > np.quantile(objects, BACKGROUND, axis=1, keepdims=True)
    whole = (described * is_object[..., None]).sum(axis=1) / is_object.sum(axis=1, keepdims=True)

    draw = numpy_generator(0, "localization")
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    centre = np.exp(-2 * (ys**2 + xs**2))
    found: dict[str, list[tuple[float, float]]] = {}
    looked_for = []
    shown: dict[str, list[Any]] = {}
    for k, name in enumerate(names[1:], start=1):
        holds = ((masks == k).mean(axis=(1, 2)) >= MIN_SHARE).astype(np.int64)
        if not FREQUENT[0] <= holds.mean() <= FREQUENT[1]:
            continue
        _say(f"looking for {name}")
        looked_for.append(str(name))
        fold = deal_folds(holds, folds=2, seed=k)
        for held in range(2):
            inside = fold != held
            # the classifier of the mean is linear, so each patch has its part in it
            spread = float(whole[inside].std(axis=0).mean())
            model = Ridge(alpha=RIDGE * spread**2 * inside.sum()).fit(whole[inside], holds[inside])
            scores = described @ model.coef_  # (n, T)
            scores = expit((scores - scores[inside].mean()) / scores[inside].std())
            for row in np.flatnonzero((fold == held) & (holds == 1)):
                alone, weighed, unlabelled, chance = (
                    heat_map(values, corners, (PATCH, PATCH), (height, width))
                    for values in (
                        scores[row], scores[row] * objects[row], objects[row],
                        draw.random(len(corners)),
                    )
                )  # fmt: skip
                heat = weighed * centre
                if len(shown.setdefault(str(name), [])) < SHOWN:
                    shown[str(name)].append((photos[row], heat, masks[row] == k))
                for key, map_ in {
                    "": heat, "_scores": alone, "_unlabelled": unlabelled * centre,
                    "_random": chance, "_center": centre,
                }.items():  # fmt: skip
                    found.setdefault(key, []).append(_judge(map_, masks[row] == k))
    if page is not None:
        page.write_text(_page(shown), encoding="utf-8")
    keys: dict[str, Any] = {"localization_garments": ", ".join(looked_for)}
    for key, judged in found.items():
        auc, iou = np.mean(judged, axis=0)
        keys[f"localization_auc{key}"] = round(float(auc), 4)
        keys[f"localization_iou{key}"] = round(float(iou), 4)
    return keys


def _unlike_the_border(
    features: NDArray[np.float32], corners: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return (n, T): how little a patch resembles its photograph's left and right border.

    One minus the mean cosine with the three nearest border patches other than itself: where people
    stand in a street, the sides show the street (the boundary prior of Wei et al. 2012, "Geodesic
    saliency using background priors").
    """
    side = np.flatnonzero(np.isin(corners[:, 1], (corners[:, 1].min(), corners[:, 1].max())))
    centred = features - features.mean(axis=(0, 1))
    centred /= np.linalg.norm(centred, axis=2, keepdims=True)
    cosines = centred @ centred[:, side].transpose(0, 2, 1)  # (n, T, side)
    cosines[:, side, np.arange(len(side))] = -1.0
    return np.asarray(1 - np.sort(cosines, axis=2)[:, :, -3:].mean(axis=2))


def _described(features: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, T, D): what a patch looks like, apart for each part of the photograph.

    Sixteen principal components, each times fifteen soft cells (three a row): cloth at the feet
    says something else than cloth at the head.
    """
    from sklearn.decomposition import PCA

    flat = features.reshape(-1, features.shape[2])
    looks = PCA(16, svd_solver="randomized", random_state=0).fit_transform(flat)
    looks /= looks[:, 0].std()
    y, x = places.T * 2 - 1  # (T,) each
    cells = [
        np.exp(-((y - down) ** 2) / 0.18 - (x - across) ** 2 / 0.5)
        for down in (-0.8, -0.4, 0.0, 0.4, 0.8)
        for across in (-0.7, 0.0, 0.7)
    ]
    looks = looks.reshape(*features.shape[:2], -1)
    together = looks[..., :, None] * np.stack(cells, axis=1)[:, None, :]  # (n, T, 16, 15)
    return together.reshape(*features.shape[:2], -1)


def _page(shown: dict[str, list[Any]]) -> str:
    """Return HTML: of each garment some photographs, their heat, and where it truly is."""
    from ssl_models.pictures.draw import as_rgb, contact_sheet, heat_overlay, png

    parts = [
        "<!doctype html><meta charset=utf-8><title>Where in the picture</title>"
        "<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem}</style>"
        "<h1>Where in the picture?</h1><p>Learnt from labels of whole photographs, their "
        "sides and their centre. Of each garment: the photograph, the heat, and where it truly "
        "is.</p>"
    ]
    for name, examples in shown.items():
        sheet = contact_sheet(
            [
                picture
                for photo, heat, mask in examples
                for picture in (
                    as_rgb(photo), heat_overlay(photo, heat), heat_overlay(photo, mask * 1.0, mask),
                )
            ],
            columns=3 * SHOWN,
        )  # fmt: skip
        data = base64.b64encode(png(sheet)).decode()
        parts.append(f'<h2>{html.escape(name)}</h2><img src="data:image/png;base64,{data}">')
    return "\n".join(parts)


def _judge(heat: NDArray[np.float64], mask: NDArray[np.bool_]) -> tuple[float, float]:
    from sklearn.metrics import roc_auc_score

    named = heat >= np.quantile(heat, 1 - KEPT)
    iou = (named & mask).sum() / (named | mask).sum()
    return float(roc_auc_score(mask.ravel(), heat.ravel())), float(iou)


def _photographs() -> tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.str_]]:
    """Return photographs (n, H, W, 3), the garment of each pixel (n, H, W) and their names."""
    with np.load(DATA / "clothing_photos" / "clothing_photos_400.npz") as data:
        photos = images(data["blob"], data["offsets"])
        return photos, data["garment_mask"], data["class_names"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
