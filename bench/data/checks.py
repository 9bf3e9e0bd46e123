"""Placeholder."""

from collections.abc import Mapping

from bench.core.scene import Scene


def fingerprint(scene: Scene) -> str:
    """X"""
    return "0" * 16


def run(scene: Scene) -> dict[str, str]:
    """X"""
    return {}


def duplicates(splits: Mapping[str, Mapping[str, str]]) -> list[str]:
    """X"""
    return []
