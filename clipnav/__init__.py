"""clipnav: vision-and-language navigation on features of CLIP.

Importing this package registers `R2R-CLIP-v0`, `RxR-CLIP-v0`, `R4R-CLIP-v0`, `R2R-CE-CLIP-v0` and
`RxR-CE-CLIP-v0` with Gymnasium. `__init__.pyi` lists the public names; each of them is imported on
first access. Everything else in the packages of clipnav may change between versions.
"""

from pathlib import Path

import lazy_loader

# In a checkout, agents, envs and the other packages lie beside this folder instead of in it.
if not (_folder := Path(__file__).parent).joinpath("envs").is_dir():
    __path__.append(str(_folder.parent))

from clipnav import envs  # registers the ids  # noqa: F401
from clipnav.errors import end_commands_on_signals

end_commands_on_signals()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
