"""The classes of V2's messages, as MLServer has them; the module alone, for all of MLServer takes seconds."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

_folder = Path(find_spec("mlserver").submodule_search_locations[0])
_spec = spec_from_file_location("dataplane_pb2", _folder / "grpc" / "dataplane_pb2.py")
v2 = module_from_spec(_spec)
_spec.loader.exec_module(v2)
