"""tfcap's packages and what they need.

The base install is what a Beam worker needs to build records: light, without TensorFlow. The
bounds are what is known to work together, on Python 3.10 to 3.13.
"""

from pathlib import Path

from setuptools import find_packages, setup

BASE = [
    "apache-beam>=2.77,<2.78",
    "google-crc32c>=1.6,<2",
    "nltk>=3.9,<4",  # stems for METEOR; its data are not needed
    "numpy>=2,<2.5",  # Beam's own upper bound
    "pillow>=11,<13",
    "tqdm>=4.66,<5",
]
EXTRAS = {
    # TensorFlow and tensorflow-text share the minor version; text 2.21.0 does not import.
    "tf": [
        "tensorflow>=2.21,<2.22",
        "tensorflow-text>=2.21.1,<2.22",
        "tensorflow-serving-api>=2.21,<2.22",  # what an export is warmed up with
        "keras>=3.12,<3.16",
        "tensorboard>=2.20,<2.22",
    ],
    # Beam makes the workers' package from setup.py with setuptools, which Python 3.12 lacks.
    "gcp": ["apache-beam[gcp]>=2.77,<2.78", "setuptools>=69"],
    "serve": [
        "grpcio>=1.70,<2",
        "prometheus_client>=0.22,<1",
        "starlette>=1,<2",
        "tensorflow-serving-api>=2.21,<2.22",
        "uvicorn>=0.40,<1",
    ],
    "client": ["httpx>=0.28,<0.29", "grpcio>=1.70,<2", "protobuf>=5,<7"],
    "report": ["jinja2>=3.1.6,<4", "matplotlib>=3.9,<3.12", "wordcloud>=1.9.4,<2"],
    "dev": [
        "hypothesis>=6.100,<7",
        "jsonschema>=4.20,<5",
        "playwright>=1.50,<2",  # drives Debian's chromium
        "pyyaml>=6,<7",
        "pytest>=8,<10",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "ruff>=0.6,<0.18",
        "tensorflow-datasets>=4.9.9,<4.10",
    ],
}
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})

setup(
    name="tfcap",
    version="0.1.0",
    description="Image captioning as a production pipeline on TensorFlow",
    long_description=Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["records*", "beam_jobs*", "tfcap*", "serving*"]),
    package_data={
        "records": ["manifest.schema.json"],
        "serving": ["page/*"],
        "tfcap.reports": ["templates/*"],
    },
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tfcap=tfcap.cli.main:main"]},
)
