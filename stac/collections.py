"""The collections that flyonce keeps, and what can be asked of each."""

from typing import Any

from stac.store import Collection

STAC_VERSION = "1.1.0"

FLIGHTS, PHOTOS, ORTHOPHOTOS = "flights", "photos", "orthophotos"
VIDEOS, FRAMES, ELEVATION = "videos", "frames", "elevation"
DETECTIONS, CHANGES, MODELS = "detections", "changes", "models"

_METHODS = ["georeference", "pose", "position"]
_SECURITY = ["public", "internal", "sensitive"]
_CLASSES = ["spoil_heap", "construction_material", "debris"]

_ASSETS: dict[str, dict[str, Any]] = {
    "original": {"title": "原始文件 Original file", "roles": ["data"]},
    "cog": {
        "title": "云优化影像 Cloud-optimized GeoTIFF",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "visual"],
    },
    "thumbnail": {"title": "缩略图 Thumbnail", "type": "image/jpeg", "roles": ["thumbnail"]},
    "features": {"title": "检出图斑 Findings", "type": "application/geo+json", "roles": ["data"]},
    "mask": {
        "title": "分类栅格 Mask",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "labels-raster"],
    },
    "moments": {"title": "逐秒画面范围 What each second shows", "type": "application/geo+json", "roles": ["metadata"]},
    "telemetry": {"title": "飞行数据 Telemetry", "roles": ["metadata"]},
    "weights": {"title": "模型权重 Weights", "roles": ["mlm:model"]},
}


def _collection(
    name: str, title: str, description: str, keywords: list[str], summaries: dict[str, Any], assets: list[str]
) -> Collection:
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "id": name,
        "title": title,
        "description": description,
        "keywords": keywords,
        # Who may use what is decided item by item (sharing.policy); no licence holds for all of a city's imagery.
        "license": "other",
        # Replaced by what the items cover as soon as there are any.
        "extent": {"spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]}, "temporal": {"interval": [[None, None]]}},
        "summaries": {"flyonce:security": _SECURITY, **summaries},
        "item_assets": {key: _ASSETS[key] for key in assets},
        "links": [],
    }


def all_collections() -> list[Collection]:
    """Fresh copies of every collection, without items' extents."""
    return [
        _collection(
            FLIGHTS,
            "飞行架次 Flights",
            "One batch of captures each: the area its trustworthy footprints cover, or the positions it was flown at.",
            ["drone", "flight"],
            {"flyonce:footprint_method": _METHODS},
            ["thumbnail"],
        ),
        _collection(
            PHOTOS,
            "航拍照片 Photos",
            "Single drone photos with the ground they show where their pose is trustworthy, else the place they were "
            "taken from.",
            ["drone", "photo"],
            {"flyonce:footprint_method": _METHODS, "flyonce:taken_zone": ["offset", "gps", "solar", "tag", "none"]},
            ["original", "thumbnail"],
        ),
        _collection(
            ORTHOPHOTOS,
            "正射影像 Orthophotos",
            "Georeferenced mosaics, with a cloud-optimized copy.",
            ["drone", "orthophoto", "cog"],
            {"flyonce:footprint_method": ["georeference"]},
            ["original", "cog", "thumbnail"],
        ),
        _collection(
            VIDEOS,
            "航拍视频 Videos",
            "Videos with the ground they show, second by second, where their pose is trustworthy, else the track of "
            "the aircraft; also telemetry that came without its video.",
            ["drone", "video"],
            {"flyonce:footprint_method": ["pose", "position"], "flyonce:telemetry": ["srt", "klv", "gpx", "csv"]},
            ["original", "telemetry", "moments", "thumbnail"],
        ),
        _collection(
            FRAMES,
            "视频关键帧 Frames",
            "Pictures out of videos, as few as still overlap, with the pose they were taken in.",
            ["drone", "video", "frame"],
            {"flyonce:footprint_method": ["pose"]},
            ["original", "thumbnail"],
        ),
        _collection(
            ELEVATION,
            "高程 Elevation",
            "Surface and terrain models that came with a flight.",
            ["elevation", "dsm", "dtm"],
            {"flyonce:footprint_method": ["georeference"]},
            ["original", "cog", "thumbnail"],
        ),
        _collection(
            DETECTIONS,
            "目标识别 Detections",
            "Runs of a detector: one model version with fixed parameters over fixed inputs.",
            ["detection", "debris"],
            {"flyonce:classes": _CLASSES},
            ["features", "mask", "thumbnail"],
        ),
        _collection(
            CHANGES,
            "变化检测 Changes",
            "Runs of change detection between two captures: changed, unchanged, or not comparable with the reason.",
            ["change detection"],
            {"flyonce:classes": ["change"]},
            ["features", "mask", "thumbnail"],
        ),
        _collection(
            MODELS,
            "模型 Models",
            "Model versions that runs were made with: input, classes, licence, checksum and measured figures.",
            ["model", "mlm"],
            {"mlm:tasks": ["semantic-segmentation", "detection", "similarity-search", "classification"]},
            ["weights"],
        ),
    ]
