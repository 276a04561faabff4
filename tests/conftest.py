"""Said before torch is imported, as the verbs do."""

from headstart.quiet import hush

hush()
