"""python -m edge_mi."""

from edge_mi.cli.main import main

raise SystemExit(main())
