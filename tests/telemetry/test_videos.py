# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Videos that appear in a run's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rsl_rl.telemetry import LogWriter
from rsl_rl.telemetry.videos import VideoFolder
from tests.telemetry.test_logger import make_logger, run_iteration


class Cinema(LogWriter):
    shown: list[tuple[str, int]] = []  # noqa: RUF012

    def __init__(self, log_dir: str) -> None:
        Cinema.shown = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def save_video(self, video: Path, it: int) -> None:
        Cinema.shown.append((video.name, it))


def record(folder: Path, name: str, age: float = 100.0) -> None:
    video = folder / "videos" / name
    video.parent.mkdir(parents=True, exist_ok=True)
    video.write_bytes(b"x")
    changed = video.stat().st_mtime - age
    os.utime(video, (changed, changed))


def test_each_video_is_told_of_once_the_oldest_first(tmp_path: Path) -> None:
    videos = VideoFolder(str(tmp_path))
    assert videos.new() == []
    record(tmp_path, "train/b.mp4", age=200)
    record(tmp_path, "a.webm", age=100)
    record(tmp_path, "notes.json")
    assert [video.name for video in videos.new()] == ["b.mp4", "a.webm"]
    record(tmp_path, "c.GIF")
    assert videos.new() == [tmp_path / "videos" / "c.GIF"]
    assert videos.new(all_of_them=True) == []


def test_a_video_that_may_still_be_written_waits_until_it_is_complete_or_the_end(tmp_path: Path) -> None:
    videos = VideoFolder(str(tmp_path))
    record(tmp_path, "a.mp4", age=-1000.0)
    assert len(videos.new()) == 1  # the clock of another machine
    record(tmp_path, "b.mp4", age=-1.0)
    assert videos.new() == []
    assert [video.name for video in videos.new(all_of_them=True)] == ["b.mp4"]


def test_videos_are_looked_for_with_checkpoints_and_at_the_end_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda folder: looked.append(str(folder)) or walk(folder))
    logger = make_logger(tmp_path, logger={"class_name": Cinema})
    logger.init_logging_writer()
    record(tmp_path, "train/first.mp4")
    run_iteration(logger, 0)
    assert Cinema.shown == []
    logger.save_model("model_0.pt", 0)
    assert Cinema.shown == [("first.mp4", 0)]
    record(tmp_path, "train/last.mp4", age=-1.0)
    for iteration in range(1, 5):
        run_iteration(logger, iteration)
    logger.stop_logging_writer()
    assert Cinema.shown == [("first.mp4", 0), ("last.mp4", 4)]
    assert looked == [str(tmp_path / "videos")] * 2
