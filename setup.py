"""Packages of the distribution: the folders beside `clipnav` are installed within it."""

from setuptools import find_namespace_packages, setup

FOLDERS = (
    "agents",
    "connectivity",
    "encoders",
    "envs",
    "storage",
    "training",
    "viewer",
    "vl_tasks",
)

patterns = [pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")]
setup(
    packages=[
        *find_namespace_packages(include=["clipnav", "clipnav.*"]),
        *(f"clipnav.{name}" for name in find_namespace_packages(include=patterns)),
    ],
    package_dir={"clipnav": "clipnav", **{f"clipnav.{folder}": folder for folder in FOLDERS}},
)
