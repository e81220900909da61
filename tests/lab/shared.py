"""Ensembles that all tests of a run share: started when first asked for, ended with the run.

Starting three JVMs for each test would cost minutes. A test that broke its members heals them; one that needs other
settings starts an ensemble of its own.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from tests.lab.ensembles import Ensemble
from tests.lab.etcd_ensemble import EtcdEnsemble
from tests.lab.zookeeper_ensemble import ZooKeeperEnsemble

KINDS: dict[str, type[EtcdEnsemble] | type[ZooKeeperEnsemble]] = {
    "etcd": EtcdEnsemble,
    "zookeeper": ZooKeeperEnsemble,
}


@functools.cache
def shared(engine: str, members: int) -> Ensemble:
    """Return the ensemble of this engine and size, with all its members serving."""
    folder = Path(tempfile.mkdtemp(prefix=f"holdfast-{engine}{members}-"))
    ensemble = KINDS[engine](folder, members)
    ensemble.__enter__()

    def end() -> None:
        ensemble.end()
        shutil.rmtree(folder, ignore_errors=True)

    # Not a fixture: the drivers of the contract suite are no fixtures either. Members die with the process in any case.
    atexit.register(end)
    return ensemble
