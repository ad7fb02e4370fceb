"""Every table of Paris 2.0 in one run: shared experts are trained once, all workers stay busy."""

import sys

from experiments.cli.main import main
from experiments.paris2 import i2v, router, specialization, switching, table1

TABLES = (table1.TABLE, switching.TABLE, specialization.TABLE, router.TABLE, i2v.TABLE)

if __name__ == "__main__":
    sys.exit(main(*TABLES))
